"""Several consumers of one job over real sockets: what they get together is what one gets in process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr

from ..daemons import Daemon
from .trainer import squares

Same = Callable[[Any, Any], None]


def crew(service: hr.Service, dataset: hr.Dataset, name: str, count: int = 3, **options: Any) -> list[Any]:
    """All consumers of a job."""
    return [
        service.iterate(dataset, name=name, num_consumers=count, consumer_index=index, **options)
        for index in range(count)
    ]


def close(iterators: list[Any]) -> None:
    for each in iterators:
        each.close()


def one_epoch(iterators: list[Any]) -> list[tuple[Any, bool]]:
    """Batches of all consumers in the order of rounds, each with its mask."""
    found: list[tuple[Any, bool]] = []
    waiting = [iter(each) for each in iterators]
    while waiting:
        for each in list(waiting):
            try:
                found.append((next(each), each.mask))
            except StopIteration:
                waiting.remove(each)
    return found


@pytest.mark.parametrize("even", ["drop", "pad"])
def test_what_all_consumers_get_in_turn_is_what_one_gets_in_process(
    service: hr.Service, daemon: hr.Service, same: Same, even: str
) -> None:
    dataset = squares()  # a hundred batches: 33 rounds of three, and one
    for server in (service, daemon):
        iterators = crew(server, dataset, f"turns-{even}", even=even)
        for epoch in range(2):
            got = one_epoch(iterators)
            expected = list(dataset.iterate(epoch))
            same([batch for batch, counts in got if counts], expected if even == "pad" else expected[:99])
            assert len(got) == (102 if even == "pad" else 99)
            if even == "pad":
                same([batch for batch, counts in got if not counts], [expected[99]] * 2)
            for each in iterators:
                ledger = each.summary().ledger
                assert (ledger["dropped"], ledger["padded"]) == ((0, 2) if even == "pad" else (1, 0))
                assert each.epoch == epoch
        close(iterators)


def test_single_elements_and_failed_ones_have_their_turns(service: hr.Service) -> None:
    def fails(x: Any) -> Any:
        if x == 100:
            raise ValueError("as planned")
        return x

    dataset = hr.Dataset.range(3000).map(fails).with_options(hr.Options(seed=1))
    iterators = crew(service, dataset, "single")
    with iterators[1] as second:
        found: list[Any] = []
        while len(found) < 1000:
            try:
                found.append(int(next(second)))
            except hr.HeadraceError as error:
                found.append(type(error))
    assert found[:33] == list(range(1, 100, 3))
    assert found[33] is hr.FunctionError
    assert found[34:] == list(range(103, 3000, 3))
    close(iterators)


def test_memory_that_consumers_share_with_the_server_is_each_ones_own(service: hr.Service) -> None:
    images = hr.Dataset.range(40).map(lambda x: np.full((64, 64), x)).batch(2).with_options(hr.Options(seed=1))
    iterators = crew(service, images, "shared", even="pad")
    got = one_epoch(iterators)
    copies = [batch.copy() for batch, _ in got]
    for batch, _ in got[::2]:
        batch += 1000
    assert all(np.array_equal(batch, copy) for (batch, _), copy in zip(got[1::2], copies[1::2], strict=True))
    assert [int(copy[0, 0, 0]) for copy in copies] == [*range(0, 40, 2), 36]
    close(iterators)


def test_a_consumer_that_comes_late_misses_nothing(service: hr.Service, same: Same) -> None:
    dataset = squares()
    first, *others = crew(service, dataset, "late", 2)
    got = list(first)
    (late,) = others
    same([got, list(late)], [list(dataset.iterate(0))[0::2], list(dataset.iterate(0))[1::2]])
    close([first, late])


def test_a_newer_iterator_takes_over_and_goes_on_after_what_was_acknowledged(service: hr.Service, same: Same) -> None:
    dataset = squares()
    expected = list(dataset.iterate(0))
    one, two = crew(service, dataset, "taken", 2)
    had = [next(one) for _ in range(10)]
    next(two)
    newer = service.iterate(dataset, name="taken", num_consumers=2, consumer_index=0)
    rest = list(newer)
    same(rest, expected[0::2][-len(rest) :])
    assert len(rest) + len(had) >= 50
    with pytest.raises(hr.FailedPreconditionError, match="consumer 0 of job 'taken' was taken over by a newer iter"):
        list(one)
    close([newer, one, two])


def test_who_leaves_keeps_nobody_waiting(service: hr.Service, same: Same) -> None:
    dataset = squares()
    one, two = crew(service, dataset, "leaving", 2)
    next(two)
    two.close()
    same(list(one), list(dataset.iterate(0))[0::2])
    one.close()


def test_another_pipeline_or_another_number_of_consumers_is_refused_by_what_differs(service: hr.Service) -> None:
    dataset = squares()
    (first, _) = crew(service, dataset, "strict", 2)
    next(first)
    for other, count, said in [
        (dataset, 3, "it has 2 consumers, not 3"),
        (dataset.take(9), 2, "its pipeline is another one"),
        (dataset.with_options(hr.Options(seed=8)), 2, "its seed is 7, not 8: give the same one to all"),
    ]:
        with (
            service.iterate(other, name="strict", num_consumers=count, consumer_index=1) as refused,
            pytest.raises(hr.FailedPreconditionError, match=f"job 'strict' is there already, and {said}"),
        ):
            next(refused)
    first.close()


def test_a_finished_name_is_refused_and_run_once_more_where_that_is_said(service: hr.Service, same: Same) -> None:
    dataset = squares()
    expected = list(dataset.iterate(0))
    with service.iterate(dataset, name="once") as batches:
        same(list(batches), expected)
    finished = "job 'once' has finished: choose another name, or iterate"
    with (
        service.iterate(dataset, name="once") as batches,
        pytest.raises(hr.FailedPreconditionError, match=finished),
    ):
        next(batches)
    with service.iterate(dataset, name="once", again=True) as batches:
        same(list(batches), expected)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_consumers": 2}, "2 consumers find one another by the name of their job"),
        ({"name": "x", "num_consumers": 0}, "num_consumers is 0"),
        ({"name": "x", "num_consumers": 2, "consumer_index": 2}, "consumer_index is 2 of 2 consumers"),
        ({"name": "x", "num_consumers": 2, "consumer_index": -1}, "consumer_index is -1"),
        ({"name": "x", "even": "odd"}, "even is 'odd': it is 'drop' or 'pad'"),
        ({"name": ""}, "name is '': a job's name is a text of 1 to 255 bytes"),
        ({"name": "é" * 128}, "a job's name is a text of 1 to 255 bytes"),
        ({"name": 3}, "name is 3"),
        ({"again": True}, "again=True runs a job of the same name once more"),
        ({"epoch": True}, "epoch is True"),
    ],
)
def test_arguments_that_do_not_fit_together_are_refused(service: hr.Service, options: Any, said: str) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=said.replace("'", ".")):
        service.iterate(squares(), **options)


def test_set_epoch_lets_the_next_iter_begin_that_epoch(service: hr.Service, same: Same) -> None:
    dataset = squares()
    with service.iterate(dataset) as batches:
        batches.set_epoch(2)
        assert batches.epoch == 0
        same(list(batches), list(dataset.iterate(2)))
        assert batches.epoch == 2
        for epoch in (5, 5, 0, 1):  # forward, once more, and back
            batches.set_epoch(epoch)
            same(list(batches), list(dataset.iterate(epoch)))
        batches.set_epoch(3)
        same([next(iter(batches)) for _ in range(3)], list(dataset.iterate(3))[:3])
        batches.set_epoch(3)  # in the middle of it
        same(list(batches), list(dataset.iterate(3))[3:])
        with pytest.raises(hr.InvalidArgumentError, match="epoch is -1: epochs count from 0"):
            batches.set_epoch(-1)


def test_several_consumers_set_their_epochs_forward_only(service: hr.Service, same: Same) -> None:
    dataset = squares()
    iterators = crew(service, dataset, "forward", 2)
    for epoch in (1, 2):
        for each in iterators:
            each.set_epoch(epoch)
        same([batch for batch, _ in one_epoch(iterators)], list(dataset.iterate(epoch)))
    with pytest.raises(hr.FailedPreconditionError, match="epoch 2 is over, this iterator is at the end of epoch 2"):
        iterators[0].set_epoch(2)
    close(iterators)


@dataclass
class Trainer:
    """A training process, told when to go on."""

    address: str
    index: int
    lines: list[list[str]] = field(default_factory=list)
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        script = str(Path(__file__).with_name("trainer.py"))
        command = [sys.executable, "-P", script, self.address, "3", str(self.index), "pad", "2"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def step(self) -> bool:
        """One more line; False at its end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return False
        self.lines.append(line.split())
        if self.lines[-1][1] != "end":
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        return True

    def bury(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue


@pytest.fixture
def trainers() -> Iterator[list[Trainer]]:
    """What is put here is ended."""
    found: list[Trainer] = []
    yield found
    for each in found:
        each.bury()


def test_three_processes_of_which_one_is_killed_and_comes_again(trainers: list[Trainer]) -> None:
    with Daemon() as daemon:
        trainers += [Trainer(daemon.address, index) for index in range(3)]
        for _ in range(12):
            for each in trainers:
                assert each.step()
        victim = trainers[1]
        victim.bury()
        trainers.append(Trainer(daemon.address, 1))
        active = [trainers[0], trainers[3], trainers[2]]
        while active:
            active = [each for each in active if each.step()]
    expected = [[np.asarray(batch).tobytes().hex() for batch in squares().iterate(epoch)] for epoch in range(2)]
    for index, each in ((0, trainers[0]), (1, trainers[3]), (2, trainers[2])):
        own: list[list[str]] = []
        for epoch in range(2):  # a hundred batches are 33 rounds and one, which is padded
            own += [[str(epoch), "1", batch] for batch in expected[epoch][index::3]]
            if index > 0:
                own.append([str(epoch), "0", expected[epoch][99]])
            own.append([str(epoch), "end", "100"])
        if index == 1:
            assert victim.lines == own[:12]
            assert len(each.lines) + 12 >= len(own), "nothing is lost"
            assert len(own) - len(each.lines) >= 8, "and not all comes again"
        assert each.lines == own[-len(each.lines) :]
        assert index == 1 or len(each.lines) == len(own)
