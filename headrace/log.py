"""The log: the file that a detached server writes to, which is set aside when it has grown long."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LONG", "Log"]

#: A log that has grown so long is set aside, as `log.1`, in the place of the one before.
LONG = 16 << 20
_OUTPUT, _ERRORS = 1, 2


@dataclass(slots=True)
class Log:
    """The file that output and errors of this process go to, if they do."""

    path: Path
    most: int = LONG

    def turn(self) -> bool:
        """Begin a new file where this one has grown long, and say whether that was so.

        A disk that is full, or a folder that is gone, leaves it as it is.
        """
        with suppress(OSError):
            here = os.fstat(_ERRORS)
            if here.st_size < self.most or not os.path.samestat(here, self.path.stat()):
                return False
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))
            new = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            os.dup2(new, _OUTPUT)
            os.dup2(new, _ERRORS)
            os.close(new)
            return True
        return False
