"""Iterators: what all have in common, and those that are told what they go through."""

from __future__ import annotations

import collections.abc
import uuid
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self
from weakref import WeakValueDictionary

from .errors import FailedPreconditionError, InvalidArgumentError, OutOfRangeError
from .fitting import Fit
from .language.chapter import Chapter
from .optional import Optional
from .placeholder import Placeholder
from .structure import Element
from .summary import Summary

__all__ = ["FeedableIterator", "Iterator", "ReinitializableIterator", "Running", "TellingIterator", "ToldIterator"]


class Iterator(collections.abc.Iterator[Element]):
    """What gives elements one after the other. Every iterator of headrace is one.

    After the end `next()` raises StopIteration and `get_next()` OutOfRangeError, again and again. An element that
    fails raises, and the next call goes on behind it.
    """

    _handle: str | None = None

    @property
    @abstractmethod
    def element_spec(self) -> Any:
        """`TensorSpec`s, nested like the elements."""

    def __iter__(self) -> Self:
        return self

    @abstractmethod
    def __next__(self) -> Element:
        """The next element; StopIteration at the end."""

    def get_next(self) -> Element:
        """The next element; OutOfRangeError at the end."""
        try:
            return next(self)
        except StopIteration:
            raise OutOfRangeError("End of sequence") from None

    def get_next_as_optional(self) -> Optional:
        """The next element, or an Optional of none at the end, again and again. An element that fails raises."""
        try:
            return Optional(next(self))
        except StopIteration:
            return Optional()

    def string_handle(self) -> str:
        """A name for this iterator, for feedable ones in this process. It keeps nothing alive."""
        if self._handle is None:
            self._handle = f"{type(self).__name__}:{uuid.uuid4().hex}"
            _handles[self._handle] = self
        return self._handle

    def close(self) -> None:
        """Let go of what it holds; one of a service gives its job back. In process, that is memory alone."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def from_structure(element_spec: Any, service: Running | None = None) -> ReinitializableIterator:
        """An iterator over one dataset after the other, all with elements of this spec.

        Args:
            element_spec: `TensorSpec`s, nested like the elements, as `Dataset.element_spec` has them. A None in a
                shape, or for it, is any length, or any shape.
            service: where it runs; None for this process.

        Raises:
            InvalidArgumentError: a nesting of anything but TensorSpecs.

        >>> train, test = Dataset.range(2), Dataset.range(7, 9)
        >>> iterator = hr.Iterator.from_structure(train.element_spec)
        >>> for dataset in (train, test):
        ...     iterator.initialize(dataset)
        ...     print([int(each) for each in iterator])
        [0, 1]
        [7, 8]
        """
        return ReinitializableIterator(Fit("element_spec", element_spec), service)

    @staticmethod
    def from_string_handle(handle: Any, element_spec: Any) -> FeedableIterator:
        """An iterator over the elements of other iterators: of the one that `get_next(handle=...)` names.

        Args:
            handle: of the iterator that is used where none is named; None, or a placeholder, for none.
            element_spec: of the elements of all of them, as for `from_structure`.

        Raises:
            InvalidArgumentError: a nesting of anything but TensorSpecs.
            FailedPreconditionError: no iterator of this process has this handle, or it is gone.

        >>> one, two = iter(Dataset.range(5)), iter(Dataset.range(10, 15))
        >>> either = hr.Iterator.from_string_handle(one.string_handle(), one.element_spec)
        >>> [int(either.get_next(handle=each.string_handle())) for each in (one, two, two, one)]
        [0, 10, 11, 1]
        """
        first = None if handle is None or isinstance(handle, Placeholder) else _named(handle)
        return FeedableIterator(Fit("element_spec", element_spec), first)


_handles: WeakValueDictionary[str, Iterator] = WeakValueDictionary()


def _named(handle: Any) -> Iterator:
    if isinstance(handle, bytes):
        handle = handle.decode(errors="replace")
    found = _handles.get(handle) if isinstance(handle, str) else None
    if found is None:
        raise FailedPreconditionError(
            f"no iterator has the handle {handle!r:.80}: string_handle() gives it, in this process; keep the iterator"
        )
    return found


class TellingIterator(Iterator):
    """An iterator that says where it stands."""

    @property
    @abstractmethod
    def epoch(self) -> int:
        """The pass, or epoch, at hand, counted from 0."""

    @abstractmethod
    def summary(self) -> Summary:
        """Elements, seconds, who waited for whom, and the ledger."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Where it stands, as plain data to be saved with the model: see `token`."""

    @abstractmethod
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Stand where `state_dict` was taken."""


class Running(Protocol):
    """Where datasets can run, as a `Service` is."""

    def iterate(self, dataset: Any, epoch: int = 0) -> TellingIterator:
        """An iterator over a dataset, from this epoch on."""


class ToldIterator(TellingIterator):
    """An iterator that is told what it goes through, and goes once through that.

    Before it was told anything, all of its methods raise FailedPreconditionError.
    """

    def __init__(self, at: TellingIterator | None = None) -> None:
        self._at = at

    def begin(self, at: TellingIterator) -> None:
        """Go through this from now on; what was gone through before is closed."""
        before, self._at = self._at, at
        if before is not None:
            before.close()

    @property
    def _told(self) -> TellingIterator:
        if self._at is None:
            raise FailedPreconditionError("this iterator has nothing to go through yet: call its initialize() first")
        return self._at

    @property
    def element_spec(self) -> Any:
        """`TensorSpec`s, nested like the elements."""
        return self._told.element_spec

    @property
    def epoch(self) -> int:
        """The pass, or epoch, at hand, counted from 0."""
        return self._told.epoch

    def __next__(self) -> Element:
        return next(self._told)

    def summary(self) -> Summary:
        """Elements, seconds, who waited for whom, of what it goes through."""
        return self._told.summary()

    def state_dict(self) -> dict[str, Any]:
        """Where it stands in what it goes through, as that tells it."""
        return self._told.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Stand where `state_dict` was taken: tell it to go through the same pipeline first.

        Raises:
            InvalidArgumentError: a state of another pipeline; the message names the difference.
            FailedPreconditionError: it was told nothing yet.
        """
        self._told.load_state_dict(state_dict)

    def close(self) -> None:
        """Let go of what it goes through."""
        if self._at is not None:
            self._at.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {'not initialized' if self._at is None else repr(self._at)}>"


