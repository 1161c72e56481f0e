"""Whose a TCP connection is: from a port of this host to the process that holds it, as /proc says."""

from __future__ import annotations

from pathlib import Path

__all__ = ["owner_of"]

#: In /proc/net/tcp: a connection that stands.
ESTABLISHED = "01"


def owner_of(port: int) -> int | None:
    """The process with a standing connection from this port of 127.0.0.1; None where there is none."""
    inode = _inode(port)
    if inode is None:
        return None
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(descriptor.readlink()) == f"socket:[{inode}]":
                return int(descriptor.parts[2])
        except OSError:
            continue  # closed meanwhile, or somebody else's
    return None


def _inode(port: int) -> str | None:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == f"0100007F:{port:04X}" and fields[3] == ESTABLISHED:
            return fields[9]
    return None
