"""A user's function: how it is called, named, shipped to workers, and how its failures are told."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import numpy as np

from .errors import FunctionError, HeadraceError, InvalidArgumentError
from .structure import Element

__all__ = ["UserFunction", "failure", "installed", "load_function", "load_named", "ship_function"]

_OURS = __name__.rpartition(".")[0] + "."


@dataclass(frozen=True, slots=True, eq=False)
class UserFunction:
    """A callable and what we know of it."""

    call: Callable[..., Any]
    name: str
    wants_rng: bool
    named: str = ""  #: "MODULE:FUNCTION", where it was given so: then the name travels, and no code.

    @classmethod
    def of(cls, call: Callable[..., Any] | str, operator: str) -> UserFunction:
        """Look at a callable once, or at one that is named as "MODULE:FUNCTION"; InvalidArgumentError where it is none.

        >>> UserFunction.of("headrace.pipeline.spec:as_dtype", "map").name
        'map(as_dtype)'
        """
        named, call = (call, load_named(call)) if isinstance(call, str) else ("", call)
        if not callable(call):
            raise InvalidArgumentError(f"{operator} needs a function, not {type(call).__name__}")
        try:
            parameters: Mapping[str, Any] = inspect.signature(call).parameters
        except (TypeError, ValueError):  # built-ins that do not tell
            parameters = {}
        inner: Any = getattr(call, "func", call)  # functools.partial
        name = getattr(inner, "__qualname__", type(call).__qualname__).replace("<locals>.", "")
        shown = name.rpartition(".")[2] if "<lambda>" in name else name
        return cls(call, f"{operator}({shown})", "rng" in parameters, named)

    def __call__(self, element: Element, rng: Callable[[], np.random.Generator]) -> Any:
        """Apply it: plain tuples spread over the arguments; named tuples, dicts and arrays are one argument."""
        if type(element) is not tuple:
            return self.call(element, rng=rng()) if self.wants_rng else self.call(element)
        return self.call(*element, rng=rng()) if self.wants_rng else self.call(*element)


def failure(function: UserFunction, error: BaseException) -> HeadraceError:
    """What to raise for what a function raised: our own errors as they are, all others with their traceback."""
    if isinstance(error, HeadraceError):
        return error
    text = str(error)
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
        trace = trace.tb_next  # where we call the function: nothing of the user's
    wrapped = FunctionError(function.name, reason, "".join(traceback.format_exception(type(error), error, trace)))
    wrapped.__cause__ = error
    return wrapped


def ship_function(call: Callable[..., Any]) -> bytes:
    """A pickled callable; modules of the user's project go along by value, installed ones by name.

    Raises:
        InvalidArgumentError: it holds something that cannot be pickled, as an open file or a lock.
    """
    local = [module for module in list(sys.modules.values()) if _is_local(module)]
    try:
        return _pickled(call, local)
    except Exception:
        # A module may hold what cannot be pickled and nobody needs; where it can be found again by name, that will do.
        local = [module for module in local if not _is_found(module)]
    try:
        return _pickled(call, local)
    except Exception as error:
        raise InvalidArgumentError(
            f"{getattr(call, '__qualname__', call)!r} cannot be sent to workers: {type(error).__name__}: {error}. "
            "Make what it cannot take along inside the function, on first use"
        ) from error


def _pickled(call: Callable[..., Any], local: list[ModuleType]) -> bytes:
    """A callable, with what it uses of these modules."""
    registered = [module for module in local if _register(module)]
    try:
        return bytes(cloudpickle.dumps(call))
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)


def _is_found(module: ModuleType) -> bool:
    """Whether importing a module's name on the same machine finds the same file."""
    try:
        spec = importlib.util.find_spec(module.__name__)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin == module.__file__


def load_function(data: bytes) -> Callable[..., Any]:
    """Unpickle a callable; only workers do."""
    loaded: Callable[..., Any] = cloudpickle.loads(data)
    return loaded


def load_named(named: str) -> Callable[..., Any]:
    """The function that a text MODULE:FUNCTION names: one that the module itself defines, or lists in `__all__`.

    What a module only imports is not its own: who may name its functions must not get at `os.system` through it.

    Raises:
        InvalidArgumentError: it is no such text, there is no such module, or no such function in it.

    >>> load_named("headrace.pipeline.spec:os")
    Traceback (most recent call last):
    headrace.pipeline.errors.InvalidArgumentError: 'headrace.pipeline.spec:os': headrace.pipeline.spec defines no ...
    """
    module, colon, name = named.partition(":")
    if not colon or not name.isidentifier() or not all(each.isidentifier() for each in module.split(".")):
        raise InvalidArgumentError(f"{named!r} names no function: write MODULE:FUNCTION, as in 'ours.transforms:flip'")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise InvalidArgumentError(f"{named!r}: the module cannot be imported here: {error}") from error
    function: Any = getattr(found, name, None)
    own = getattr(function, "__module__", None) == module or name in getattr(found, "__all__", ())
    if not callable(function) or not own:
        raise InvalidArgumentError(f"{named!r}: {module} defines no function of that name, nor has it in __all__")
    loaded: Callable[..., Any] = function
    return loaded


def _register(module: ModuleType) -> bool:
    try:
        cloudpickle.register_pickle_by_value(module)
    except ValueError:  # a module that put itself into sys.modules under another name
        return False
    return True


_INSTALLED = tuple(
    {str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def _is_local(module: ModuleType) -> bool:
    """Whether a worker on another machine would lack this module: it lies outside the installed packages."""
    file = getattr(module, "__file__", None)
    name = getattr(module, "__name__", "")
    if not file or name == "__main__" or name.partition(".")[0] == "headrace":
        return False
    return not installed(file)


@lru_cache(1 << 16)
def installed(file: str) -> bool:
    """Whether a module's file lies where packages are installed. A program has thousands, and they stay there."""
    resolved = Path(file).resolve()
    known = any(resolved.is_relative_to(folder) for folder in _INSTALLED)
    return known or not {"site-packages", "dist-packages"}.isdisjoint(resolved.parts)
