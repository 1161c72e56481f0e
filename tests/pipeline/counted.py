"""A function that counts its calls: how often something is computed."""

from __future__ import annotations

from typing import Any

__all__ = ["Counted"]


class Counted:
    """Squares, and how many of them were asked for."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        return x * x
