"""Slabs: what is free, what is lent, and what a peer sees of it."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.pipeline import slabs
from headrace.pipeline.errors import MalformedMessage, ServiceError
from headrace.pipeline.mapping import Mapping, open_memory
from headrace.pipeline.slabs import LEAST_BYTES, Holes, Pool, Region, Slab, memory_file

pytestmark = pytest.mark.skipif(not slabs.SUPPORTED, reason="needs Linux")
MIB = 1 << 20


def pool(limit: int = 8 * MIB, slab_bytes: int = MIB) -> tuple[Pool, list[str]]:
    said: list[str] = []
    return Pool(limit, said.append, slab_bytes), said


def room(owner: Pool, nbytes: int = LEAST_BYTES) -> npt.NDArray[Any]:
    found = owner.allocate(nbytes)
    assert found is not None
    return found


def place(array: npt.NDArray[Any]) -> tuple[str, int]:
    region = Region.under(array)
    assert region is not None
    return region.slab.name, region.offset


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=200))
def test_holes_never_give_the_same_byte_twice_and_lose_none(steps: list[tuple[bool, int]]) -> None:
    size, holes = 100, Holes(100)
    taken: dict[int, int] = {}
    for take, number in steps:
        if take:
            start = holes.take(number)
            free = np.ones(size, bool)
            for low, length in taken.items():
                free[low : low + length] = False
            first = next((i for i in range(size - number + 1) if free[i : i + number].all()), None)
            assert start == first, "the first place with room, whatever was given back in which order"
            if start is not None:
                taken[start] = number
        elif taken:
            start = sorted(taken)[number % len(taken)]
            holes.give(start, taken.pop(start))
    for start, length in taken.items():
        holes.give(start, length)
    assert holes.whole


def test_regions_lie_on_cache_lines_and_apart() -> None:
    owner, _ = pool()
    first, second = room(owner, LEAST_BYTES + 1), room(owner)
    first[...], second[...] = 1, 2
    assert first.ctypes.data % 64 == second.ctypes.data % 64 == 0
    assert (first == 1).all()
    assert (second == 2).all()


def test_a_region_is_free_again_only_when_the_last_view_of_it_is_gone() -> None:
    owner, _ = pool()
    array = room(owner)
    at, view = place(array), array[10:].view(np.int16)[::3]
    del array
    assert place(room(owner)) != at
    del view
    assert place(room(owner)) == at


def test_a_lent_region_is_free_again_only_when_the_peer_has_said_so() -> None:
    owner, _ = pool()
    array = room(owner)
    at, lent = place(array), owner.lend(array)
    assert lent is not None
    del array
    assert place(room(owner)) != at
    owner.freed([(lent[0], lent[1], lent[3])])
    assert place(room(owner)) == at


def test_what_was_lent_twice_is_free_when_the_peer_has_done_with_the_second() -> None:
    owner, _ = pool()
    array = room(owner)
    first, second = owner.lend(array), owner.lend(array)
    assert first is not None
    assert second is not None
    assert first[:3] == second[:3]
    del array
    owner.freed([(first[0], first[1], first[3])])
    assert owner.lent_bytes == LEAST_BYTES
    owner.freed([(second[0], second[1], second[3])])
    assert owner.lent_bytes == 0


def test_what_a_peer_says_of_other_regions_is_ignored() -> None:
    owner, _ = pool()
    array = room(owner)
    owner.lend(array)
    owner.freed([("1/2/0011223344556677", 0, 1), (place(array)[0], 64, 1), (place(array)[0], 0, 99)])
    assert owner.lent_bytes == LEAST_BYTES


def test_a_block_that_lies_elsewhere_is_copied_into_a_slab() -> None:
    owner, _ = pool()
    block = np.arange(LEAST_BYTES, dtype=np.uint8)
    lent = owner.lend(block)
    assert lent is not None
    assert (Mapping(os.getpid()).array(lent) == block).all()


def test_a_region_of_another_pool_is_copied_too() -> None:
    mine, _ = pool()
    other, _ = pool()
    block = room(other)
    block[...] = 7
    lent = mine.lend(block)
    assert lent is not None
    assert lent[0] != place(block)[0]


def test_small_blocks_are_not_shared() -> None:
    owner, said = pool()
    assert owner.allocate(LEAST_BYTES - 1) is None
    assert owner.lend(np.zeros(LEAST_BYTES - 1, np.uint8)) is None
    assert owner.nbytes == 0
    assert said == []


def test_a_full_pool_says_so_once_and_what_helps_and_goes_on_when_there_is_room() -> None:
    owner, said = pool(limit=2 * MIB)
    held = [owner.allocate(MIB) for _ in range(4)]
    assert [each is None for each in held] == [False, False, True, True]
    assert len(said) == 1
    assert "budget_bytes" in said[0]
    held.clear()
    assert owner.allocate(MIB) is not None


@pytest.mark.parametrize("limit", [100_000, MIB + 1, 2 * MIB + 100_000])
def test_all_that_may_be_shared_can_be_used_to_the_last_page(limit: int) -> None:
    owner, said = pool(limit=limit)
    held = []
    while (array := owner.allocate(LEAST_BYTES)) is not None:
        held.append(array)
    assert limit - 2 * LEAST_BYTES < sum(each.nbytes for each in held) <= owner.nbytes <= limit
    assert len(said) == 1


def test_a_block_larger_than_a_slab_has_one_of_its_own() -> None:
    owner, _ = pool()
    assert room(owner, 3 * MIB + 1).nbytes == 3 * MIB + 1
    assert owner.nbytes == 3 * MIB + 4096


def test_where_the_system_has_no_memory_blocks_travel_as_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    owner, said = pool()
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", none_left)
        assert owner.allocate(MIB) is None
        assert owner.lend(np.zeros(MIB, np.uint8)) is None
    assert len(said) == 1
    assert "No space left" in said[0]
    assert "slabs off" in said[0]
    assert owner.allocate(MIB) is not None


def test_empty_slabs_are_given_back_and_others_kept() -> None:
    owner, _ = pool()
    held, passing = room(owner, MIB), room(owner, MIB)
    name = place(passing)[0]
    del passing
    assert owner.retire() == [name]
    assert owner.nbytes == MIB
    assert place(held)[0] != name


def test_memory_of_a_pool_that_is_gone_stays_while_it_is_viewed() -> None:
    owner, _ = pool()
    array = room(owner)
    array[...] = 5
    lent = owner.lend(array)
    assert lent is not None
    seen = Mapping(os.getpid()).array(lent)
    del owner, array
    gc.collect()
    assert (seen == 5).all()


# The reader's side.


def shared() -> tuple[Pool, Mapping]:
    return pool()[0], Mapping(os.getpid())


def test_what_one_side_writes_the_other_sees_in_an_array_that_it_may_write() -> None:
    owner, reader = shared()
    array = room(owner)
    array[:5] = np.frombuffer(b"hello", np.uint8)
    lent = owner.lend(array)
    assert lent is not None
    seen = reader.array(lent)
    assert seen.nbytes == LEAST_BYTES
    assert seen[:5].tobytes() == b"hello"
    assert seen.flags.writeable
    seen[0] = ord("j")
    assert array[:5].tobytes() == b"jello"


def test_a_region_is_in_use_until_its_last_view_is_gone() -> None:
    owner, reader = shared()
    lent = owner.lend(room(owner))
    assert lent is not None
    seen = reader.array(lent)[8:16].view(np.int64)
    assert reader.unused() == []
    del seen
    assert reader.unused() == [[lent[0], lent[1], lent[3]]]
    assert reader.unused() == []


def test_a_region_that_came_twice_is_reported_once_and_as_it_came_last() -> None:
    owner, reader = shared()
    array = room(owner)
    first, second = owner.lend(array), owner.lend(array)
    assert first is not None
    assert second is not None
    one = reader.array(first)
    two = reader.array(second)
    del two
    assert reader.unused() == [], "the first view still lives"
    del one
    assert reader.unused() == [[second[0], second[1], second[3]]]


def test_views_may_end_in_any_thread() -> None:
    owner, reader = shared()
    blocks = []
    for _ in range(8):
        lent = owner.lend(room(owner))
        assert lent is not None
        blocks.append(reader.array(lent))
    threads = [threading.Thread(target=blocks.pop) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    del each, threads
    assert len(reader.unused()) == 8


def test_what_a_forked_child_may_see_is_not_reported() -> None:
    owner, reader = shared()
    lent = owner.lend(room(owner))
    assert lent is not None
    seen = reader.array(lent)
    reader.keep()
    del seen
    assert reader.unused() == []


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["lend", "again", "receive", "drop", "say"]), max_size=120), st.randoms())
def test_what_a_reader_views_never_changes_whatever_comes_in_which_order(steps: list[str], random: Any) -> None:
    """Writer and reader joined by a queue each way; every region is filled with a number of its own."""
    owner, reader = pool(limit=MIB, slab_bytes=4 * LEAST_BYTES)[0], Mapping(os.getpid())
    sent: list[tuple[list[Any], int]] = []
    kept: list[tuple[npt.NDArray[Any], int]] = []
    views: list[tuple[npt.NDArray[Any], int]] = []
    for number, step in enumerate(steps):
        value = number % 251
        if step == "lend" and (array := owner.allocate(LEAST_BYTES)) is not None:
            array[...] = value
            lent = owner.lend(array)
            assert lent is not None
            sent.append((lent, value))
            kept.append((array, value))
            if random.random() < 0.5:
                kept.pop(random.randrange(len(kept)))
            del array
        elif step == "again" and kept:
            array, value = random.choice(kept)
            lent = owner.lend(array)
            assert lent is not None
            sent.append((lent, value))
            del array
        elif step == "receive" and sent:
            lent, value = sent.pop(0)
            views.append((reader.array(lent), value))
        elif step == "drop" and views:
            views.pop(random.randrange(len(views)))
        elif step == "say":
            owner.freed([(each[0], each[1], each[2]) for each in reader.unused()])
        assert all((view == value).all() for view, value in views)
    for lent, _ in sent:
        reader.array(lent)
    views.clear()
    kept.clear()
    owner.freed([(each[0], each[1], each[2]) for each in reader.unused()])
    assert owner.lent_bytes == 0
    owner.retire()
    assert owner.nbytes == 0, "everything is free in the end"


@pytest.mark.parametrize(
    "lent",
    [
        [],
        ["1/2/0011223344556677", 0, 1],
        ["../../etc/passwd", 0, 1, 1],
        ["/dev/shm/../../etc/passwd", 0, 1, 1],
        ["1/2/0011223344556677/../../x", 0, 1, 1],
        ["1/2/0011223344556677", 0, 1, 1],  # of another process
        [7, 0, 1, 1],
        [None, 0, 1, 1],
    ],
)
def test_names_that_are_none_are_refused(lent: list[Any]) -> None:
    with pytest.raises(MalformedMessage, match=r"shared memory"):
        Mapping(os.getpid()).array(lent)


@pytest.mark.parametrize(
    ("offset", "nbytes"),
    [
        (0, MIB + 1),
        (64, MIB),
        (-64, 64),
        (0, -1),
        (MIB + 64, 0),
        (1, 8),
        (1 << 70, 1),
        (64, 1 << 70),
        (0.0, 1),
        (True, 1),
    ],
)
def test_regions_beyond_their_slab_are_refused(offset: Any, nbytes: Any) -> None:
    owner, reader = shared()
    name, _ = place(room(owner))
    with pytest.raises(MalformedMessage, match="shared memory"):
        reader.array([name, offset, nbytes, 1])


def test_a_file_that_is_no_memory_of_ours_is_not_opened(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w+b") as file:
        file.write(bytes(4096))
        with pytest.raises(ServiceError, match="no memory of headrace"):
            open_memory(f"{os.getpid()}/{file.fileno()}/0011223344556677")


def test_memory_that_could_shrink_under_us_is_not_mapped() -> None:
    fd = os.memfd_create("headrace-0011223344556677", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.truncate(fd, 4096)
        with pytest.raises(ServiceError, match="size is not fixed"):
            open_memory(f"{os.getpid()}/{fd}/0011223344556677")
    finally:
        os.close(fd)


def test_nobody_can_shrink_a_slab() -> None:
    name, fd = memory_file(4096)
    other = os.open(f"/proc/{os.getpid()}/fd/{fd}", os.O_RDWR)
    try:
        with pytest.raises(PermissionError):
            os.truncate(other, 0)
        again = open_memory(name)
        assert os.fstat(again).st_size == 4096
        os.close(again)
    finally:
        os.close(other)
        os.close(fd)


def test_memory_of_a_process_that_is_gone_cannot_be_opened() -> None:
    code = "from headrace.pipeline.slabs import memory_file; print(memory_file(4096)[0])"
    name = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    with pytest.raises(ServiceError, match="cannot be opened"):
        open_memory(name)


def test_slabs_and_mappings_leave_no_descriptor_and_no_file_behind() -> None:
    def count() -> tuple[int, list[str]]:
        gc.collect()
        files = sorted(each.name for each in Path("/dev/shm").iterdir() if each.name.startswith("headrace"))
        return len(list(Path("/proc/self/fd").iterdir())), files

    before = count()
    owner, reader = shared()
    lent = owner.lend(room(owner))
    assert lent is not None
    seen = reader.array(lent)
    assert count()[0] > before[0]
    del owner, reader, seen
    assert count() == before


def test_slabs_are_unmapped_when_nothing_refers_to_them() -> None:
    def mapped() -> int:
        return Path("/proc/self/maps").read_text().count("memfd:headrace-")

    before = mapped()
    owner, reader = shared()
    lent = owner.lend(room(owner))
    assert lent is not None
    seen = reader.array(lent)[10:]
    assert mapped() == before + 2
    owner.freed([(lent[0], lent[1], lent[3])])
    reader.retired(owner.retire())
    assert mapped() == before + 1, "the reader's, which is still viewed"
    del seen
    assert mapped() == before


def test_memory_that_cannot_be_mapped_is_an_error_and_not_a_crash() -> None:
    fd = os.memfd_create("empty")
    try:
        with pytest.raises(OSError, match="Invalid argument"):
            Slab("1/2/0011223344556677", fd, owned=False)
    finally:
        os.close(fd)


def test_a_mapping_takes_no_descriptor() -> None:
    owner, reader = shared()
    lent = owner.lend(room(owner))
    assert lent is not None
    before = len(list(Path("/proc/self/fd").iterdir()))
    seen = reader.array(lent)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert seen.nbytes == LEAST_BYTES


def test_a_slab_knows_its_size() -> None:
    assert Slab(*memory_file(8192), owned=True).nbytes == 8192
