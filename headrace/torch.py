"""hr.torch: a loader that gives PyTorch tensors, epoch after epoch.

>>> from headrace import Dataset
>>> batches = loader(Dataset.range(10).map(lambda n: {"x": n}).batch(4))
>>> [batch["x"].tolist() for batch in batches]
[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from .client.iterator import ServiceIterator
from .client.service import Service
from .pipeline.dataset import Dataset, Options
from .pipeline.errors import FailedPreconditionError, HeadraceError, InvalidArgumentError, ServiceError
from .pipeline.sources import seed_of
from .pipeline.structure import Element

try:
    import torch
    from torch import distributed
    from torch.utils.data import IterableDataset, get_worker_info
except ImportError as error:
    raise ImportError("headrace.torch needs PyTorch: pip install 'headrace[torch]'", name="torch") from error

__all__ = ["Loader", "as_tensors", "loader"]

#: Of what `state_dict` gives.
VERSION = 1


def loader(
    dataset: Dataset,
    service: Service | None = None,
    *,
    rank: int | None = None,
    world: int | None = None,
    pin_memory: bool | None = None,
) -> Loader:
    """Where a training loop takes a DataLoader: the elements of a dataset, batches as a rule, as tensors.

    Args:
        dataset: a pipeline that ends in batches; use it in place of a DataLoader, not inside one.
        service: where its functions run; None for this process.
        rank, world: which of how many training processes this is. Without them `torch.distributed` is asked
            where it is initialised, then RANK and WORLD_SIZE, else there is one. Each rank takes every
            world-th batch, and a last round that is not full is left out on all, so that all have as many.
        pin_memory: whether tensors lie in pinned memory; None for where there is a GPU to copy them to.

    Raises:
        InvalidArgumentError: arguments that do not fit together.
        FailedPreconditionError: pinned memory without a GPU.

    >>> [batch.tolist() for batch in loader(Dataset.range(7).batch(2).with_options(Options(seed=1)), rank=1, world=2)]
    [[2, 3], [6]]
    """
    if not isinstance(dataset, Dataset):
        raise InvalidArgumentError(f"loader takes a headrace Dataset, not {type(dataset).__name__}")
    if (rank is None) != (world is None):
        raise InvalidArgumentError(f"rank={rank}, world={world}: give both or neither")
    if rank is not None and world is not None and not 0 <= rank < world:
        raise InvalidArgumentError(f"rank={rank}, world={world}: rank must be at least 0 and below world")
    if pin_memory and not torch.cuda.is_available():
        raise FailedPreconditionError("pin_memory=True needs a GPU, and PyTorch finds none: leave it at None")
    return Loader(dataset, service, None if rank is None or world is None else (rank, world), pin_memory)


@dataclass(slots=True)
class Cursor:
    """How far an epoch has come: batches and failed elements, of all ranks together, up to the last full round."""

    epoch: int = 0
    batches: int = 0
    errors: int = 0


class Loader(IterableDataset[Any]):
    """Epochs of tensors; `loader` makes one.

    Each `for` is the next epoch, also after a `break`; an `iter()` of which nothing is taken is none. Arrays become
    tensors over the same memory, which is yours; text stays `bytes`, arrays of text become lists of them; dicts and
    tuples are kept. An element that failed raises, and `next()` goes on behind it.

    `state_dict()` is where the newest iteration stands, in plain numbers, and `load_state_dict` makes the next one go
    on from there, in any number of ranks and with or without a service. It computes what was delivered of that epoch
    once more and passes over it.
    """

    def __init__(
        self, dataset: Dataset, service: Service | None, place: tuple[int, int] | None, pin_memory: bool | None
    ) -> None:
        super().__init__()
        self._dataset, self._service, self._place, self._pin = dataset, service, place, pin_memory
        self._cursor = Cursor()  #: Of the newest iteration.
        self._next: Cursor | None = Cursor()  #: Where the next one begins; None for the epoch after the newest one's.
        self._idle: ServiceIterator | None = None  #: At the end of its epoch.

    def __iter__(self) -> Epoch:
        self._check_worker()
        rank, world = self._where()
        if world > 1 and seed_of(self._dataset.node) is None:
            raise FailedPreconditionError(
                f"{world} ranks must draw the same numbers, and this dataset has no seed: "
                "dataset.with_options(headrace.Options(seed=...))"
            )
        return Epoch(self, rank, world, torch.cuda.is_available() if self._pin is None else self._pin)

    def _begin(self) -> tuple[Cursor, Iterator[Element]]:
        """The next epoch, or the rest of it: where it begins, and its elements. From now on it is the newest."""
        start = self._next or Cursor(self._cursor.epoch + 1)
        source = self._open(start.epoch)
        self._cursor, self._next = replace(start), None
        return start, source

    def __len__(self) -> int:
        """How many batches of an epoch this rank gets; TypeError where only reading tells."""
        return len(self._dataset) // self._where()[1]

    def set_epoch(self, epoch: int) -> None:
        """Begin this epoch with the next `iter()`; where a loaded state stands within it, go on from there."""
        if epoch < 0:
            raise InvalidArgumentError(f"epoch is {epoch}: epochs count from 0")
        if self._next is None or self._next.epoch != epoch:
            self._next = Cursor(epoch)

    def state_dict(self) -> dict[str, int]:
        """Epoch, batches and errors, all ranks together, and the seed: five numbers that JSON can hold.

        >>> batches = loader(Dataset.range(6).batch(2).with_options(Options(seed=7)))
        >>> first = next(iter(batches))
        >>> batches.state_dict()
        {'version': 1, 'seed': 7, 'epoch': 0, 'batches': 1, 'errors': 0}
        """
        return {"version": VERSION, "seed": self._dataset.seed, **asdict(self._next or self._cursor)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there with the next `iter()`.

        Raises:
            InvalidArgumentError: it is no such state, is of a later version, or of a dataset with another seed.
        """
        cursor, seed = _read(state)
        if seed != self._dataset.seed:
            if (own := seed_of(self._dataset.node)) is not None:
                raise InvalidArgumentError(f"the state is of seed {seed}, this dataset has {own}: use the same Options")
            self._dataset = self._dataset.with_options(Options(seed=seed))
            self._drop_idle()
        self._next = cursor

    def close(self) -> None:
        """Give back what the service keeps for the next epoch. The loader can be used again."""
        self._drop_idle()

    def __repr__(self) -> str:
        cursor = self._next or self._cursor
        where = "in this process" if self._service is None else f"on {self._service!r}"
        return f"<Loader of {self._dataset!r} {where}: epoch {cursor.epoch}, after {cursor.batches} batches>"

    def _where(self) -> tuple[int, int]:
        """Rank and world: asked for late, since trainers set them up after their loaders."""
        if self._place is not None:
            return self._place
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return _from_environment()

    def _open(self, epoch: int) -> Iterator[Element]:
        if self._service is None:
            return self._dataset.iterate(epoch)
        if self._idle is not None and self._idle.epoch + 1 == epoch:
            idle, self._idle = self._idle, None
            return iter(idle)
        self._drop_idle()
        return self._service.iterate(self._dataset, epoch=epoch)

    def _drop_idle(self) -> None:
        if self._idle is not None:
            self._idle.close()
            self._idle = None

    def _ended(self, cursor: Cursor, source: Iterator[Element]) -> None:
        """An epoch came to its end: its service iterator can open the next one."""
        if cursor is self._cursor and self._next is None:
            self._next = Cursor(self._cursor.epoch + 1)
        if isinstance(source, ServiceIterator):
            self._drop_idle()
            self._idle = source

    @staticmethod
    def _check_worker() -> None:
        if get_worker_info() is not None:
            raise FailedPreconditionError(
                "a headrace loader in a DataLoader with workers would give every batch once in each of them: "
                "iterate it directly, or use DataLoader(loader, batch_size=None)"
            )


