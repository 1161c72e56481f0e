"""Feature lists of tf.train.SequenceExamples: where they lie, how long their steps are, and their values.

`program` is as in example.py, with a row for each list that is wanted, all of variable length. A span is where in
`data` the map entry of a list begins and ends, and how many steps it has, -1 where there is no such list.
"""

from __future__ import annotations

import numpy as np

from .compile import leaf, leaf_kernel
from .example import FEATURES, MALFORMED, OK, SPAN, UNFIT, WRONG, find
from .wire import FIELD_1, FIELD_2, Bytes, Words, feature_values, next_field, value_place

__all__ = ["find_lists", "take_steps"]


@leaf
def _count_steps(data: Bytes, begin: int, end: int) -> int:
    """How many Features the FeatureList data[begin:end] has; -1 for malformed bytes."""
    steps, at = 0, begin
    while at < end:
        tag, _, at = next_field(data, at, end)
        if tag == FIELD_1:
            steps += 1
        elif tag < 0 or tag >> 3 == 1:
            return -1
    return steps


@leaf
def _entry(data: Bytes, begin: int, end: int, program: Words, spans: Words, rows: int, row: int, likely: int) -> int:
    """Take one map entry; which list it was, -1 for one that nobody asked for, -2 for malformed bytes."""
    key, key_end, steps, at = begin, begin, 0, begin
    while at < end:
        tag, start, at = next_field(data, at, end)
        if tag == FIELD_1:
            key, key_end = start, at
        elif tag == FIELD_2:
            more = _count_steps(data, start, at)
            if more < 0:
                return -2
            steps += more
        elif tag >> 3 <= 2:
            return -2
    found = find(data, key, key_end, program, likely)
    if found >= 0:
        place = SPAN * (rows * found + row)
        spans[place], spans[place + 1], spans[place + 2] = begin, end, steps
    return found


@leaf
def _lists(data: Bytes, begin: int, end: int, program: Words, spans: Words, rows: int, row: int) -> bool:
    """Take a FeatureLists message; false for malformed bytes."""
    likely, at = 0, begin
    while at < end:
        tag, start, at = next_field(data, at, end)
        if tag == FIELD_1:
            found = _entry(data, start, at, program, spans, rows, row, likely)
            if found == -2:
                return False
            likely = found + 1 if found >= 0 else likely
        elif tag < 0 or tag >> 3 == 1:
            return False
    return True


@leaf_kernel
def find_lists(data: Bytes, splits: Words, program: Words, spans: Words) -> int:
    """Find the wanted lists of SequenceExamples data[splits[i]:splits[i + 1]]; the first malformed one, or -1.

    The span of list l of Example i goes to spans[SPAN * (Examples * l + i):]. Of repeated keys the last one counts.
    """
    rows = len(splits) - 1
    for place in range(rows * program[FEATURES]):
        spans[SPAN * place], spans[SPAN * place + 1], spans[SPAN * place + 2] = 0, 0, -1
    for row in range(rows):
        at, end = splits[row], splits[row + 1]
        if at < 0 or end < at or end > len(data):
            return row
        while at < end:
            tag, start, at = next_field(data, at, end)
            good = tag >= 0 and (tag == FIELD_2 or tag >> 3 != 2)
            if tag == FIELD_2:
                good = _lists(data, start, at, program, spans, rows, row)
            if not good:
                return row
    return -1


@leaf_kernel
def take_steps(
    data: Bytes, kind: int, spans: Words, outer: Words, inner: Words, out: Words, decode: bool
) -> tuple[int, int, int, int]:
    """Measure or decode one list of every SequenceExample; (OK or what is wrong, which one, which step, its state).

    Steps outer[i] to outer[i + 1] are those of Example i. Measuring writes the number of values of step s to
    inner[s + 1]. Decoding writes these values to [inner[s], inner[s + 1]) of `out`: int64 a word, float32 two a word,
    start and length for bytes.
    """
    halves = out.view(np.uint32)
    for row in range(len(outer) - 1):
        step, at, end = outer[row], spans[SPAN * row], spans[SPAN * row + 1]
        while at < end:
            tag, start, at = next_field(data, at, end)
            if tag != FIELD_2:
                continue
            within = start
            while within < at:
                tag, start, within = next_field(data, within, at)
                if tag != FIELD_1:
                    continue
                limit = inner[step + 1] - inner[step] if decode else 0
                base = value_place(kind, 0, inner[step]) if decode else 0
                found, count = feature_values(data, start, within, kind, limit, out, halves, base, 0, 0)
                if found < 0:
                    return MALFORMED, row, 0, 0
                if found != kind and found != 0:
                    return WRONG, row, step - outer[row], UNFIT + found
                if not decode:
                    inner[step + 1] = count
                step += 1
    return OK, 0, 0, 0
