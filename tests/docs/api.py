"""The page of all public names. `python -m tests.docs.api` writes it anew, from the first lines of docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import headrace as hr

__all__ = ["PAGE", "listed", "page", "public"]

PAGE = Path(__file__).parents[2] / "docs" / "api.md"

#: What has no docstring of its own.
CONSTANTS = {
    "AUTOTUNE": "-1: leave a number to headrace.",
    "INFINITE_CARDINALITY": "-1: the data never ends.",
    "UNKNOWN_CARDINALITY": "-2: only reading tells how many elements there are.",
}
#: Classes that nobody calls.
MADE_ELSEWHERE = (hr.Dataset, hr.Iterator, hr.Service, hr.ServiceIterator)
#: So many characters of arguments are shown.
LONG = 110
HEAD = """\
# All public names

`import headrace as hr` offers these. Written by `python -m tests.docs.api` from the first line of each docstring;
`help(name)` has the rest: arguments, what is raised, an example that the tests run. `headrace.torch` and `headrace.jax`
are on [a page of their own](torch-and-jax.md).
"""


def public() -> dict[str, dict[str, Any]]:
    """Every public name, by the part that it belongs to."""
    modules = {name: value for name, value in _members(hr).items() if isinstance(value, ModuleType)}
    classes = {
        f"hr.{kind.__name__}": _methods(kind) for kind in (hr.Dataset, hr.Iterator, hr.Service, hr.ServiceIterator)
    }
    found = {"hr": {name: value for name, value in _members(hr).items() if name not in modules}}
    return found | classes | {f"hr.{name}": _members(module) for name, module in modules.items()}


def _members(module: ModuleType) -> dict[str, Any]:
    return {name: getattr(module, name) for name in module.__all__}


def _methods(kind: type) -> dict[str, Any]:
    """Public methods and properties, but for those that a class has of Iterator."""
    inherited = dir(hr.Iterator) if kind is not hr.Iterator else ()
    own = (name for name in dir(kind) if not name.startswith("_") and name not in inherited)
    return {name: inspect.getattr_static(kind, name) for name in own}


def page() -> str:
    """The page as it should be."""
    return "\n".join([HEAD, *(line for part, names in public().items() for line in _part(part, names))]) + "\n"


def _part(part: str, names: dict[str, Any]) -> Iterator[str]:
    yield from (f"## {part}", "", "| name | what it is |", "| --- | --- |")
    for name in sorted(names, key=str.lower):
        yield f"| `{name}{_arguments(names[name])}` | {_line(name, names[name])} |"
    yield ""


def _line(name: str, value: Any) -> str:
    if name in CONSTANTS:
        return CONSTANTS[name]
    first = (inspect.getdoc(value) or "").partition("\n\n")[0].replace("\n", " ")
    return first.replace("|", "\\|")


def _arguments(value: Any) -> str:
    value = getattr(value, "__func__", value)
    if not callable(value) or value in MADE_ELSEWHERE or (isinstance(value, type) and issubclass(value, Exception)):
        return ""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return "(...)"
    shown = ", ".join(_argument(each) for each in parameters if each.name not in ("self", "cls"))
    return f"({shown if len(shown) <= LONG else shown[: shown.rindex(', ', 0, LONG)] + ', ...'})"


def _argument(parameter: inspect.Parameter) -> str:
    default: Any = parameter.default
    if parameter.kind is parameter.VAR_POSITIONAL:
        return f"*{parameter.name}"
    if parameter.kind is parameter.VAR_KEYWORD:
        return f"**{parameter.name}"
    if default is parameter.empty:
        return parameter.name
    shown: str = default.__name__ if isinstance(default, type) else repr(default)
    return f"{parameter.name}={shown if len(shown) < 30 else '...'}"


def listed(text: str) -> dict[str, set[str]]:
    """The names that a page lists, by part; those with nothing said about them are left out."""
    found: dict[str, set[str]] = {}
    part = ""
    for line in text.splitlines():
        if line.startswith("## "):
            part = line.removeprefix("## ")
        elif row := re.match(r"\| `(\w+).*` \| (\S.*) \|$", line):
            found.setdefault(part, set()).add(row[1])
    return found


if __name__ == "__main__":
    PAGE.write_text(page())
