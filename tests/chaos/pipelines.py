"""What chaos is let loose on: pipelines by name, thousands of elements each, and what they give undisturbed.

`deadly` functions do something to their own process at one element, once or each time it is tried.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

import headrace as hr
from headrace.digest import Digest

__all__ = ["PIPELINES", "Outcome", "outcome_of", "undisturbed"]

#: A digest of an element, or the kind of its error.
Outcome: TypeAlias = str

RECORDS, SIZE, BUFFER = 2000, 20, 300
#: The element at which functions do what they do.
AT = 1357


def noisy(x: Any, rng: np.random.Generator) -> Any:
    return x * 1000 + rng.integers(1000), np.full(250, x)


def records(folder: Path) -> hr.Dataset:
    """The numbers from 0 to 1999, twice, out of files."""
    path = folder / "numbers.tfrecord"
    if not path.exists():
        with hr.io.TFRecordWriter(path) as writer:
            for number in range(RECORDS):
                writer.write(b"%08d" % number)
    return hr.TFRecordDataset([str(path), str(path)]).map(lambda record: int(record))


def batches(numbers: hr.Dataset) -> hr.Dataset:
    """Not much is computed ahead: a fault finds all of them at work."""
    numbers = numbers.with_options(hr.Options(seed=11))  # the same numbers in every process
    return numbers.map(noisy).shuffle(BUFFER, seed=1).batch(SIZE).map(lambda x, y: (x, y.sum(axis=1))).prefetch(2)


def plain(folder: Path) -> hr.Dataset:
    """From files, with a function that draws random numbers; shuffled and batched."""
    return batches(records(folder))


def nested(folder: Path) -> hr.Dataset:
    """Datasets inside a dataset."""
    inside = hr.Dataset.range(80).interleave(lambda n: hr.Dataset.range(int(n) * 7 % 100).shuffle(20).map(noisy), 5, 2)
    return inside.with_options(hr.Options(seed=11)).shuffle(BUFFER, seed=1).batch(SIZE).prefetch(2)


def deadly(do: Callable[[], None], folder: Path | None = None) -> Callable[[Any], Any]:
    """A function that does this where it is given AT: each time, or once where a folder can tell that it was."""

    def maybe(x: Any) -> Any:
        if x == AT and (folder is None or first(folder / "done")):
            do()
        return x

    return maybe


def first(mark: Path) -> bool:
    """Whether this was not asked before; once for the world."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def segfault() -> None:
    ctypes.string_at(8)


def be_killed() -> None:
    """As the kernel does to who takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    while True:
        pass


def rest() -> None:
    """Nothing."""


def fail() -> None:
    raise RuntimeError


def limited(what: int, limit: int, use: Callable[[], object]) -> None:
    """With less than there is of something."""
    before = resource.getrlimit(what)
    resource.setrlimit(what, (limit, before[1]))
    try:
        use()
    finally:
        resource.setrlimit(what, before)


def take_memory() -> None:
    """MemoryError: no more than it has, and a little, is left to this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limited(resource.RLIMIT_AS, pages * os.sysconf("SC_PAGE_SIZE") + (16 << 20), lambda: np.ones(1 << 30, np.uint8))


def take_disk() -> None:
    """OSError: no file may grow past 4 KiB."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with tempfile.NamedTemporaryFile("wb", buffering=0) as file:
        limited(resource.RLIMIT_FSIZE, 4096, lambda: [file.write(bytes(4096)) for _ in range(3)])
    signal.signal(signal.SIGXFSZ, before)


def take_descriptors() -> None:
    """OSError: there is no descriptor left."""
    limited(resource.RLIMIT_NOFILE, 0, lambda: Path("/dev/null").open())  # noqa: SIM115  (it never opens)


def mapped(do: Callable[[], None], once: bool = False) -> Callable[[Path], hr.Dataset]:
    return lambda folder: batches(records(folder).map(deadly(do, folder if once else None)))


def filtered(do: Callable[[], None]) -> Callable[[Path], hr.Dataset]:
    """What it does, it does in a predicate."""
    function = deadly(do)
    return lambda folder: batches(records(folder).filter(lambda x: bool(function(x) >= 0)))


def inside(do: Callable[[], None]) -> Callable[[Path], hr.Dataset]:
    """What it does, it does in a dataset inside a dataset."""
    function = deadly(do)

    def hundred(n: Any) -> hr.Dataset:
        return hr.Dataset.range(100).map(lambda x: x + 100 * n).map(function)

    return lambda folder: batches(hr.Dataset.range(40).flat_map(hundred))


PIPELINES: dict[str, Callable[[Path], hr.Dataset]] = {
    "plain": plain,
    "nested": nested,
    "segfault once": mapped(segfault, once=True),
    "killed once": mapped(be_killed, once=True),
    "hang once": mapped(hang, once=True),
    "memory": mapped(take_memory),
    "disk": mapped(take_disk),
    "descriptors": mapped(take_descriptors),
    "poison in map": mapped(be_killed),
    "poison in filter": filtered(segfault),
    "poison inside": inside(be_killed),
    "hang in map": mapped(hang),
    "hang in filter": filtered(hang),
    "hang inside": inside(hang),
    "calm": mapped(rest),
    "fail in map": mapped(fail),
    "fail in filter": filtered(fail),
    "fail inside": inside(fail),
}

#: What cannot be run in the process of the tests gives what a function that fails gives, with another error.
INSTEAD = {
    "segfault once": "calm",
    "killed once": "calm",
    "hang once": "calm",
    "poison in map": "fail in map",
    "poison in filter": "fail in filter",
    "poison inside": "fail inside",
    "hang in map": "fail in map",
    "hang in filter": "fail in filter",
    "hang inside": "fail inside",
}


def outcome_of(iterator: Iterator[Any]) -> Outcome | None:
    """The next element's digest, or the kind of its error; None at the end."""
    try:
        element = next(iterator)
    except StopIteration:
        return None
    except hr.HeadraceError as error:
        return type(error).__name__
    digest = Digest()
    digest.add(element)
    return digest.hexdigest()


@cache
def undisturbed(name: str) -> tuple[Outcome, ...]:
    """All outcomes of epoch 0, from one process in which nothing happens."""
    with tempfile.TemporaryDirectory() as folder:
        iterator = iter(PIPELINES[INSTEAD.get(name, name)](Path(folder)).iterate(0))
        found = tuple(iter(lambda: outcome_of(iterator), None))
    return tuple(
        "PoisonError" if name in INSTEAD and each == "FunctionError" else each for each in found if each is not None
    )
