"""Users: what each one's jobs may read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.pipeline.authorized import Authorized
from headrace.pipeline.keys import AUTHORIZED, make_client_key, make_server_key
from headrace.pipeline.roots import ANYWHERE, Roots
from headrace.users import roots_by


@pytest.fixture
def authorized(tmp_path: Path) -> Callable[..., Authorized]:
    """`authorized(ann="client")`: a list of keys."""

    def make(**roles: str) -> Authorized:
        make_server_key(tmp_path / "keys")
        for name, role in roles.items():
            make_client_key(tmp_path / "keys", name, [role])
        return Authorized(tmp_path / "keys" / AUTHORIZED)

    return make


def test_roots_that_are_said_hold_for_everybody(authorized: Callable[..., Authorized]) -> None:
    find = roots_by(("/data",), authorized(ann="client", sue="submit"))
    assert {find(user) for user in ("", "ann", "sue", "gone")} == {Roots(("/data",))}


def test_without_roots_who_may_run_code_reads_anything_and_others_nothing(
    authorized: Callable[..., Authorized],
) -> None:
    find = roots_by((), authorized(ann="client", sue="submit"))
    assert (find(""), find("sue")) == (ANYWHERE, ANYWHERE)
    assert (find("ann"), find("gone")) == (Roots(()), Roots(()))


def test_without_a_list_of_keys_everyone_is_who_may_run_code() -> None:
    assert roots_by((), None)("anyone") == ANYWHERE
