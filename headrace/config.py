"""The configuration: what a TOML file may say, and what holds where it says nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from .pipeline import limits as taking
from .pipeline.errors import InvalidArgumentError, NotFoundError
from .pipeline.limits import FORMATS
from .values import PAGE, address, addresses, count, duration, folders, formats, modules, page, path, size, switch

__all__ = ["Config", "Limits", "Metrics", "Security", "Server", "Worker", "load", "schema"]

_USUAL = taking.Limits()
#: No configuration is longer, in bytes.
_LONGEST = 1 << 20


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
    roots: Annotated[tuple[Path, ...], folders] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much memory, how much work at a time, how much patience; the most that is taken from peers and files."""

    budget: Annotated[int, size(1 << 20)] = 256 << 20
    split: Annotated[int, size(1 << 10)] = 8 << 20
    lease: Annotated[float, duration(0.1, 86400.0)] = 30.0
    heartbeat: Annotated[float, duration(0.01, 3600.0)] = 1.0
    forget: Annotated[float, duration(1.0)] = 7 * 86400.0
    message: Annotated[int, size(1 << 16)] = _USUAL.message_bytes
    frame: Annotated[int, size(1 << 21)] = _USUAL.frame_bytes
    frames: Annotated[int, count(8, 1024)] = _USUAL.frames
    depth: Annotated[int, count(16, 1000)] = _USUAL.depth
    items: Annotated[int, count(1000, 1 << 30)] = _USUAL.items
    name: Annotated[int, count(64, 255)] = _USUAL.name_bytes
    error: Annotated[int, size(256)] = _USUAL.error_bytes
    element: Annotated[int, size(1)] = _USUAL.element_bytes
    content: Annotated[int, size(1)] = _USUAL.content_bytes
    ratio: Annotated[int, count(1, 1 << 30)] = _USUAL.content_ratio
    pixels: Annotated[int, count(1, 1 << 40)] = _USUAL.image_pixels
    formats: Annotated[tuple[str, ...], formats] = FORMATS
    graph: Annotated[int, size(1)] = _USUAL.graph_bytes
    uploads: Annotated[int, size(1)] = _USUAL.upload_bytes

    def taken(self) -> taking.Limits:
        """The part of them that each process has in force; ValueError where they cannot hold together."""
        return taking.Limits(
            message_bytes=self.message,
            frame_bytes=self.frame,
            frames=self.frames,
            depth=self.depth,
            items=self.items,
            name_bytes=self.name,
            error_bytes=self.error,
            element_bytes=self.element,
            content_bytes=self.content,
            content_ratio=self.ratio,
            image_pixels=self.pixels,
            image_formats=self.formats,
            graph_bytes=self.graph,
            upload_bytes=self.uploads,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Who may come over TCP."""

    keys: Annotated[Path | None, path] = None
    insecure: Annotated[bool, switch] = False
    allow_code: Annotated[bool, switch] = True
    modules: Annotated[tuple[str, ...], modules] = ()


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
        try:
            self.limits.taken()
        except ValueError:
            raise InvalidArgumentError(
                f"{where}: limits.element is {self.limits.element:,} bytes and limits.frame {self.limits.frame:,}: a "
                "frame has to hold an element and 1 MiB; make the element smaller or the frame larger"
            ) from None
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
        with file.open("rb") as opened:
            data = opened.read(_LONGEST + 1)
    except OSError as error:
        raise NotFoundError(str(file), f"the configuration cannot be read: {error.strerror}") from error
    if len(data) > _LONGEST:
        raise InvalidArgumentError(f"{file}: this is no configuration: it is longer than {_LONGEST:,} bytes")
    try:
        said = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # tomllib's own are ValueErrors, and so are numbers without end
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
