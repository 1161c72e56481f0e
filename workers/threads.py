"""Threads of numeric libraries: one in each of the service's processes, which are many and would fight for cores."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

__all__ = ["set_one_each"]

_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def set_one_each(environment: MutableMapping[str, str] = os.environ) -> None:
    """One thread for each library, unless the environment says otherwise. They read it once, when they are imported."""
    for name in _COUNTS:
        environment.setdefault(name, "1")
