"""The manifest of saved elements: `headrace.json`, which says what the files beside it hold, and is written last.

docs/formats.md has the format. A folder without one holds nothing that is believed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .compression import check_compression
from .errors import DataLossError, FailedPreconditionError, HeadraceError, InvalidArgumentError, NotFoundError
from .spec import DatasetSpec, TensorSpec, dtype_name
from .structure import Structure, flatten_as_is

__all__ = ["MANIFEST", "RUN", "Manifest", "Shard", "read_manifest", "shard_file", "wait_for", "write_manifest"]

MANIFEST = "headrace.json"
#: How the names of folders begin that files are written to.
RUN = "run-"
COMPRESSIONS = ("", "GZIP", "ZLIB")
FORMAT, VERSION = "headrace elements", 1
#: No file has more records, and no shard a larger number.
_MOST = 1 << 62
#: How often it is looked whether something is there,
_LOOK_S = 0.1
#: and how long nothing may change there before whoever waits gives up.
PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of records."""

    number: int  #: As a `shard_func` gave it.
    file: str  #: From the folder of the manifest on.
    records: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """All files of one run, and what their elements are."""

    compression: str
    spec: Any  #: `TensorSpec`s, nested like the elements; None where these have nothing in common.
    shards: tuple[Shard, ...]  #: By number.

    @property
    def elements(self) -> int:
        """How many there are."""
        return sum(each.records for each in self.shards)

    def to_data(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "compression": self.compression,
            "elements": self.elements,
            "spec": None if self.spec is None else _spec_data(self.spec),
            "shards": [{"shard": each.number, "file": each.file, "records": each.records} for each in self.shards],
        }

    def to_numbers(self) -> tuple[int, ...]:
        """The same in whole numbers, where the files are those of one run under the names that `saving` gives them.

        >>> found = Manifest("GZIP", None, (Shard(7, shard_file(255, 7), 20),))
        >>> found.to_numbers(), Manifest.from_numbers(found.to_numbers()) == found
        ((255, 1, 7, 20), True)
        """
        run = int(self.shards[0].file[len(RUN) :].partition("/")[0], 16) if self.shards else 0
        found = [run, COMPRESSIONS.index(self.compression)]
        for each in self.shards:
            found += [each.number, each.records]
        return tuple(found)

    @classmethod
    def from_numbers(cls, numbers: Sequence[int]) -> Manifest:
        """Back from `to_numbers`, without a spec."""
        run, compression, *rest = numbers
        pairs = zip(rest[::2], rest[1::2], strict=True)
        shards = tuple(Shard(number, shard_file(run, number), records) for number, records in pairs)
        return cls(COMPRESSIONS[compression], None, shards)

    @classmethod
    def from_data(cls, data: Any) -> Manifest:
        """Back from `to_data`; InvalidArgumentError for what cannot be."""
        try:
            if data["format"] != FORMAT or data["version"] != VERSION:
                raise InvalidArgumentError(
                    f"it is {data['format']!r}, version {data['version']!r}, and this headrace reads {FORMAT!r}, "
                    f"version {VERSION}"
                )
            shards = tuple(_shard(each) for each in data["shards"])
            spec = None if data["spec"] is None else _spec(data["spec"])
            found = cls(check_compression(data["compression"]), spec, shards)
            if found.elements != data["elements"]:
                raise InvalidArgumentError(f"its files hold {found.elements:,} of {data['elements']!r} elements")
        except (KeyError, TypeError, ValueError, RecursionError) as error:  # InvalidArgumentError is a ValueError
            raise InvalidArgumentError(str(error) or type(error).__name__) from error
        return found


def shard_file(run: int, number: int) -> str:
    """The path of a shard's file from the folder on."""
    return f"{RUN}{run:016x}/{number:08d}.tfrecord"


def _shard(data: Any) -> Shard:
    found = Shard(data["shard"], data["file"], data["records"])
    if not all(type(each) is int and 0 <= each < _MOST for each in (found.number, found.records)):
        raise InvalidArgumentError(f"shard {found.number!r:.40} of {found.records!r:.40} records")
    parts = found.file.split("/")
    if not all(parts) or ".." in parts or "\0" in found.file:
        raise InvalidArgumentError(f"{found.file!r} lies elsewhere")
    return found


