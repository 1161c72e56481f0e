"""This machine: kernels, shared memory, descriptors, folders and their disks, keys."""

from __future__ import annotations

import os
import resource
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..journal import FORMAT, NAME, format_of
from ..pipeline.authorized import Authorized
from ..pipeline.errors import FileError
from ..pipeline.kernels.compile import cache_folder, marker
from ..pipeline.keys import AUTHORIZED, SERVER, read_server_key
from ..quantities import show_bytes
from .finding import Finding, fine, problem, warning

__all__ = [
    "check_descriptors",
    "check_disk",
    "check_folder",
    "check_journal",
    "check_kernels",
    "check_keys",
    "check_memory",
    "check_roots",
]

#: Less free room than this is soon gone; less than the other is gone already.
LITTLE, NOTHING = 1 << 30, 64 << 20
#: What PyTorch's own loader processes need in /dev/shm, at least; containers have 64 MiB unless told otherwise.
SHM = 256 << 20
DESCRIPTORS = 4096


def check_kernels() -> Iterator[Finding]:
    """Whether they are compiled, and stay so."""
    folder = cache_folder()
    if marker().exists():
        yield fine("kernels", f"compiled, in {folder}")
    else:
        fix = "run `headrace demo` once, or let HEADRACE_CACHE_DIR name a folder that stays"
        yield warning("kernels", f"not compiled yet in {folder}: the first start takes half a minute longer", fix)


def check_memory(shm: Path = Path("/dev/shm")) -> Iterator[Finding]:  # noqa: S108  (looked at, not written to)
    """Whether memory can be shared without files; and what those need that share it in files."""
    try:
        os.close(os.memfd_create("headrace-doctor"))
    except (AttributeError, OSError) as error:
        yield warning("shared memory", f"not to be had: {error}", "blocks go through sockets instead, at some cost")
    else:
        yield fine("shared memory", "this process can share memory with others of this user and machine")
    if shm.is_dir() and (room := shutil.disk_usage(shm)).total < SHM:
        text = f"{shm} has {show_bytes(room.total)}, which headrace does not need, and PyTorch's worker processes do"
        yield warning("shared memory", text, "give a container more: docker run --shm-size=1g, shm_size: 1gb")


def check_descriptors(limit: int | None = None, whose: str = "this process") -> Iterator[Finding]:
    """Whether there are enough for sockets, files and shared memory."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if limit is None else limit
    text = f"{whose} may open {'any number' if soft in (-1, resource.RLIM_INFINITY) else f'{soft:,}'}"
    if 0 <= soft < 256:
        yield problem("descriptors", text, "raise it: ulimit -n 65536, LimitNOFILE=65536 under systemd")
    elif 0 <= soft < DESCRIPTORS:
        fix = "for many workers or trainers: ulimit -n 65536, LimitNOFILE=65536 under systemd"
        yield warning("descriptors", text, fix)
    else:
        yield fine("descriptors", text)


def check_folder(what: str, folder: Path) -> Iterator[Finding]:
    """A private folder of ours: whose it is, and whether there is room."""
    try:
        status = folder.stat()
    except FileNotFoundError:
        yield fine(what, f"{folder} is not there yet; the server makes it")
        return
    except OSError as error:
        yield problem(what, f"{folder}: {error.strerror}", "see to its modes, or name another folder")
        return
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        yield problem(what, f"{folder} is no folder of yours", "name another one, or remove this one")
    elif status.st_mode & 0o077:
        yield problem(what, f"{folder} is open to others", f"chmod 700 {folder}")
    elif not os.access(folder, os.W_OK):
        yield problem(what, f"{folder} cannot be written", "see to its modes and how its disk is mounted")
    else:
        yield from check_disk(what, folder)


def check_journal(state: Path) -> Iterator[Finding]:
    """Whether a server of this version can go on with what the last one wrote; nothing is said where there is none."""
    path = state / NAME
    try:
        found = format_of(path)
    except (OSError, FileError) as error:
        yield problem("journal", str(error), f"move {path} away: running epochs begin anew")
        return
    if found is not None and found != FORMAT:
        text = f"{path} is of format {found}, and this headrace goes on with format {FORMAT}"
        yield problem("journal", text, "move it away: running epochs begin anew; or start the headrace that wrote it")


def check_disk(what: str, folder: Path) -> Iterator[Finding]:
    """Whether there is room."""
    free = shutil.disk_usage(folder).free
    text = f"{folder} has {show_bytes(free)} free"
    if free < NOTHING:
        yield problem(what, text, "make room: a server whose disk is full ends")
    elif free < LITTLE:
        yield warning(what, text, "make room: functions, arrays and the journal go there")
    else:
        yield fine(what, text)


def check_keys(folder: Path, wanted: bool) -> Iterator[Finding]:
    """The server's key, and the list of those whom it lets in, where this is its machine."""
    if not (folder / SERVER).exists():
        if wanted:
            fix = f"headrace keys --dir {folder}" if folder.name != "headrace" else "headrace keys"
            yield problem("keys", f"there is no {folder / SERVER}, and TCP needs it", fix)
        return
    try:
        read_server_key(folder)
    except FileError as error:
        yield problem("keys", str(error), "then start the server again")
        return
    complaints: list[str] = []
    users = Authorized(folder / AUTHORIZED, complaints.append).users
    for each in complaints:
        yield problem("keys", each, f"mend {folder / AUTHORIZED}; headrace keys --add makes whole lines")
    names = ", ".join(f"{each.name} ({', '.join(sorted(each.roles))})" for each in users) or "nobody"
    if not users and wanted:
        yield warning("keys", f"{folder / AUTHORIZED} lets nobody in", "headrace keys --add NAME --role ROLE")
    else:
        yield fine("keys", f"{folder / AUTHORIZED} lets in {names}")


def check_roots(roots: Sequence[str]) -> Iterator[Finding]:
    """The folders that pipelines may read, on this machine."""
    for root in map(Path, roots):
        try:
            next(root.iterdir(), None)
        except OSError as error:
            yield problem("roots", f"{root}: {error.strerror}", "mount the data there, or mend server.roots")
        else:
            yield fine("roots", f"{root} can be read")
