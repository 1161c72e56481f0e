"""hr.torch: a loader that gives PyTorch tensors, epoch after epoch.

>>> from headrace import Dataset
>>> batches = loader(Dataset.range(10).map(lambda n: {"x": n}).batch(4))
>>> [batch["x"].tolist() for batch in batches]
[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .client.iterator import ServiceIterator
from .client.service import Service
from .pipeline.dataset import Dataset, Options
from .pipeline.errors import (
    FailedPreconditionError,
    FunctionChangedWarning,
    HeadraceError,
    InvalidArgumentError,
    ServiceError,
)
from .pipeline.fingerprint import fingerprint
from .pipeline.local import LocalIterator
from .pipeline.sources import seed_of
from .pipeline.structure import Element
from .pipeline.token import Token, accept, unpack_state

try:
    import torch
    from torch import distributed
    from torch.utils.data import IterableDataset, get_worker_info
except ImportError as error:
    raise ImportError("headrace.torch needs PyTorch: pip install 'headrace[torch]'", name="torch") from error

__all__ = ["Loader", "as_tensors", "loader"]

#: The format of states that loaders had of their own.
OLD = 1


def loader(
    dataset: Dataset,
    service: Service | None = None,
    *,
    rank: int | None = None,
    world: int | None = None,
    pin_memory: bool | None = None,
    name: str | None = None,
) -> Loader:
    """Where a training loop takes a DataLoader: the elements of a dataset, batches as a rule, as tensors.

    Args:
        dataset: a pipeline that ends in batches; use it in place of a DataLoader, not inside one.
        service: where its functions run; None for this process.
        rank, world: which of how many training processes this is. Without them `torch.distributed` is asked
            where it is initialised, then RANK and WORLD_SIZE, else there is one. Each rank takes every
            world-th batch, and a last round that is not full is left out on all, so that all have as many.
        pin_memory: whether tensors lie in pinned memory; None for where there is a GPU to copy them to.
        name: of the job that all ranks share on a service, as consumers of it: each batch is then computed once and
            sent to one rank alone. Another training says another name. Without it each rank has a job of its own.

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
    if name is not None and service is None:
        raise InvalidArgumentError(f"name={name!r} is of a job on a service: give service=, too")
    return Loader(dataset, service, None if rank is None or world is None else (rank, world), pin_memory, name)


