"""Making Examples: serialized tf.train.Examples and SequenceExamples of Python values and arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .errors import InvalidArgumentError
from .listing import listed
from .schema.example_pb2 import BytesList, Feature, FloatList, Int64List

__all__ = ["make_example", "make_sequence_example"]


def make_example(features: Mapping[str, Any]) -> bytes:
    """A serialized tf.train.Example of these features, its keys in sorted order.

    Integers and booleans go to an int64_list, floats to a float_list (as float32), bytes and str (as UTF-8) to a
    bytes_list. A value is one of these, or a sequence or array of them, which is flattened.

    >>> make_example({"label": 3})
    b'\\n\\x10\\n\\x0e\\n\\x05label\\x12\\x05\\x1a\\x03\\n\\x01\\x03'

    Raises InvalidArgumentError naming the feature: an empty list without a dtype, values of several kinds, numbers
    that int64 or float32 do not hold, or anything else.
    """
    entries = [_entry(name, features[name]) for name in sorted(_checked(features), key=str.encode)]
    return _part(1, b"".join(entries)) if entries else b""


def make_sequence_example(context: Mapping[str, Any], feature_lists: Mapping[str, Sequence[Any]]) -> bytes:
    """A serialized tf.train.SequenceExample: features as of `make_example`, and lists with such a value a step.

    >>> from headrace.pipeline.schema.example_pb2 import SequenceExample
    >>> made = make_sequence_example({"video": "a"}, {"boxes": [[1, 2], [3]]})
    >>> lists = SequenceExample.FromString(made).feature_lists.feature_list
    >>> [list(step.int64_list.value) for step in lists["boxes"].feature]
    [[1, 2], [3]]

    Raises InvalidArgumentError naming the feature or the step, as `make_example` does.
    """
    lists = [
        _part(1, _part(1, name.encode()) + _part(2, _steps(name, feature_lists[name])))
        for name in sorted(_checked(feature_lists), key=str.encode)
    ]
    return make_example(context) + (_part(2, b"".join(lists)) if lists else b"")


def _steps(name: str, steps: Sequence[Any]) -> bytes:
    made = (_feature(f"{name}[{i}]", step).SerializeToString() for i, step in enumerate(steps))
    return b"".join(_part(1, each) for each in made)


def _entry(name: str, value: Any) -> bytes:
    return _part(1, _part(1, name.encode()) + _part(2, _feature(name, value).SerializeToString()))


def _checked(names: Iterable[Any]) -> list[str]:
    for name in names:
        if not isinstance(name, str):
            raise InvalidArgumentError(f"a feature's name must be str, {name!r} is not")
    return list(names)


def _part(field: int, content: bytes) -> bytes:
    """A message in a message, as protobuf writes it. Its own way of sorting a map differs between its versions."""
    size, length = len(content), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([field << 3 | 2, *length, size]) + content


def _feature(name: str, value: Any) -> Feature:
    kind, values = listed(f"feature {name!r}", value)
    if kind == "bytes":
        return Feature(bytes_list=BytesList(value=values))
    if kind == "float":
        return Feature(float_list=FloatList(value=values))
    return Feature(int64_list=Int64List(value=values))