class Epoch(Iterator[Any]):
    """One epoch of a loader on one rank."""

    def __init__(self, loader: Loader, rank: int, world: int, pin: bool) -> None:
        self._loader, self._rank, self._world, self._pin = loader, rank, world, pin
        self._source: Iterator[Element] | None = (
            None  #: Opened with the first `next()`: trainers call `iter()` to look.
        )
        self._cursor = Cursor()
        self._seen, self._errors = 0, 0
        self._behind: Cursor | None = None  #: To be passed over first.
        self._turn = 0  #: Whose batch comes next.
        self._mine: Element = None
        self._closed = False

    def __next__(self) -> Any:
        if self._closed:
            raise StopIteration
        if self._source is None:
            self._behind, self._source = self._loader._begin()
            self._cursor = self._loader._cursor
        try:
            if self._behind is not None:
                self._pass_over(self._behind, self._source)
            return as_tensors(self._round(self._source), pin_memory=self._pin)
        except StopIteration:
            self._closed = True
            self._loader._ended(self._cursor, self._source)
            raise

    def _round(self, source: Iterator[Element]) -> Element:
        """One batch for each rank; ours."""
        while self._turn < self._world:
            batch = self._take(source)
            if self._turn == self._rank:
                self._mine = batch
            self._turn += 1
        self._cursor.batches, self._cursor.errors = self._seen, self._errors
        mine, self._mine, self._turn = self._mine, None, 0
        return mine

    def _take(self, source: Iterator[Element]) -> Element:
        try:
            batch = next(source)
        except ServiceError:
            raise  # about the way to the server, not about an element
        except HeadraceError:
            self._errors += 1
            raise
        self._seen += 1
        return batch

    def _pass_over(self, behind: Cursor, source: Iterator[Element]) -> None:
        """What a former loader has delivered of this epoch."""
        while self._seen < behind.batches:
            try:
                self._take(source)
            except StopIteration:
                raise FailedPreconditionError(
                    f"the loaded state stands after {behind.batches} batches of epoch {behind.epoch}, which has only "
                    f"{self._seen}: was it taken with another dataset?"
                ) from None
            except HeadraceError:
                if self._errors > behind.errors:
                    raise
        self._behind = None

    def close(self) -> None:
        """Leave this epoch; its computing stops."""
        if not self._closed:
            self._closed = True
            if isinstance(self._source, ServiceIterator):
                self._source.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close()


