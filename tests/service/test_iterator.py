"""The service iterator in a training loop."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType

import numpy as np
import pytest

import headrace as hr

BATCHES = hr.Dataset.range(10).map(lambda x: 2 * x).batch(3)


def test_after_the_end_next_and_get_next_keep_saying_so(service: hr.Service) -> None:
    iterator = service.iterate(BATCHES)
    assert len(list(iterator)) == 4
    iterator = service.iterate(BATCHES)
    assert [next(iterator).tolist() for _ in range(4)] == [[0, 2, 4], [6, 8, 10], [12, 14, 16], [18]]
    for _ in range(3):
        with pytest.raises(StopIteration):
            next(iterator)
        with pytest.raises(hr.OutOfRangeError):
            iterator.get_next()
    assert iterator.epoch == 0


def test_for_begins_the_next_epoch_and_goes_on_with_an_unfinished_one(service: hr.Service) -> None:
    dataset = hr.Dataset.range(12).shuffle(12, seed=4).batch(2)
    passes = [np.concatenate(list(dataset.iterate(epoch))).tolist() for epoch in range(3)]
    iterator = service.iterate(dataset)
    assert "before epoch 0" in repr(iterator)
    got: list[int] = []
    for batch in iterator:
        got += batch.tolist()
        if len(got) == 6:
            break
    assert "epoch 0, element 3" in repr(iterator)
    for batch in iterator:
        got += batch.tolist()
    assert got == passes[0]
    assert "ended" in repr(iterator)
    for epoch in (1, 2):
        assert np.concatenate(list(iterator)).tolist() == passes[epoch]
        assert iterator.epoch == epoch


def test_an_empty_epoch_ends_at_once_and_the_next_begins(service: hr.Service) -> None:
    iterator = service.iterate(hr.Dataset.range(5).filter(lambda x: False).batch(2))
    assert [list(iterator) for _ in range(3)] == [[], [], []]
    assert iterator.epoch == 2
    assert list(service.iterate(hr.Dataset.range(0))) == []


def test_iterators_of_one_service_do_not_disturb_each_other(service: hr.Service) -> None:
    one, two = service.iterate(BATCHES), service.iterate(BATCHES)
    assert next(one).tolist() == next(two).tolist() == [0, 2, 4]
    assert len(list(one)) == 3
    two.close()
    assert len(list(one)) == 4


def test_an_iterator_can_be_left_in_the_middle_of_an_endless_pipeline(service: hr.Service) -> None:
    with service.iterate(hr.Dataset.range(3).repeat().batch(4)) as iterator:
        assert [next(iterator).tolist() for _ in range(3)] == [[0, 1, 2, 0], [1, 2, 0, 1], [2, 0, 1, 2]]
    with pytest.raises(hr.FailedPreconditionError):
        next(iterator)


def test_the_summary_counts_elements_batches_and_computed_ones(service: hr.Service) -> None:
    with service.iterate(hr.Dataset.range(100).filter(lambda x: bool(x % 4)).batch(8)) as iterator:
        for epoch in range(2):
            assert len(list(iterator)) == 10
            summary = iterator.summary()
            assert (summary.batches, summary.elements, summary.computed) == (10, 75, 75), epoch
            assert summary.seconds == summary.waited_s + summary.trained_s > 0
            assert "75 elements in 10 batches" in str(summary)
    with service.iterate(hr.Dataset.range(7)) as iterator:
        list(iterator)
        assert (iterator.summary().batches, iterator.summary().elements) == (0, 7)
        assert iterator.summary().ledger["failed"] == 0


def test_what_is_delivered_belongs_to_the_caller(service: hr.Service) -> None:
    images = hr.Dataset.range(40).map(lambda x: np.full((64, 64), x))
    for dataset in (images, images.batch(4), images.shuffle(10, seed=1), images.batch(4).map(lambda batch: batch + 1)):
        with service.iterate(dataset) as iterator:
            kept = list(iterator)
        copies = [each.copy() for each in kept]
        for each in kept[::2]:
            each += 1000
        assert all(np.array_equal(one, two) for one, two in zip(kept[1::2], copies[1::2], strict=True))


def test_large_elements_pass(service: hr.Service) -> None:
    with service.iterate(hr.Dataset.range(3).map(lambda x: np.full((90 << 20,), x, np.uint8))) as iterator:
        for number, element in enumerate(iterator):
            assert element.shape == (90 << 20,)
            assert element[0] == element[-1] == number


def test_names_of_files_may_be_relative(service: hr.Service, text_file: Callable[..., str]) -> None:
    name = os.path.relpath(text_file(b"a\nb\n", "lines.txt"))
    for names in (name, hr.Dataset.list_files(name.replace("lines", "lin*"))):
        dataset = hr.TextLineDataset(names)
        with service.iterate(dataset) as iterator:
            assert list(iterator) == list(dataset.iterate(0)) == [b"a", b"b"]


def test_an_iterator_can_begin_with_any_epoch(service: hr.Service) -> None:
    dataset = hr.Dataset.range(20).shuffle(20, seed=2).batch(6)
    with service.iterate(dataset, epoch=3) as iterator:
        assert iterator.epoch == 3
        for epoch in (3, 4):
            expected = [each.tolist() for each in dataset.iterate(epoch)]
            assert [each.tolist() for each in iterator] == expected
    with pytest.raises(hr.InvalidArgumentError, match="epoch is -1: epochs count from 0"):
        service.iterate(dataset, epoch=-1)


@pytest.mark.parametrize("where", ["_taken", "_take", "handle", "count"])
def test_a_loop_that_is_interrupted_between_two_elements_goes_on_with_the_next(service: hr.Service, where: str) -> None:
    def interrupt(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == where:
            sys.setprofile(None)
            raise KeyboardInterrupt

    with service.iterate(hr.Dataset.range(40)) as numbers:
        found = [next(numbers) for _ in range(20)]
        sys.setprofile(interrupt)
        with pytest.raises(KeyboardInterrupt):
            next(numbers)
        found += list(numbers)
    expected = list(range(40))
    if where == "count":  # it was handed over, and nobody took it
        expected.remove(20)
    assert found == expected