class ReinitializableIterator(ToldIterator):
    """An iterator over one dataset after the other, all of one spec; `Iterator.from_structure` makes it.

    Each time that it is told of a dataset, it goes through that dataset's next pass: 0, 1, 2, ... as `iter()` does.
    """

    def __init__(self, fit: Fit, service: Running | None) -> None:
        super().__init__()
        self._fit, self._service = fit, service
        self._fresh = True  #: Whether no element of the dataset was seen.

    @property
    def element_spec(self) -> Any:
        """The spec that it was made with."""
        return self._fit.spec

    def initialize(self, dataset: Chapter) -> None:
        """Go through the next pass of this dataset, from its start.

        Where a function makes the elements and they are computed by a service, or none can be seen, their spec is
        looked at when the first one comes.

        Raises:
            InvalidArgumentError: its elements are of another structure, dtype or shape, and which component. The
                iterator stays where it was.
            FailedPreconditionError: it has placeholders without a value.
        """
        if not isinstance(dataset, Chapter):
            raise InvalidArgumentError(f"initialize needs a Dataset, not {type(dataset).__name__}")
        if (spec := dataset._spec_to_check(self._service is None)) is not None:
            self._fit.check(spec, "the dataset")
        self.begin(dataset._next_pass(self._service))
        self._fresh = True

    def make_initializer(self, dataset: Chapter) -> Callable[[], None]:
        """A function that initializes this iterator with this dataset.

        >>> iterator = hr.Iterator.from_structure(hr.TensorSpec((), np.int64))
        >>> again = iterator.make_initializer(Dataset.range(3))
        >>> again(); print(int(iterator.get_next()))
        0
        """
        return lambda: self.initialize(dataset)

    def __next__(self) -> Element:
        element = super().__next__()
        if self._fresh:
            self._fit.check_element(element, "the dataset")
            self._fresh = False
        return element


class FeedableIterator(Iterator):
    """An iterator over the elements of others, which keep their places; `Iterator.from_string_handle` makes it."""

    def __init__(self, fit: Fit, first: Iterator | None) -> None:
        self._fit, self._first = fit, first
        self._seen = WeakValueDictionary[int, Iterator]()  #: Whose elements are known to fit.

    @property
    def element_spec(self) -> Any:
        """The spec that it was made with."""
        return self._fit.spec

    def __next__(self) -> Element:
        if self._first is None:
            raise FailedPreconditionError("this iterator has no handle of its own: name one, get_next(handle=...)")
        return self._next_of(self._first)

    def get_next(self, handle: str | None = None) -> Element:
        """The next element of the iterator of this handle; without one, of that whose handle this was made with.

        Raises:
            OutOfRangeError: that iterator is at its end. Others may go on.
            FailedPreconditionError: no iterator of this process has this handle, or that is not initialized.
            InvalidArgumentError: its element is of another structure, dtype or shape, and which component.
        """
        if handle is None:
            return super().get_next()
        try:
            return self._next_of(_named(handle))
        except StopIteration:
            raise OutOfRangeError("End of sequence") from None

    def _next_of(self, source: Iterator) -> Element:
        element = next(source)
        if self._seen.get(id(source)) is not source:
            self._fit.check_element(element, "the iterator of this handle")
            self._seen[id(source)] = source
        return element
