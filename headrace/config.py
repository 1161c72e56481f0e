"""The configuration: what a TOML file may say, and what holds where it says nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from .pipeline.errors import InvalidArgumentError, NotFoundError
from .values import PAGE, address, addresses, count, duration, page, path, size, switch

__all__ = ["Config", "Limits", "Metrics", "Security", "Server", "Worker", "load", "schema"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What `headrace serve` is and where it lies."""

    listen: Annotated[tuple[str, ...], addresses] = ()
    workers: Annotated[int, count(0, 1024)] = 2
    run_dir: Annotated[Path | None, path] = None
    state_dir: Annotated[Path | None, path] = None
    grace: Annotated[float, duration(0.0, 86400.0)] = 8.0
    idle: Annotated[float, duration(1.0)] = 300.0
    slabs: Annotated[bool, switch] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much memory, how much work at a time, how much patience."""

    budget: Annotated[int, size(1 << 20)] = 256 << 20
    split: Annotated[int, size(1 << 10)] = 8 << 20
    lease: Annotated[float, duration(0.1, 86400.0)] = 30.0
    heartbeat: Annotated[float, duration(0.01, 3600.0)] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Who may come over TCP."""

    keys: Annotated[Path | None, path] = None
    insecure: Annotated[bool, switch] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The page with /metrics and /healthz."""

    listen: Annotated[str, page] = PAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What `headrace worker` joins."""

    server: Annotated[str, address] = ""
    key: Annotated[Path | None, path] = None
    workers: Annotated[int, count(1, 1024)] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings, checked. Sizes are bytes, durations seconds, paths absolute; None is a default place."""

    server: Server = Server()
    limits: Limits = Limits()
    security: Security = Security()
    metrics: Metrics = Metrics()
    worker: Worker = Worker()
    #: Keys that were said, in a file or on the command line, such as "metrics.listen".
    said: frozenset[str] = frozenset()

    def changed(self, options: Mapping[str, tuple[str, Any]]) -> Config:
        """These settings with some given on the command line.

        Args:
            options: by key, such as "limits.lease": the option's name for messages, and its value. None is not given.

        Raises:
            InvalidArgumentError: a value that does not fit; the message names the option.
        """
        config = self
        for name, (option, value) in options.items():
            if value is not None:
                section, _, key = name.partition(".")
                config = config._with(section, {key: value}, {key: option}, Path.cwd())
        return config._checked("the options and the configuration")

    def _with(self, section: str, said: Mapping[str, Any], names: Mapping[str, str], folder: Path) -> Config:
        """One section changed; `names` says what to call its keys in a message."""
        part = getattr(self, section)
        kinds = get_type_hints(type(part), include_extras=True)
        read = {key: _read(kinds[key], names[key], value, folder) for key, value in said.items()}
        keys = {f"{section}.{key}" for key in said}
        return replace(self, **{section: replace(part, **read), "said": self.said | keys})

    def _checked(self, where: str) -> Config:
        """What holds between keys."""
        lease, heartbeat = self.limits.lease, self.limits.heartbeat
        if heartbeat > lease / 2:
            if "limits.heartbeat" not in self.said:  # a short lease alone is plain enough
                return replace(self, limits=replace(self.limits, heartbeat=lease / 4))
            raise InvalidArgumentError(
                f"{where}: limits.heartbeat is {heartbeat:g} s and limits.lease {lease:g} s: a worker has to be heard "
                "at least twice in a lease; make the heartbeat shorter or the lease longer"
            )
        if self.limits.split > self.limits.budget:
            raise InvalidArgumentError(
                f"{where}: limits.split is {self.limits.split:,} bytes and limits.budget {self.limits.budget:,}: "
                "a split has to fit into the budget"
            )
        return self


def schema() -> dict[str, dict[str, Any]]:
    """Every section's keys and their defaults.

    >>> schema()["limits"]["lease"]
    30.0
    """
    sections = {each.name: getattr(Config(), each.name) for each in fields(Config)}
    return {
        name: {key.name: getattr(part, key.name) for key in fields(part)}
        for name, part in sections.items()
        if is_dataclass(part)
    }


def load(file: Path) -> Config:
    """The settings in a TOML file, over the defaults. Relative paths are relative to the file.

    Raises:
        NotFoundError: the file cannot be read.
        InvalidArgumentError: it is no TOML, has a key or a section that there is not, or a value that does not
            fit. The message names file and key.
    """
    try:
        said = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise NotFoundError(str(file), f"the configuration cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(f"{file}: this is no TOML: {error}") from error
    config, known = Config(), schema()
    for section, keys in said.items():
        _known(section, list(known), f"{file}: there is no section [{section}]", "[{}]")
        if not isinstance(keys, dict):
            raise InvalidArgumentError(f"{file}: {section} is a section: write [{section}], and its keys below")
        for key in keys:
            _known(key, list(known[section]), f"{file}: there is no key {section}.{key}", f"{section}.{{}}")
        names = {key: f"{file}: {section}.{key}" for key in keys}
        config = config._with(section, keys, names, file.absolute().parent)
    return config._checked(str(file))


def _known(name: str, known: list[str], text: str, form: str) -> None:
    if name in known:
        return
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {form.format(near[0])}?" if near else f"known: {', '.join(map(form.format, known))}"
    raise InvalidArgumentError(f"{text}: {hint}")


def _read(kind: Any, name: str, value: Any, folder: Path) -> Any:
    """A value as its key wants it."""
    try:
        return kind.__metadata__[0](value, folder)
    except ValueError as error:
        raise InvalidArgumentError(f"{name} is {value!r}: it must be {error}") from None