def _spec_data(spec: Any) -> dict[str, Any]:
    specs, structure = flatten_as_is(spec)
    return {"structure": structure.to_data(), "components": [_component_data(each) for each in specs]}


def _component_data(spec: TensorSpec) -> dict[str, Any]:
    if isinstance(spec, DatasetSpec):
        return {"dataset": _spec_data(spec.element_spec)}
    return {"dtype": dtype_name(spec.dtype), "shape": None if spec.shape is None else list(spec.shape)}


def _spec(data: Any) -> Any:
    structure, components = Structure.from_data(data["structure"]), [_component(each) for each in data["components"]]
    if len(components) != structure.size:
        raise InvalidArgumentError(f"{len(components)} components for a structure of {structure.size}")
    return structure.plain.pack(components)


def _component(data: Any) -> TensorSpec:
    if "dataset" in data:
        return DatasetSpec(_spec(data["dataset"]))
    shape = data["shape"]
    if shape is not None and not all(each is None or (type(each) is int and each >= 0) for each in shape):
        raise InvalidArgumentError(f"a shape of {shape!r:.80}")
    if not isinstance(data["dtype"], str) or len(data["dtype"]) > 20:
        raise InvalidArgumentError("a dtype that is none")
    return TensorSpec(shape, data["dtype"])


def write_manifest(folder: str, manifest: Manifest, *, first: bool = False) -> bool:
    """Write it: whole, or not at all. With `first` one that is there stays; whether it is there now.

    Raises:
        NotFoundError: it cannot be written.
    """
    path = Path(folder) / MANIFEST
    temporary = path.with_name(f".{MANIFEST}-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(manifest.to_data(), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        if not first:
            temporary.replace(path)
        else:
            path.hardlink_to(temporary)  # which only one can do
    except FileExistsError:
        return False
    except OSError as error:
        raise NotFoundError(str(path), f"cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return True


def read_manifest(folder: str) -> Manifest:
    """What a folder holds.

    Raises:
        NotFoundError: there is no such folder, or nothing that was saved.
        FailedPreconditionError: writing there was begun, and has not been finished.
        DataLossError: the manifest is damaged, or of another version.
    """
    path = Path(folder) / MANIFEST
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _nothing(folder) from None
    except (OSError, UnicodeDecodeError) as error:
        raise NotFoundError(str(path), f"cannot be read: {error}") from error
    try:
        return Manifest.from_data(json.loads(content))
    except (HeadraceError, ValueError, RecursionError) as error:
        raise DataLossError(str(path), f"does not tell what was saved: {error}. Save anew") from error


def wait_for(folder: str) -> Manifest:
    """What a folder holds, once something is saved there; as long as a save makes progress.

    Raises:
        DataLossError: the manifest is damaged, or of another version.
        FailedPreconditionError: nothing was written there for PATIENCE_S.
    """
    before, until = None, 0.0
    while True:
        try:
            return read_manifest(folder)
        except (NotFoundError, FailedPreconditionError) as error:
            if (now := _written(folder)) != before:
                before, until = now, time.monotonic() + PATIENCE_S
            elif time.monotonic() >= until:
                raise FailedPreconditionError(
                    f"{folder}: no save was finished there, and nothing was written for {PATIENCE_S:,.0f} s. Is the "
                    f"program that saves still running, and to this folder? {error}"
                ) from error
        time.sleep(_LOOK_S)


def _written(folder: str) -> list[tuple[str, int]]:
    """What files there are, and how long."""
    found = []
    for path in sorted(Path(folder).rglob("*")):
        with suppress(OSError):  # it was just removed
            found.append((str(path), path.stat().st_size))
    return found


def _nothing(folder: str) -> HeadraceError:
    try:
        begun = any(each.name.startswith(RUN) for each in Path(folder).iterdir())
    except OSError as error:
        return NotFoundError(folder, f"cannot be loaded: {error.strerror}")
    if begun:
        return FailedPreconditionError(
            f"{folder} holds a save that is not finished: it is still being written, or was interrupted. Wait for it, "
            "or save anew"
        )
    return NotFoundError(folder, f"holds nothing that was saved: there is no {MANIFEST} in it")