def as_tensors(element: Element, pin_memory: bool = False) -> Any:
    """An element with tensors in place of its arrays, over the same memory.

    Dicts, tuples and named tuples are kept, `bytes` too; an array of them becomes a list. `pin_memory` copies to
    pinned memory.

    Raises InvalidArgumentError, naming the component: a dtype that PyTorch does not have.

    >>> as_tensors({"x": np.array([1.5, 2.5]), "name": b"a"})
    {'x': tensor([1.5000, 2.5000], dtype=torch.float64), 'name': b'a'}
    """
    return _converted(element, "", pin_memory)


def _converted(value: Any, name: str, pin: bool) -> Any:
    if isinstance(value, dict):
        return {key: _converted(each, _below(name, key), pin) for key, each in value.items()}
    if isinstance(value, tuple):
        parts = [_converted(each, _below(name, key), pin) for key, each in _named(value)]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, bytes):
        return value
    array = np.asarray(value)
    if array.dtype == object:
        return array.tolist()
    try:
        tensor = torch.from_numpy(array)
    except TypeError as error:
        raise InvalidArgumentError(
            f"component {name or '0'} is {array.dtype}, which PyTorch does not have: change it with map"
        ) from error
    return tensor.pin_memory() if pin else tensor


def _named(value: tuple[Any, ...]) -> Iterator[tuple[Any, Any]]:
    return zip(getattr(value, "_fields", range(len(value))), value, strict=True)


def _below(name: str, key: Any) -> str:
    return f"{name}.{key}" if name else str(key)


def _read(state: Mapping[str, Any]) -> tuple[Cursor, int]:
    version = state.get("version") if isinstance(state, Mapping) else None
    if version != VERSION:
        raise InvalidArgumentError(
            f"the state is of version {version!r}, this headrace reads {VERSION}"
            if version is not None
            else "this is no state of a headrace loader: it has no version"
        )
    numbers: list[Any] = [state.get(name) for name in ("epoch", "batches", "errors", "seed")]
    if not all(type(each) is int for each in numbers) or min(numbers[:3]) < 0:
        raise InvalidArgumentError(f"the state holds {dict(state)}: its numbers are missing or no counts")
    return Cursor(*numbers[:3]), numbers[3]


def _from_environment() -> tuple[int, int]:
    """As torchrun and its like set them."""
    rank, world = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if world in (None, "1"):
        return 0, 1
    try:
        found = int(rank or ""), int(world or "")
    except ValueError:
        found = (0, 0)
    if not 0 <= found[0] < found[1]:
        raise FailedPreconditionError(
            f"RANK is {rank!r} and WORLD_SIZE is {world!r}: set both, or give rank= and world= to the loader"
        )
    return found
