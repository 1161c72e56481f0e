"""A user's script: the dataset that it defines, by the script's path and the dataset's name."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from .pipeline.dataset import Dataset
from .pipeline.errors import HeadraceError, InvalidArgumentError, NotFoundError

__all__ = ["dataset_in"]


def dataset_in(target: str) -> Dataset:
    """The dataset that `FILE.py:NAME` names; where NAME is a function, what it returns.

    The file is run as Python runs a script, with its folder first on the path, but not as `__main__`.

    Raises:
        NotFoundError: there is no such file.
        InvalidArgumentError: it cannot be imported, has no such name, or that is no dataset.
    """
    path, colon, name = target.rpartition(":")
    if not colon or not path.endswith(".py") or not name.isidentifier():
        raise InvalidArgumentError(f"{target!r} names no dataset: write FILE.py:NAME, as train.py:dataset")
    module = _imported(Path(path))
    if not hasattr(module, name):
        known = [key for key, value in vars(module).items() if isinstance(value, Dataset)]
        raise InvalidArgumentError(f"{path} has no {name!r}; its datasets are: {', '.join(known) or 'none'}")
    found = getattr(module, name)
    if callable(found):
        found = _called(found, target)
    if not isinstance(found, Dataset):
        raise InvalidArgumentError(
            f"{target} is of type {type(found).__name__}, no Dataset and no function that returns one"
        )
    return found


def _imported(file: Path) -> ModuleType:
    if not file.is_file():
        raise NotFoundError(str(file), "there is no such file")
    if file.stem in sys.stdlib_module_names:  # its folder is on the path, and it would be found in that one's place
        raise InvalidArgumentError(f"{file} is called like a module of Python's own: give it another name")
    free = file.stem.isidentifier() and file.stem not in sys.modules
    name = file.stem if free else f"headrace_script_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file.absolute())
    assert spec is not None, "a file that ends in .py has a loader"
    assert spec.loader is not None, "a file that ends in .py has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(file.absolute().parent))
    try:
        spec.loader.exec_module(module)
    except HeadraceError:
        raise
    except SystemExit as error:
        raise InvalidArgumentError(
            f"{file} ends itself when it is imported ({_told(error)}): put what it does as a script below "
            '`if __name__ == "__main__":`'
        ) from error
    except Exception as error:
        raise InvalidArgumentError(f"{file} cannot be imported: {_told(error)}") from error
    return module


def _called(function: object, target: str) -> object:
    assert callable(function), "seen by the caller"
    try:
        return function()
    except HeadraceError:
        raise
    except Exception as error:
        raise InvalidArgumentError(f"{target}() failed: {_told(error)}") from error


def _told(error: BaseException) -> str:
    """What it was, and the last place that is not ours or the import's."""
    found = traceback.extract_tb(error.__traceback__)
    frames = [each for each in found if each.filename != __file__ and not each.filename.startswith("<frozen ")]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
