"""What failed and was decided stays so in the simulated cluster, though the function would succeed from then on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from headrace.broker import marks
from headrace.broker.book import Book, Fact, Judged
from headrace.broker.run import Limits
from headrace.pipeline.dataset import Dataset, Options
from headrace.pipeline.verdicts import Verdict

from .cluster import Cluster
from .disk import Disk
from .weather import Faults, Lost

#: Seeds of each pipeline; how many are tried without the safeguard, and how many of them must go wrong.
SEEDS, TRIED, WRONG = 12, 60, 3

FAULTS = Faults(drop=0.05, server_crashes=0.5, worker_crashes=0.3, client_crashes=0.2)
LIMITS = Limits(rows_each=5, splits_least=1, parcel_bytes=1, checkpoint_elements=3, least_s=0, checkpoint_s=0.2)


class Healing:
    """Fails at some elements until it is on disk that they failed."""

    def __init__(self) -> None:
        self.healed: set[int] = set()

    def __call__(self, x: Any) -> Any:
        if x % 5 == 2 and int(x) not in self.healed:
            raise OSError("the disk was busy")
        return x


@pytest.fixture
def healing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Healing]:
    """A function that succeeds as soon as it is too late."""
    function, commit = Healing(), Disk.commit

    def note(disk: Disk) -> None:
        verdicts = [Verdict.from_data(fact.verdict) for fact in disk.pending if isinstance(fact, Judged)]
        commit(disk)
        function.healed |= {each.spot.offset for each in verdicts if each.spot is not None}

    monkeypatch.setattr(Disk, "commit", note)
    yield function
    assert function.healed, "nothing was decided"


def pipeline(name: str, heal: Healing) -> Dataset:
    numbers = Dataset.range(24)
    skipping = Options(on_error="skip", seed=5)
    match name:
        case "skipped":
            return numbers.map(heal).shuffle(6, seed=1).batch(3).with_options(skipping)
        case "skipped behind a hop":
            return numbers.shuffle(8, seed=2).map(heal).enumerate().batch(3).with_options(skipping)
        case "ignored before a hop":
            ignored = numbers.map(heal).ignore_errors().shuffle(8, seed=2)
            return ignored.map(lambda x: x + 1).batch(3).with_options(skipping)
        case "skipped with its dataset":
            return numbers.flat_map(lambda x: Dataset.range(heal(x), x + 2)).batch(4).with_options(skipping)
        case "ignored":
            return numbers.map(heal).ignore_errors().enumerate().shuffle(5, seed=1).with_options(Options(seed=5))
        case _:
            return numbers.map(heal).shuffle(6, seed=1).batch(3).with_options(Options(seed=5))


@pytest.fixture(params=[128 << 10, 0], ids=["", "with marks"])
def little(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints tell what is under way, or where its input stood before."""
    monkeypatch.setattr(marks, "LITTLE", request.param)


def play(seed: int, name: str, heal: Healing) -> Cluster:
    """One epoch to its end; Lost where it differs from one in which the function never recovers."""
    heal.healed.clear()
    return Cluster(seed, pipeline(name, heal), epochs=1, faults=FAULTS, limits=LIMITS).run(limit_s=100.0)


NAMES = ("skipped", "skipped behind a hop", "ignored before a hop", "skipped with its dataset", "ignored", "raised")


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("name", NAMES)
def test_what_was_decided_stays_so(healing: Healing, name: str) -> None:
    crashes = 0
    for seed in range(SEEDS):
        try:
            crashes += play(seed, name, healing).host.crashes
        except Exception as error:
            error.add_note(f"seed {seed} of {name!r}")
            raise
    assert crashes > SEEDS, "too few servers died"


@pytest.mark.parametrize("name", NAMES)
def test_without_verdicts_in_the_journal_runs_go_wrong(
    healing: Healing, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = Book.apply

    def forget(book: Book, fact: Fact) -> None:
        if not isinstance(fact, Judged):
            apply(book, fact)

    monkeypatch.setattr(Book, "apply", forget)
    assert sum(goes_wrong(range(TRIED), name, healing)) == WRONG


def goes_wrong(seeds: Iterable[int], name: str, heal: Healing) -> Iterator[bool]:
    """Of seeds, up to some that do, whether the cluster notices."""
    wrong = 0
    for seed in seeds:
        try:
            play(seed, name, heal)
        except (AssertionError, KeyError, Lost):
            wrong += 1
            yield True
        if wrong == WRONG:
            return
