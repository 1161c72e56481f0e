"""hr.jax: batches on the device before the training step asks for them.

>>> from headrace import Dataset
>>> [int(batch.sum()) for batch in prefetch_to_device(Dataset.range(6).batch(2))]
[1, 5, 9]
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any, NoReturn, Self

import numpy as np

from .pipeline.errors import FailedPreconditionError, InvalidArgumentError, ServiceError
from .pipeline.structure import Element
from .pipeline.token import Token, unpack_state

try:
    import jax
except ImportError as error:
    raise ImportError("headrace.jax needs JAX: pip install 'headrace[jax]'", name="jax") from error

__all__ = ["DeviceIterator", "prefetch_to_device"]

#: How often it is asked where the iterator below stands, in seconds.
NOTE_S = 1.0


def prefetch_to_device(
    batches: Iterable[Element],
    size: int = 2,
    device: jax.Device | jax.sharding.Sharding | None = None,
) -> DeviceIterator:
    """The same batches as jax.Arrays, `size` of them on the device or on their way to it.

    Copying to a device goes on while it computes, so that the loop finds its next batch there. Two are enough
    where steps take equally long; each one more takes a batch's memory on the device.

    Args:
        batches: a Dataset, a service iterator, or anything else that can be iterated. Its batches are nestings
            of arrays; nobody may write into them any more, since on a CPU JAX uses their memory as it is.
        size: how many, at least 1.
        device: a jax.Device, or a Sharding that spreads each array; None for JAX's default device.

    Raises:
        InvalidArgumentError: `size` is below 1; when iterated, a component that JAX cannot hold, named.

    >>> from headrace import Dataset
    >>> batches = prefetch_to_device(Dataset.range(4).map(lambda n: {"x": n}).batch(2), device=jax.devices()[0])
    >>> next(batches)
    {'x': Array([0, 1], dtype=int32)}
    """
    if not isinstance(size, int) or size < 1:
        raise InvalidArgumentError(f"size is {size!r}: at least 1 batch is on its way to the device")
    return DeviceIterator(batches, size, device)


class DeviceIterator(Iterator[Any]):
    """Batches on a device; `prefetch_to_device` makes one.

    `for` goes through what is left of the epoch at hand, or through the next one: over a Dataset its next pass, over
    a service iterator its next epoch. After the end `next()` keeps raising StopIteration until then. What failed
    raises where it stands in the order, and the next call goes on behind it, if the batches can.
    """

    def __init__(self, batches: Iterable[Element], size: int, device: Any) -> None:
        self._batches, self._size, self._device = batches, size, device
        self._source: Iterator[Element] | None = None
        self._ready: deque[tuple[Any, Exception | None]] = deque()
        self._ended = self._closed = False
        self._noted = monotonic()
        self._tokens: deque[Token] = deque(maxlen=size + 2)  #: One has been on the way for longer than all that is.

    def __iter__(self) -> Self:
        if self._ended:
            self._source, self._ended = None, False
            self._tokens.clear()
        return self

    def __next__(self) -> Any:
        if self._closed:
            raise FailedPreconditionError("this iterator is closed")
        if self._ended:
            raise StopIteration
        if self._source is None:
            self._source = iter(self._batches)
        while len(self._ready) < self._size and self._fetch(self._source):
            pass
        batch, error = self._ready.popleft()
        if isinstance(error, StopIteration):
            self._ended = True
        if error is not None:
            raise error
        return batch

    def _fetch(self, source: Iterator[Element]) -> bool:
        """One more batch on its way; whether there may be another behind it."""
        if self._ready and self._ready[-1][1] is not None:
            return False  # the loop hears of it before anything behind it is asked for
        try:
            self._note(source)
            batch = next(source)
            _check(batch)
            self._ready.append((jax.device_put(batch, self._device), None))
        except Exception as error:
            self._ready.append((None, error))
        return True

    def state_dict(self) -> dict[str, Any]:
        """Where the loop stands, as the iterator below tells it: what is ahead on the device is not done with.

        Raises:
            FailedPreconditionError: the batches come from what cannot tell.

        >>> from headrace import Dataset
        >>> batches = prefetch_to_device(Dataset.range(6).batch(2))
        >>> _, state = next(batches), batches.state_dict()
        >>> again = prefetch_to_device(Dataset.range(6).batch(2))
        >>> again.load_state_dict(state)
        >>> [int(batch.sum()) for batch in again]
        [5, 9]
        """
        source = self._resumable()
        now = Token.from_dict(source.state_dict())
        ahead = sum(not isinstance(error, StopIteration) for _, error in self._ready)
        if not ahead:
            return now.to_dict()
        element = now.element - ahead * getattr(source, "num_consumers", 1)
        usable = [each for each in (*self._tokens, now) if _reaches(each, element)]
        state = usable[-1].state if usable else b""
        return replace(now, element=element, ended=False, state=state).to_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken, here or by any iterator of headrace; see there for what is raised."""
        self._resumable().load_state_dict(state)
        self._ready.clear()
        self._tokens.clear()
        self._ended = False

    def _resumable(self) -> Any:
        if self._closed:
            raise FailedPreconditionError("this iterator is closed")
        if self._source is None:
            self._source = iter(self._batches)
        if not hasattr(self._source, "state_dict"):
            kind = type(self._batches).__name__
            raise FailedPreconditionError(f"a {kind} has no state: prefetch from a Dataset or an iterator of a service")
        return self._source

    def _note(self, source: Any) -> None:
        """Now and then keep where the source stands: a checkpoint has to be before what is ahead on the device."""
        if (now := monotonic()) - self._noted < NOTE_S or not hasattr(source, "state_dict"):
            return
        self._noted = now
        with suppress(ServiceError):  # it is told where batches are asked for
            self._tokens.append(Token.from_dict(source.state_dict()))

    def close(self) -> None:
        """Let go of the batches on the device, and close what they come from, where it can be closed."""
        self._closed = True
        self._ready.clear()
        for each in (self._source, self._batches):
            if callable(close := getattr(each, "close", None)):
                close()
        self._source = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _reaches(token: Token, element: int) -> bool:
    """Whether a token's checkpoint leads to an element."""
    state = unpack_state(token.state)
    return state is not None and state["cursor"] <= element


def _check(batch: Element) -> None:
    """InvalidArgumentError for what JAX would refuse without a name, or cut without a word."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(batch):
        if isinstance(leaf, jax.Array):
            continue
        array = np.asarray(leaf)
        if array.dtype.kind in "OSU":
            _refuse(path, "text, and JAX holds numbers", "drop or encode")
        if array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
            _refuse(path, f"{array.dtype}, which JAX does not have", "change")
        narrow = jax.dtypes.canonicalize_dtype(array.dtype)
        if array.dtype.kind in "iu" and narrow != array.dtype and array.size:
            limits = np.iinfo(narrow)
            if array.min() < limits.min or array.max() > limits.max:
                _refuse(
                    path, f"{array.dtype} with numbers that {narrow} does not hold", "set jax_enable_x64, or change"
                )


def _refuse(path: Any, what: str, advice: str) -> NoReturn:
    # A dict's key, a tuple's index or a named tuple's field.
    keys = (getattr(each, "key", getattr(each, "idx", getattr(each, "name", each))) for each in path)
    name = ".".join(map(str, keys)) or "0"
    raise InvalidArgumentError(f"component {name} is {what}: {advice} it with map before it goes to a device")
