"""Shared memory in the real service: who may write, what stays, what is left behind."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import headrace as hr
from headrace.pipeline import slabs

from .serving import Daemon

pytestmark = pytest.mark.skipif(not slabs.SUPPORTED, reason="needs Linux")

Eventually = Callable[..., Any]
Processes = Callable[..., list[int]]
Folder = Callable[[hr.Service], Path]
Same = Callable[[Any, Any], None]
MIB = 1 << 20


def picture(x: Any, rng: np.random.Generator) -> tuple[npt.NDArray[np.uint8], Any]:
    """About 100 kB that depend on x and the epoch."""
    return np.full((100, 1000), x & 0xFF, np.uint8) ^ rng.integers(256, dtype=np.uint8), x


def pictures(count: int, size: int = 8) -> hr.Dataset:
    return hr.Dataset.range(count).map(picture).shuffle(40, seed=3).batch(size)


def mapped(pid: int | str = "self") -> list[str]:
    """The slabs that a process has mapped, by name."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return sorted({line.partition("memfd:")[2].split()[0] for line in lines if "memfd:headrace-" in line})


@pytest.fixture(scope="module")
def sharing() -> Any:
    """A service whose blocks lie in shared memory."""
    with hr.serve(workers=2) as service:
        yield service


def test_batches_are_the_same_with_slabs_and_without(sharing: hr.Service, same: Same) -> None:
    dataset = pictures(200)
    with sharing.iterate(dataset) as iterator:
        got = [list(iterator) for _ in range(2)]
        assert mapped(), "nothing was shared"
    same(got, [list(dataset.iterate(epoch)) for epoch in range(2)])
    before = mapped()
    with hr.serve(workers=2, slabs=False) as service, service.iterate(dataset) as iterator:
        same([next(iterator), *iterator], got[0])
        assert mapped() == before, "something was shared"


def test_what_is_delivered_is_writable_and_nobody_elses(sharing: hr.Service, same: Same) -> None:
    dataset, seen = pictures(160), []
    with sharing.iterate(dataset) as iterator:
        for images, labels in iterator:
            seen.append((images.copy(), labels.copy()))
            images[...] = 0
            labels += 1000
    same(seen, list(dataset.iterate(0)))


def test_what_is_kept_does_not_change_while_the_service_goes_on(sharing: hr.Service, same: Same) -> None:
    dataset = pictures(160)
    with sharing.iterate(dataset) as iterator:
        kept = [images[2:4, ::3] for images, _ in iterator]  # a view of each batch, in epoch 0
        for _ in range(3):
            for images, _ in iterator:
                images[...] = 255
    expected = [images[2:4, ::3] for images, _ in dataset.iterate(0)]
    same(kept, expected)


def test_what_is_kept_outlives_iterator_and_service(same: Same) -> None:
    dataset = pictures(64)
    with hr.serve(workers=1) as service:
        kept = list(service.iterate(dataset))
    gc.collect()
    same(kept, list(dataset.iterate(0)))


def test_a_loop_that_keeps_everything_is_given_all_and_told_once(capfd: Any, same: Same) -> None:
    dataset = hr.Dataset.range(50).map(lambda x: np.full(4 * MIB, x, np.uint8))
    with hr.serve(workers=2, budget_bytes=8 * MIB) as service, service.iterate(dataset) as iterator:
        kept = list(iterator)  # half as much again as may be shared
        again = [int(each[-1]) for each in iterator]
    same([(int(each[0]), int(each.min()), int(each.max())) for each in kept], [(x, x, x) for x in range(50)])
    assert again == list(range(50))
    told = [line for line in capfd.readouterr().err.splitlines() if "may be shared" in line]
    assert len(told) == 1
    assert "all 128 MiB" in told[0]
    assert "budget_bytes" in told[0]


def test_memory_is_used_again_and_bounded(processes: Processes, run_folder: Folder) -> None:
    dataset, budget = pictures(320), 16 * MIB
    most = 0
    with hr.serve(workers=2, budget_bytes=budget) as service, service.iterate(dataset) as iterator:
        for _ in range(3):
            for count, _ in enumerate(iterator):
                if count % 8 == 0:
                    each = [shared_by(pid) for pid in (os.getpid(), *processes(run_folder(service)))]
                    most = max(most, sum({name: size for found in each for name, size in found.items()}.values()))
    # Of 96 MB that went through, the shuffle holds 4, and some wait. Slabs have 32 MiB: one each, and room for a few.
    assert 0 < most <= 5 * 32 * MIB


