"""A trainer in a process of its own, as its test holds it: asked for one element after the other."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .trainer import Start

__all__ = ["ANSWER_S", "Trainer"]

#: No element takes longer, whatever is done to the cluster, and however busy the machine is with other things.
ANSWER_S = 300.0


class Trainer:
    """`begin` an epoch, then `ask` and `answer` for each element."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "tests.chaos.trainer", *arguments]
        self.process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.asked = False
        self.ledger: dict[str, int] = {}  #: Of the epoch that has ended.

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.process.pid

    def begin(self, start: Start) -> None:
        """Another epoch, or more of one."""
        self._say(asdict(start))

    def ask(self) -> None:
        """Let it take another element."""
        self.asked = True
        self._say({})

    def _say(self, what: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def answered(self, within_s: float) -> bool:
        """Whether it has taken the element, or is gone."""
        assert self.process.stdout is not None
        return bool(select.select([self.process.stdout], [], [], within_s)[0])

    def answer(self) -> str | None:
        """What it was: a digest, or the kind of an error; None at the end of the epoch."""
        assert self.process.stdout is not None
        if not self.asked:
            self.ask()
        assert self.answered(ANSWER_S), f"the trainer has got nothing for {ANSWER_S} s"
        line = self.process.stdout.readline()
        assert line, f"the trainer has ended with status {self.process.wait(10)}"
        self.asked = False
        found: dict[str, Any] = json.loads(line)
        self.ledger = found.get("ledger", {})
        outcome: str | None = found["outcome"]
        return outcome

    def leave(self) -> int:
        """End in good order; its status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self._bury()

    def kill(self) -> None:
        """SIGKILL, if it is still there."""
        self.process.kill()
        if self.process.stdin is not None:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                self.asked = False  # it had not read that it was asked
        self._bury()

    def _bury(self) -> int:
        status = self.process.wait(60)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status
