"""Roots: the folders in which the files of a pipeline must lie, where a server says so."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import FileError, NotFoundError

__all__ = ["ANYWHERE", "Roots"]


@dataclass(frozen=True, slots=True)
class Roots:
    """What may be read: everything in these folders that is a regular file; anything at all where they are None."""

    folders: tuple[str, ...] | None = None

    def check(self, path: str) -> None:
        """Refuse a file that is not to be read.

        Links may lead from one place in the folders to another, but not out of them. Between this look and the
        opening, who can write to the folders could put something else there: they are not for clients to write to.

        Raises:
            FileError: it lies elsewhere, its name goes up with `..`, or it is no regular file.
            NotFoundError: it is not there.

        >>> Roots(("/data",)).check("/etc/passwd")
        Traceback (most recent call last):
        headrace.pipeline.errors.FileError: /etc/passwd: lies outside of what this server reads, /data: put it ...
        """
        if self.folders is not None:
            self._check_kind(path, self._check_place(path))

    def check_folder(self, path: str) -> None:
        """Refuse a folder, which need not be there, whose files are not to be read or written.

        Raises:
            FileError: it lies elsewhere, or its name goes up with `..`.
        """
        if self.folders is not None:
            self._check_place(path)

    def _check_place(self, path: str) -> str:
        """Where it really is."""
        assert self.folders is not None, "there are roots"
        if not self.folders:
            raise FileError(
                path,
                "this server reads no files for keys without the role submit: start it with --root DIR (server.roots), "
                "or give the key that role",
            )
        if ".." in path.split("/"):
            raise FileError(path, "names of files must not go up with '..' on this server: write where it is")
        found = os.path.realpath(path)
        if not any(_lies_in(found, os.path.realpath(folder)) for folder in self.folders):
            raise FileError(
                path,
                f"{self._named(path, found)}, {', '.join(self.folders)}: put it there, or have the server started "
                "with another --root (server.roots)",
            )
        return found

    def _named(self, path: str, found: str) -> str:
        outside = "outside of what this server reads"
        inside = any(_lies_in(os.path.normpath(path), folder) for folder in self.folders or ())
        return f"is a link to what lies {outside}" if inside else f"lies {outside}"

    def _check_kind(self, path: str, found: str) -> None:
        try:
            status = os.stat(found)  # noqa: PTH116  (it is text, and may hold bytes that are no text)
        except OSError as error:
            raise NotFoundError(path, f"cannot be opened: {error.strerror}") from error
        if not stat.S_ISREG(status.st_mode):
            raise FileError(path, "is no regular file, and this server reads nothing else")

    def to_data(self) -> list[str] | None:
        """As plain data, for a message."""
        return None if self.folders is None else list(self.folders)

    @classmethod
    def from_data(cls, data: Sequence[str] | None) -> Roots:
        """Back from `to_data`."""
        return cls(None if data is None else tuple(map(str, data)))


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


ANYWHERE = Roots()