@dataclass(slots=True, eq=False)
class Reading:
    """An epoch that is being read, by all ranks together: its elements, and how many were taken, failed ones too."""

    source: LocalIterator | ServiceIterator
    taken: int
    dealt: int = field(init=False)  #: Up to the last full round.
    left: bool = False  #: Whether its loop was left.

    def __post_init__(self) -> None:
        self.dealt = self.taken

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, after the last full round."""
        state = self.source.state_dict()
        if self.taken == self.dealt:
            return state
        token = replace(Token.from_dict(state), element=self.dealt)
        held = unpack_state(token.state)
        return (token if held is None or held["cursor"] <= self.dealt else replace(token, state=b"")).to_dict()

    def close(self) -> None:
        """Its computing stops."""
        if isinstance(self.source, ServiceIterator):
            self.source.close()


class Loader(IterableDataset[Any]):
    """Epochs of tensors; `loader` makes one.

    Each `for` is the next epoch, also after a `break`; an `iter()` of which nothing is taken is none. Arrays become
    tensors over the same memory, which is yours; text stays `bytes`, arrays of text become lists of them; dicts and
    tuples are kept. An element that failed raises, and `next()` goes on behind it.

    `state_dict()` is where the newest iteration stands, as iterators tell it (see `token`), and `load_state_dict` makes
    the next one go on from there, in any number of ranks and with or without a service.
    """

    def __init__(
        self,
        dataset: Dataset,
        service: Service | None,
        place: tuple[int, int] | None,
        pin_memory: bool | None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self._dataset, self._service, self._place, self._pin = dataset, service, place, pin_memory
        self._name = name
        self._epoch = 0  #: That which comes next, or is being read.
        self._token: Token | None = None  #: Where in it to begin.
        self._reading: Reading | None = None  #: The newest; None where the next `iter()` begins what is said above.
        self._kept: Reading | None = None  #: One that was left or ended; a service iterator can open another epoch.

    def __iter__(self) -> Epoch:
        self._check_worker()
        rank, world = self._where()
        if world > 1 and seed_of(self._dataset.node) is None:
            raise FailedPreconditionError(
                f"{world} ranks must draw the same numbers, and this dataset has no seed: "
                "dataset.with_options(headrace.Options(seed=...))"
            )
        pin = torch.cuda.is_available() if self._pin is None else self._pin
        # A job that the ranks share gives each its own.
        return Epoch(self, rank, world, pin) if self._name is None else Epoch(self, 0, 1, pin)

    def _begin(self) -> Reading:
        """The next epoch, or the rest of it. From now on it is the newest."""
        if (before := self._reading) is not None:
            self._epoch += 1
            if before.left:
                self._keep(before)
        source = self._open(self._epoch)
        if self._token is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FunctionChangedWarning)  # it was told when the state was loaded
                source.load_state_dict(self._token.to_dict())
        self._reading = Reading(source, 0 if self._token is None else self._token.element)
        self._token = None
        return self._reading

    def __len__(self) -> int:
        """How many batches of an epoch this rank gets; TypeError where only reading tells."""
        return len(self._dataset) // self._where()[1]

    def set_epoch(self, epoch: int) -> None:
        """Begin this epoch with the next `iter()`; where a loaded state stands within it, go on from there."""
        if epoch < 0:
            raise InvalidArgumentError(f"epoch is {epoch}: epochs count from 0")
        if self._reading is not None or self._epoch != epoch:
            self._stand(epoch)

    def _stand(self, epoch: int, token: Token | None = None) -> None:
        """The next `iter()` begins this epoch, or goes on with it."""
        if (before := self._reading) is not None and before.left:
            self._keep(before)
        self._epoch, self._token, self._reading = epoch, token, None

    def state_dict(self) -> dict[str, Any]:
        """Where the newest iteration stands, all ranks together, in the format of every iterator's `state_dict()`.

        >>> batches = loader(Dataset.range(6).batch(2).with_options(Options(seed=7)))
        >>> first = next(iter(batches))
        >>> state = batches.state_dict()
        >>> state["epoch"], state["element"]
        (0, 1)
        """
        if self._reading is not None:
            return self._reading.state_dict()
        return self._dataset.iterate(self._epoch).state_dict() if self._token is None else self._token.to_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there with the next `iter()`. States of headrace before 0.2 are taken, too.

        Raises:
            InvalidArgumentError: it is no such state, is of a later format, or of another pipeline or seed.

        Warns:
            FunctionChangedWarning: a function does not do what it did.
        """
        graph = self._dataset.resolved
        here = fingerprint(graph)
        token = Token.from_dict(state) if not _is_old(state) else _converted_state(state, here)
        accept(token, graph, here)
        if token.seed != self._dataset.seed:
            self._dataset = self._dataset.with_options(Options(seed=token.seed))
            self._drop()
        self._stand(token.epoch + token.ended, None if token.ended else token)

    def close(self) -> None:
        """Give back what the service keeps for the next epoch. The loader can be used again."""
        self._drop()

    def __repr__(self) -> str:
        done = self._reading.dealt if self._reading is not None else self._token.element if self._token else 0
        where = "in this process" if self._service is None else f"on {self._service!r}"
        return f"<Loader of {self._dataset!r} {where}: epoch {self._epoch}, after {done} batches>"

    def _where(self) -> tuple[int, int]:
        """Rank and world: asked for late, since trainers set them up after their loaders."""
        if self._place is not None:
            return self._place
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return _from_environment()

    def _open(self, epoch: int) -> LocalIterator | ServiceIterator:
        if self._service is None:
            return self._dataset.iterate(epoch)
        kept, self._kept = self._kept, None
        if kept is not None and isinstance(kept.source, ServiceIterator):
            kept.source.set_epoch(epoch)
            return iter(kept.source)
        rank, world = self._where() if self._name is not None else (0, 1)
        return self._service.iterate(
            self._dataset,
            epoch,
            name=self._name,
            num_consumers=world,
            consumer_index=rank,
            again=self._name is not None,
        )

    def _keep(self, reading: Reading) -> None:
        self._drop()
        self._kept = reading

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _left(self, reading: Reading, ended: bool) -> None:
        """A loop is done with an epoch. The newest one's is still asked where it stands, and can open the next."""
        reading.left = True
        if reading is not self._reading:
            reading.close()
        elif ended:
            self._stand(self._epoch + 1)

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
        self._reading: Reading | None = None  #: Begun with the first `next()`: trainers call `iter()` to look.
        self._turn = 0  #: Whose batch comes next.
        self._mine: Element = None
        self._closed = False

    def __next__(self) -> Any:
        if self._closed:
            raise StopIteration
        if self._reading is None:
            self._reading = self._loader._begin()
        try:
            return as_tensors(self._round(self._reading), pin_memory=self._pin)
        except StopIteration:
            self.close(ended=True)
            raise

    def _round(self, reading: Reading) -> Element:
        """One batch for each rank; ours."""
        while self._turn < self._world:
            batch = self._take(reading)
            if self._turn == self._rank:
                self._mine = batch
            self._turn += 1
        reading.dealt = reading.taken
        mine, self._mine, self._turn = self._mine, None, 0
        return mine

    def _take(self, reading: Reading) -> Element:
        try:
            batch = next(reading.source)
        except ServiceError:
            raise  # about the way to the server, not about an element
        except HeadraceError:
            reading.taken += 1
            if not self._turn:
                reading.dealt = reading.taken  # what failed between two rounds is done with
            raise
        reading.taken += 1
        return batch

    def close(self, ended: bool = False) -> None:
        """Leave this epoch."""
        if not self._closed:
            self._closed = True
            if self._reading is not None:
                self._loader._left(self._reading, ended)

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


def _is_old(state: Any) -> bool:
    """Whether it is of the format that loaders had of their own."""
    return isinstance(state, Mapping) and state.get("version") == OLD


def _converted_state(state: Mapping[str, Any], here: dict[str, Any]) -> Token:
    """A state of five numbers, which tell nothing of the pipeline: the epoch is played from its start."""
    numbers: list[Any] = [state.get(name) for name in ("epoch", "batches", "errors", "seed")]
    if not all(type(each) is int for each in numbers) or min(numbers[:3]) < 0:
        raise InvalidArgumentError(f"the state holds {dict(state)}: its numbers are missing or no counts")
    epoch, batches, errors, seed = numbers
    return Token(fingerprint=here, seed=seed, epoch=epoch, element=batches + errors)


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
