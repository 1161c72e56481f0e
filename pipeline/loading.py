"""Loading: from a folder of saved elements to a graph that gives them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .compression import check_compression
from .errors import InvalidArgumentError
from .manifest import Manifest
from .nested import Shelved
from .nodes import Decoded, Node, Records, Rows
from .sources import file_names
from .spec import DatasetSpec, TensorSpec, dtype_name
from .structure import DATASET, flatten_as_is

__all__ = ["as_datasets", "as_names", "loaded"]


def loaded(folder: str, found: Manifest, element_spec: Any, compression: str | None, apart: bool) -> Node:
    """What gives the elements that a folder holds, in the order of its files; or, `apart`, a dataset for each file.

    Raises:
        InvalidArgumentError: they are of another spec or compression than is said.
    """
    if compression is not None and check_compression(compression) != found.compression:
        raise InvalidArgumentError(f"{folder} was saved with compression {found.compression!r}, not {compression!r}")
    if element_spec is not None:
        check_spec(folder, element_spec, found.spec)
    if apart:
        contents = np.empty(len(found.shards), object)
        contents[:] = as_datasets(folder, found)
        return Rows(DATASET, (contents,))
    names = file_names(as_names(folder, found))
    source = Records(names, found.compression, indexed=not found.compression)
    return Decoded(source, *_said(found.spec if element_spec is None else element_spec), found.elements)


def as_names(folder: str, found: Manifest) -> list[bytes]:
    """The names of its files."""
    return [os.fsencode(os.path.join(folder, each.file)) for each in found.shards]  # noqa: PTH118  (as it was written)


def as_datasets(folder: str, found: Manifest) -> list[bytes]:
    """A dataset for each file, as components of elements (see `nested`)."""
    names = map(os.fsdecode, as_names(folder, found))
    pairs = zip(names, found.shards, strict=True)
    return [Shelved(name, found.compression, each.records).to_content() for name, each in pairs]


def _said(spec: Any) -> tuple[Any, Any, Any]:
    """A spec as a node holds it; nothing, where only looking tells."""
    specs, structure = ([], None) if spec is None else flatten_as_is(spec)
    if structure is None or any(isinstance(each, DatasetSpec) for each in specs):
        return None, None, None
    return structure, tuple(each.shape for each in specs), tuple(each.dtype for each in specs)


def check_spec(folder: str, wanted: Any, saved: Any) -> None:
    """Refuse a spec that what was saved does not fit.

    Raises:
        InvalidArgumentError: it does not, and which component.
    """
    specs, structure = flatten_as_is(wanted)
    for name, each in zip(structure.names(), specs, strict=True):
        if not isinstance(each, TensorSpec):
            raise InvalidArgumentError(f"element_spec: component {name} is {type(each).__name__}: use hr.TensorSpec")
    if saved is None:
        return
    there, nest = flatten_as_is(saved)
    if structure != nest:
        raise InvalidArgumentError(
            f"element_spec has the components {structure.names()}, and {folder} holds {nest.names()}"
        )
    for name, each, other in zip(structure.names(), specs, there, strict=True):
        if each.dtype != other.dtype or not _covers(each.shape, other.shape):
            raise InvalidArgumentError(
                f"element_spec: component {name} is {_shown(each)}, and {folder} holds {_shown(other)}"
            )


def _covers(wanted: Any, saved: Any) -> bool:
    if wanted is None:
        return True
    if saved is None or len(wanted) != len(saved):
        return False
    return all(a is None or a == b for a, b in zip(wanted, saved, strict=True))


def _shown(spec: TensorSpec) -> str:
    return f"{dtype_name(spec.dtype)} of shape {spec.shape}"
