"""Resume anywhere: an epoch is stopped, and goes on elsewhere, as if it had never stopped.

`pytest -m slow tests/service/test_resume.py` stops each way of running at fifty random batches.
"""

from __future__ import annotations

import json
import random
from base64 import b85decode, b85encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr

from .numbers import noisy, numbered
from .serving import Daemon

Same = Callable[[Any, Any], None]
Eventually = Callable[..., Any]
Processes = Callable[..., list[int]]

WAYS = ["in process", "service", "daemon", "one worker"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three files of 700 numbers."""
    folder = tmp_path_factory.mktemp("resume")
    return [numbered(folder / f"{name}.tfrecord", 700) for name in "abc"]


@pytest.fixture(scope="module")
def one_worker() -> Iterator[hr.Service]:
    """A service of another shape: one worker, small splits."""
    with hr.serve(workers=1, split_bytes=3000) as service:
        yield service


@pytest.fixture
def ways(service: hr.Service, daemon: hr.Service, one_worker: hr.Service) -> dict[str, hr.Service | None]:
    """Where a pipeline can run."""
    return dict(zip(WAYS, (None, service, daemon, one_worker), strict=True))


def mixed(files: list[str]) -> hr.Dataset:
    """Two shuffles with work before, between and behind them, and branches."""
    records = hr.TFRecordDataset(files).map(lambda record: int(record)).filter(lambda x: bool(x % 7)).map(noisy)
    numbered = records.shuffle(300).map(lambda x, y: (x, y.sum()))
    both = hr.Dataset.zip(numbered, hr.Dataset.range(5000).shuffle(50)).enumerate()
    return both.shuffle(40).batch(6).with_options(hr.Options(seed=3))


def nested(files: list[str]) -> hr.Dataset:
    """Datasets made of elements, and batches of unequal ones."""
    opened = hr.Dataset.from_tensor_slices(files * 2).shuffle(6).interleave(hr.TFRecordDataset, 3, 2)
    ragged = opened.map(lambda record: np.arange(int(record) % 9)).shuffle(64)
    return ragged.padded_batch(10, drop_remainder=True).map(lambda b: b + 1).with_options(hr.Options(seed=3))


def begin(where: hr.Service | None, dataset: hr.Dataset, stack: ExitStack, epoch: int = 0) -> Any:
    """An iterator, and an end to it."""
    return dataset.iterate(epoch) if where is None else stack.enter_context(where.iterate(dataset, epoch=epoch))


def carried(token: dict[str, Any]) -> dict[str, Any]:
    """As it is in a file."""
    found: dict[str, Any] = json.loads(json.dumps(token))
    return found


def hop(
    dataset: hr.Dataset, route: list[hr.Service | None], lengths: list[int], epoch: int = 1
) -> tuple[list[Any], list[dict[str, Any]]]:
    """An epoch with so many batches in each place, the rest in the last; and the tokens on the way."""
    found: list[Any] = []
    tokens: list[dict[str, Any]] = []
    with ExitStack() as stack:
        for where, length in zip(route, [*lengths, None], strict=True):
            iterator = begin(where, dataset, stack, epoch)
            if tokens:
                iterator.load_state_dict(tokens[-1])
            found += islice(iterator, length)
            tokens.append(carried(iterator.state_dict()))
    return found, tokens


@pytest.mark.parametrize("pipeline", [mixed, nested])
def test_an_epoch_goes_on_in_every_other_way_of_running(
    pipeline: Callable[[list[str]], hr.Dataset], files: list[str], ways: dict[str, hr.Service | None], same: Same
) -> None:
    dataset, dice = pipeline(files), random.Random(5)
    expected = list(dataset.iterate(1))
    a, b, c, d = WAYS
    route = [a, b, a, c, d, b, a] if pipeline is mixed else [b, c, a, d, c]
    lengths = [dice.randint(1, len(expected) // 12) for _ in route[1:]]
    found, tokens = hop(dataset, [ways[each] for each in route], lengths)
    same(found, expected)
    assert [token["element"] for token in tokens[:-1]] == np.cumsum(lengths).tolist()
    assert tokens[-1]["ended"]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pipeline", [mixed, nested])
def test_stopped_at_fifty_random_batches(
    pipeline: Callable[[list[str]], hr.Dataset],
    way: str,
    files: list[str],
    ways: dict[str, hr.Service | None],
    same: Same,
) -> None:
    dataset, dice = pipeline(files), random.Random(way)
    expected = list(dataset.iterate(1))
    for _ in range(50):
        at, there = dice.randint(0, len(expected)), dice.choice([each for each in WAYS if each != way])
        found, tokens = hop(dataset, [ways[way], ways[there]], [at])
        same(found, expected)
        assert len(tokens[0]["state"]) <= 64 << 10


def crew(service: hr.Service, dataset: hr.Dataset, name: str, count: int = 3) -> list[Any]:
    """All consumers of a job."""
    return [service.iterate(dataset, name=name, num_consumers=count, consumer_index=i) for i in range(count)]


def in_turn(iterators: list[Any], rounds: int | None = None) -> list[Any]:
    """What all get, in the order of rounds."""
    found: list[Any] = []
    waiting = [iter(each) for each in iterators]
    while waiting and rounds != 0:
        for each in list(waiting):
            try:
                found.append(next(each))
            except StopIteration:
                waiting.remove(each)
        rounds = None if rounds is None else rounds - 1
    return found


def test_one_consumer_three_and_none_take_over_from_one_another(
    files: list[str], service: hr.Service, daemon: hr.Service, same: Same
) -> None:
    dataset = mixed(files)
    expected = list(dataset.iterate(0))
    whole = len(expected) - (len(expected) - 47) % 3
    with ExitStack() as stack:
        alone = begin(service, dataset, stack)
        found = [next(alone) for _ in range(20)]
        three = [stack.enter_context(each) for each in crew(daemon, dataset, "three")]
        for each in three:
            each.load_state_dict(carried(alone.state_dict()))
        found += in_turn(three, 9)
        tokens = [each.state_dict() for each in three]
        assert [token["element"] for token in tokens] == [47] * 3
        for token in tokens:  # whoever of them saved its own
            here = dataset.iterate(0)
            here.load_state_dict(carried(token))
            same(found + list(here), expected)
        again = [stack.enter_context(each) for each in crew(service, dataset, "three again")]
        for each, token in zip(again, tokens, strict=True):
            each.load_state_dict(carried(token))
        same(found + in_turn(again), expected[:whole])
        same(in_turn(again), list(dataset.iterate(1))[: len(expected) // 3 * 3])


def test_consumers_that_do_not_load_what_one_of_them_loaded_are_told_so(
    files: list[str], service: hr.Service, same: Same
) -> None:
    dataset = mixed(files)
    expected = list(dataset.iterate(0))
    with ExitStack() as stack:
        zero, one, two = (stack.enter_context(each) for each in crew(service, dataset, "fenced"))
        first = in_turn([zero, one, two], 5)
        token = zero.state_dict()
        in_turn([zero, one, two], 7)
        zero.load_state_dict(token)
        again = [next(zero)]
        for each in (one, two):
            with pytest.raises(
                hr.FailedPreconditionError, match="'fenced' was rewound to element 15 of epoch 0 by consumer 0: load"
            ):
                list(each)
            each.load_state_dict(carried(token))
        again += [next(one), next(two), *in_turn([zero, one, two])]
        same(first + again, expected[: len(expected) // 3 * 3])


def test_an_iterator_goes_back_and_forth_as_often_as_it_is_told(
    files: list[str], service: hr.Service, same: Same
) -> None:
    dataset, dice = mixed(files), random.Random(9)
    epochs = [list(dataset.iterate(epoch)) for epoch in range(2)]
    with service.iterate(dataset) as iterator:
        tokens = []
        for epoch in range(2):
            for at, batch in enumerate(iterator):
                same(batch, epochs[epoch][at])
                if at % 90 == 30:
                    tokens.append((epoch, at + 1, iterator.state_dict()))
            tokens.append((epoch, len(epochs[epoch]), iterator.state_dict()))
        dice.shuffle(tokens)
        for epoch, at, token in tokens:
            iterator.load_state_dict(token)
            assert iterator.epoch == epoch
            assert iterator.state_dict() == token
            ended = at == len(epochs[epoch])  # then `iter()` begins the next one
            expected = dataset.iterate(epoch + 1) if ended else epochs[epoch][at:]
            same(list(islice(iterator, 5)), list(islice(expected, 5)))


def test_behind_an_ended_epoch_comes_the_next(files: list[str], service: hr.Service, same: Same) -> None:
    dataset = mixed(files)
    ended = dataset.iterate(1)
    list(ended)
    with service.iterate(dataset) as iterator:
        iterator.load_state_dict(ended.state_dict())
        with pytest.raises(StopIteration):
            next(iterator)
        assert iterator.epoch == 1
        same(list(islice(iterator, 9)), list(islice(dataset.iterate(2), 9)))
        assert iterator.epoch == 2


def test_a_dataset_without_a_seed_goes_on_with_that_of_the_state(service: hr.Service) -> None:
    def unseeded() -> hr.Dataset:
        return hr.Dataset.range(2000).shuffle(2000).batch(10)

    with service.iterate(unseeded()) as one, service.iterate(unseeded()) as other:
        first = [next(one) for _ in range(70)]
        next(other)
        other.load_state_dict(one.state_dict())
        seen = np.concatenate([*first, *other])
        assert np.array_equal(np.sort(seen), np.arange(2000))
        here = iter(unseeded())
        here.load_state_dict(one.state_dict())
        assert np.array_equal(np.concatenate([*first, *here]), seen)


def test_what_failed_once_stays_left_out(service: hr.Service, tmp_path: Path) -> None:
    flag = tmp_path / "mended"

    def busy(x: Any) -> Any:
        if x % 100 == 50 and not flag.exists():
            raise OSError("the disk is busy")
        return x

    options = hr.Options(seed=1, on_error="skip")
    dataset = hr.Dataset.range(1000).map(busy).shuffle(64).batch(10).with_options(options)
    expected = list(dataset.iterate(0))
    with service.iterate(dataset) as iterator:
        first = [next(iterator) for _ in range(60)]
        token = iterator.state_dict()
    flag.touch()
    here = dataset.iterate(0)
    here.load_state_dict(token)
    rest = list(here)
    for one, other in zip(first, expected[:60], strict=True):
        assert np.array_equal(one, other)
    known = {50, 150, 250, 350, 450, 550}
    assert not known & set(np.concatenate([*first, *rest]).tolist())


@pytest.fixture
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A server to be killed."""
    made = Daemon(tmp_path_factory.mktemp("k"))
    yield made
    made.stop()


def test_a_state_outlives_its_server_and_a_loaded_one_the_next(
    killed: Daemon, files: list[str], same: Same, processes: Processes, eventually: Eventually
) -> None:
    dataset = mixed(files)
    expected = list(dataset.iterate(0))

    def again() -> None:
        killed.kill()
        eventually(lambda: not processes(killed.folder))
        killed.start()

    killed.start()
    with hr.connect(killed.address) as service:
        first = service.iterate(dataset)
        found = [next(first) for _ in range(100)]
        token = carried(first.state_dict())
        again()
        with service.iterate(dataset) as second:
            second.load_state_dict(token)
            found += [next(second) for _ in range(50)]
            again()
            found += [next(second) for _ in range(30)]
            token = carried(second.state_dict())
            assert token["element"] == 180
            found += list(second)
            same(found, expected)
            second.load_state_dict(token)
            same(list(second), expected[180:])


def test_without_its_server_an_iterator_cannot_say_where_it_stands(
    killed: Daemon, files: list[str], processes: Processes, eventually: Eventually
) -> None:
    killed.start()
    with hr.connect(killed.address, patience_s=12.0) as service:  # a socket tries again every 5 s
        iterator = service.iterate(mixed(files))
        assert iterator.state_dict()["element"] == 0
        next(iterator)
        killed.kill()
        with pytest.raises(hr.ServiceError, match="Once it is back, call state_dict\\(\\) again: nothing is lost"):
            iterator.state_dict()
        eventually(lambda: not processes(killed.folder))
        killed.start()
        assert iterator.state_dict()["element"] == 1
        list(iterator)
        killed.kill()
        assert iterator.state_dict()["ended"]  # that needs no server


class TestRefused:
    """What a server does not go on from."""

    def test_a_state_of_another_pipeline(self, files: list[str], service: hr.Service) -> None:
        here = mixed(files).iterate(0)
        with (
            service.iterate(mixed(files[:2])) as iterator,
            pytest.raises(hr.InvalidArgumentError, match=r"here: from_tensor_slices\(2 rows\)"),
        ):
            iterator.load_state_dict(here.state_dict())

    def test_one_whose_file_has_changed(self, service: hr.Service, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        path.write_text("".join(f"{i}\n" for i in range(3000)))
        dataset = hr.TextLineDataset(str(path)).shuffle(100, seed=1).batch(5).prefetch(1)
        with service.iterate(dataset) as iterator:
            for _ in range(500):
                next(iterator)
            token = iterator.state_dict()
            assert token["state"]
            with path.open("a") as file:
                file.write("one more\n")
            iterator.load_state_dict(token)
            with pytest.raises(hr.FailedPreconditionError, match=r"a\.txt has 13,899 bytes, and had 13,890"):
                next(iterator)
            path.unlink()
            iterator.load_state_dict(token)
            with pytest.raises(hr.FailedPreconditionError, match=r"a\.txt cannot be read: the server does not see it"):
                next(iterator)

    def test_an_epoch_that_is_shorter_than_it_was(self, service: hr.Service) -> None:
        long = hr.Dataset.range(100).filter(lambda x: bool(x % 2)).iterate(0)
        for _ in range(40):
            next(long)
        with service.iterate(hr.Dataset.range(100).filter(lambda x: bool(x % 9 == 0))) as iterator:
            with pytest.warns(hr.FunctionChangedWarning, match="filter"):
                iterator.load_state_dict(long.state_dict())
            with pytest.raises(hr.FailedPreconditionError, match="after 40 elements of epoch 0, which has only 12"):
                next(iterator)

    def test_damaged_states_end_in_errors_and_leave_the_server_well(
        self, files: list[str], service: hr.Service, same: Same
    ) -> None:
        dataset, dice = mixed(files).prefetch(1), random.Random(3)
        expected = list(dataset.iterate(0))
        with service.iterate(dataset) as iterator:
            for _ in range(290):
                next(iterator)
            token = iterator.state_dict()
            state = b85decode(token["state"])
            assert state
            for _ in range(25):
                at = dice.randrange(len(state))
                damaged = state[:at] + dice.randbytes(dice.randint(0, 3)) + state[at + dice.randint(0, 2) :]
                iterator.load_state_dict({**token, "state": b85encode(damaged).decode()})
                try:
                    found = next(iterator)
                except (hr.HeadraceError, StopIteration):
                    continue
                assert isinstance(found, tuple)
            iterator.load_state_dict(token)
            same(list(iterator), expected[290:])
