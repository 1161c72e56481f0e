"""All members of the language: what the suite must have rows of."""

from __future__ import annotations

from dataclasses import fields

import headrace as hr

from ..docs.api import public

__all__ = ["members"]

#: Beside what is listed as public.
FURTHER = ("element_spec", "__len__", "__bool__", "__iter__", "element_spec of an iterator", "Options.merge")
#: Old names of options.
OLD = ("experimental_deterministic", "experimental_threading")
#: Of `hr`.
OUTSIDE = (
    "AUTOTUNE",
    "INFINITE_CARDINALITY",
    "UNKNOWN_CARDINALITY",
    "CsvDataset",
    "FixedLengthRecordDataset",
    "Optional",
    "TFRecordDataset",
    "TextLineDataset",
    "placeholder",
)


def members() -> set[str]:
    """Their names, as rows have them. Images have suites of their own, over the golden files."""
    every = public()
    options = {f"Options.{name}" for name in (*(each.name for each in fields(hr.Options)), *OLD)}
    io = {name for name in every["hr.io"] if not name.startswith("decode_")}
    iterators = every["hr.Iterator"].keys() - {"element_spec"} | {"state_dict", "load_state_dict"}
    return {*every["hr.Dataset"], *FURTHER, *OUTSIDE, *options, *io, *iterators}
