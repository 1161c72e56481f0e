"""The command line: `headrace` and `python -m headrace`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    # The service's own processes are started often, and do not wait for what people's commands need.
    if sys.argv[1:2] in (["worker-process"], ["server-process"]):
        from .processes import start

        start(sys.argv[1], sys.argv[2:])
        return
    try:
        from .commands import app

        app()
    except KeyboardInterrupt:  # before any command has begun
        sys.exit(130)


if __name__ == "__main__":
    main()