def shared_by(pid: int) -> dict[str, int]:
    """Slabs that a process has mapped, and their sizes."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    found = {}
    for line in lines:
        if "memfd:headrace-" in line:
            low, _, high = line.split()[0].partition("-")
            found[line.partition("memfd:")[2].split()[0]] = int(high, 16) - int(low, 16)
    return found


def test_idle_workers_give_their_memory_back(processes: Processes, run_folder: Folder, eventually: Eventually) -> None:
    with hr.serve(workers=2) as service:
        with service.iterate(pictures(160)) as iterator:
            list(iterator)
        for pid in processes(run_folder(service)):
            eventually(lambda: not [name for name, size in shared_by(pid).items() if size >= MIB])  # noqa: B023


def test_workers_that_are_killed_while_their_blocks_are_held_change_nothing(
    processes: Processes, run_folder: Folder, eventually: Eventually, same: Same
) -> None:
    dataset, killed = pictures(600), set[int]()
    with hr.serve(workers=2, budget_bytes=4 * MIB) as service, service.iterate(dataset) as iterator:
        got = []
        for batch in iterator:
            got.append(batch)
            if len(got) % 20 == 5:
                fresh = eventually(lambda: set(processes(run_folder(service), "worker")) - killed)  # noqa: B023
                killed |= fresh
                for pid in fresh:
                    os.kill(pid, signal.SIGKILL)
    same(got, list(dataset.iterate(0)))
    assert len(killed) > 4


def test_a_server_that_is_killed_and_started_again_shares_memory_anew(
    processes: Processes, eventually: Eventually, same: Same, tmp_path_factory: pytest.TempPathFactory
) -> None:
    daemon, dataset = Daemon(tmp_path_factory.mktemp("d")), pictures(320)
    daemon.start("--budget-bytes=4000000")
    seen: list[set[str]] = []
    try:
        with hr.connect(daemon.address) as service:
            got = []
            for batch in service.iterate(dataset):
                got.append(batch)
                if len(got) in (12, 24):
                    seen.append(set(mapped()))
                    daemon.kill()
                    eventually(lambda: not processes(daemon.folder))
                    daemon.start("--budget-bytes=4000000")
            seen.append(set(mapped()))
    finally:
        daemon.stop()
    same(got, list(dataset.iterate(0)))
    assert seen[0] < seen[1] < seen[2], "what is kept of each life stays, and each shares memory of its own"


def test_nothing_is_left_when_a_service_is_closed_or_its_server_killed(
    processes: Processes, run_folder: Folder
) -> None:
    def left() -> tuple[list[str], list[str]]:
        gc.collect()
        return mapped(), [each.name for each in Path("/dev/shm").iterdir() if each.name.startswith("headrace")]

    before = left()
    with hr.serve(workers=1) as service, service.iterate(pictures(64)) as iterator:
        list(iterator)
    assert left() == before
    with hr.serve(workers=1) as service, service.iterate(pictures(64)) as iterator:
        kept = next(iterator)
        (server,) = processes(run_folder(service), "server")
        os.kill(server, signal.SIGKILL)
    assert len(left()[0]) == len(before[0]) + 1, "what is kept can still be read"
    assert kept[0].sum() > 0
    del kept, iterator
    assert left() == before


def test_many_jobs_share_at_once(sharing: hr.Service, same: Same) -> None:
    datasets = [pictures(80, size) for size in (4, 5, 8)]
    iterators = [sharing.iterate(each) for each in datasets]
    got: list[list[Any]] = [[], [], []]
    for _ in range(10):
        for found, iterator in zip(got, iterators, strict=True):
            found.append(next(iterator))
    for found, iterator in zip(got, iterators, strict=True):
        found += list(iterator)
        iterator.close()
    same(got, [list(each.iterate(0)) for each in datasets])


def test_ragged_columns_and_text_are_shared(sharing: hr.Service, same: Same) -> None:
    def parts(x: Any) -> dict[str, Any]:
        return {
            "text": b"%d," % x * 3000,
            "numbers": np.arange(int(x) % 7 * 2000),
            "words": np.array([b"a", b"bb" * int(x)]),
        }

    dataset = hr.Dataset.range(90).map(parts)
    with sharing.iterate(dataset) as iterator:
        same(list(iterator), list(dataset.iterate(0)))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # newer Pythons warn of any fork beside threads
def test_a_forked_child_keeps_what_it_sees(sharing: hr.Service) -> None:
    dataset = pictures(400)
    with sharing.iterate(dataset) as iterator:
        images, _ = next(iterator)
        expected, (reading, writing) = int(images.sum()), os.pipe()
        child = os.fork()
        if not child:
            os.close(writing)
            os.read(reading, 1)  # until the parent has dropped its own view, and gone on
            os._exit(0 if int(images.sum()) == expected else 1)
        os.close(reading)
        del images
        for images, _ in iterator:
            images[...] = 0
        os.close(writing)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
