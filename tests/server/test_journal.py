"""The journal: what is committed survives whatever happens to the process, and nothing else passes for it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.broker.book import (
    Acknowledged,
    Checkpointed,
    Closed,
    Counted,
    EpochEnded,
    EpochOpened,
    Finished,
    JobMade,
    Judged,
    Left,
    Rewound,
)
from headrace.coordinator.strikes import Cleared, Forgiven, Struck
from headrace.facts import FACTS, Fact, Memory, from_bytes, to_bytes
from headrace.journal import FORMAT, Growth, Journal
from headrace.pipeline.errors import DataLossError, FileError, HeadraceError, MalformedMessage, ServiceError

STATE = {"cursor": 5, "checksum": (1 << 64) - 1, "operator": {"held": [{"packed": b"\0\xff", "count": 1}], "at": None}}
#: One of each kind, with what is hard to write down.
EACH: list[Fact] = [
    JobMade(1, "key \udce4", b"\0graph", 5, "/data/\udcff"),
    EpochOpened(1, 2, 1_700_000_000_000_000_000),
    Acknowledged(1, 2, 5),
    Checkpointed(1, 2, 5, STATE),
    Struck(1, 2, (0, 3), (1 << 64) - 1, 1 << 62, "killed by SIGSEGV"),
    Forgiven(1, 2, (0, 3), 7, 9),
    Cleared(1, None),
    Judged(1, 2, 4, [4, 2, "skipped", [[0, 3], (1 << 64) - 1, 40, 0, 0, "/data/\udcff"], "map(f)", {"kind": "New"}]),
    EpochEnded(1, 2, {"computed": 7, "checksum": (1 << 64) - 1, "consumers": [3, 4]}),
    Rewound(1, 2, 7, STATE, 3),
    Left(1, 2),
    Closed(1),
    Finished("job:train"),
    Counted(12),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


def written(path: Path, *facts: Fact) -> None:
    """One life of a server, which ends in good order."""
    journal = Journal.open(path)
    for fact in facts:
        journal.write(fact)
    journal.close()


def read(path: Path) -> list[Fact]:
    journal = Journal.open(path)
    try:
        return list(journal.replay())
    finally:
        journal.close()


def test_every_kind_of_fact_comes_back_as_it_was(path: Path) -> None:
    assert {type(fact).__name__ for fact in EACH} == set(FACTS)
    written(path, *EACH)
    assert read(path) == EACH


def test_what_is_committed_survives_a_kill_and_what_is_not_does_not(path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from headrace.broker.book import Acknowledged; from headrace.journal import Journal\n"
        "journal = Journal.open(Path(sys.argv[1]))\n"
        "for number in range(500):\n"
        "    journal.write(Acknowledged(1, 0, number)); journal.commit()\n"
        "journal.write(Acknowledged(1, 0, 500))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert read(path) == [Acknowledged(1, 0, number) for number in range(500)]


def test_the_incarnation_grows_with_each_life_however_that_ended(path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from headrace.journal import Journal\n"
        "print(Journal.open(Path(sys.argv[1])).incarnation(), flush=True); os._exit(9)\n"
    )
    found = [
        subprocess.run([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, check=False).stdout.strip()
        for _ in range(2)
    ]
    journal = Journal.open(path)
    assert [*map(int, found), journal.incarnation()] == [1, 2, 3]
    journal.close()


def test_a_tail_that_was_torn_costs_the_last_facts_and_no_others(path: Path, tmp_path: Path) -> None:
    facts = [Checkpointed(1, 0, number, {"packed": b"x" * 3000}) for number in range(10)]
    journal = Journal.open(path)
    torn = []
    for fact in facts:
        journal.write(fact)
        journal.commit()
    log = path.with_name("journal.sqlite-wal")
    for number, size in enumerate(range(0, log.stat().st_size, 1777)):
        folder = tmp_path / f"torn-{number}"
        shutil.copytree(path.parent, folder)
        os.truncate(folder / log.name, size)
        torn.append(folder / path.name)
    journal.close()
    lengths = []
    for each in torn:
        found = read(each)
        assert found == facts[: len(found)]
        lengths.append(len(found))
    assert lengths == sorted(lengths)
    assert {0, 9} <= set(lengths)


def test_a_memory_is_the_same_after_a_restart_and_after_compaction(path: Path) -> None:
    memory, journal = Memory(), Journal.open(path)
    for fact in [*EACH[:5], EpochOpened(1, 3, 9), JobMade(2, "other", b"", 0), Closed(2), Struck(1, 3, (1,), 2, 3, "")]:
        memory.apply(fact)
        journal.write(fact)
    journal.close()
    assert Memory.of(read(path)) == memory
    journal = Journal.open(path)
    journal.compact(memory.facts())
    journal.write(Acknowledged(1, 3, 8))
    journal.close()
    memory.apply(Acknowledged(1, 3, 8))
    found = read(path)
    assert Memory.of(found) == memory
    assert len(found) == len(memory.facts())


def test_a_compaction_that_fails_leaves_what_was_there(path: Path) -> None:
    class Torn(Exception):  # noqa: N818
        pass

    def facts() -> Any:
        yield Closed(7)
        raise Torn

    written(path, *EACH)
    journal = Journal.open(path)
    with pytest.raises(Torn):
        journal.compact(facts())
    journal.close()
    assert read(path) == EACH


def test_a_compacted_journal_does_not_go_on_growing(path: Path) -> None:
    journal = Journal.open(path)
    fact = Checkpointed(1, 0, 5, {"packed": b"x" * 100_000})
    for _ in range(300):
        journal.write(fact)
        journal.commit()
        if journal.overgrown:
            journal.compact([JobMade(1, "key", b"graph", 0), EpochOpened(1, 0, 9), fact])
    sizes = sum(each.stat().st_size for each in path.parent.iterdir())
    journal.close()
    assert sizes < 20 << 20, "of 30 MB that were written"


# When to make it small.


def grown(*facts: Fact, each_bytes: int = 50, least_bytes: int = 0) -> Growth:
    growth = Growth(least_bytes)
    for fact in facts:
        growth.add(fact, each_bytes)
    return growth


def test_a_few_small_facts_are_no_reason_to_compact() -> None:
    assert not grown(EpochOpened(1, 0, 9), *[Acknowledged(1, 0, 5)] * 50).due


def test_the_end_of_an_epoch_or_job_is_where_something_can_be_dropped() -> None:
    many = [Acknowledged(1, 0, 5)] * 100
    assert not grown(*many).due
    assert grown(*many, EpochOpened(1, 1, 9)).due
    assert grown(*many, Closed(1)).due


def test_an_epoch_without_end_is_compacted_by_number_and_by_size() -> None:
    assert not grown(*[Acknowledged(1, 0, 5)] * 9_999).due
    assert grown(*[Acknowledged(1, 0, 5)] * 10_000).due
    assert grown(Checkpointed(1, 0, 5, {}), each_bytes=1 << 20).due


def test_what_is_large_at_its_least_is_not_written_again_for_little() -> None:
    assert not grown(*[Checkpointed(1, 0, 5, {})] * 9, each_bytes=1 << 20, least_bytes=10 << 20).due
    assert grown(*[Checkpointed(1, 0, 5, {})] * 10, each_bytes=1 << 20, least_bytes=10 << 20).due
    assert not grown(*[Acknowledged(1, 0, 5)] * 100, Closed(1), least_bytes=10 << 20).due


def test_a_journal_that_was_left_large_is_compacted_soon(path: Path) -> None:
    journal = Journal.open(path)
    for _ in range(11):
        journal.write(Checkpointed(1, 0, 5, {"packed": b"x" * 100_000}))
    journal.close()
    journal = Journal.open(path)
    assert journal.overgrown
    journal.close()


# Who may have it.


def test_nobody_else_can_read_it(path: Path) -> None:
    journal = Journal.open(path)
    journal.write(Closed(1))
    journal.commit()
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert modes["journal.sqlite"] == modes["journal.sqlite-wal"] == 0o600
    journal.close()


def test_a_file_that_others_can_read_is_made_private(path: Path) -> None:
    written(path)
    path.chmod(0o644)
    written(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_in_which_others_can_write_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o777)
    with pytest.raises(ServiceError, match=f"{path.parent} can be written by others: chmod 700"):
        Journal.open(path)


def test_a_link_in_its_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ServiceError, match="cannot be opened"):
        Journal.open(path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_second_server_is_refused_by_the_number_of_the_first(path: Path) -> None:
    journal = Journal.open(path)
    journal.write(Closed(1))
    with pytest.raises(ServiceError, match=f"another server, process {os.getpid()}, uses {path}"):
        Journal.open(path)
    script = (
        "import sys; from pathlib import Path; from headrace.journal import Journal\n"
        "try: Journal.open(Path(sys.argv[1]))\n"
        "except Exception as error: print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert told.startswith(f"another server, process {os.getpid()}, uses {path}: stop it")
    journal.close()
    assert read(path) == [Closed(1)], "the first was not disturbed"


def test_a_program_that_does_not_know_our_lock_is_kept_out_too(path: Path) -> None:
    journal = Journal.open(path)
    other = sqlite3.connect(path, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("DELETE FROM facts")
    journal.close()
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ServiceError, match=f"{path} is in use by another program"):
        Journal.open(path)
    other.close()
    assert read(path) == []


# What is not as it should be.


@pytest.mark.parametrize("content", [b"no journal " * 100, b"SQLite format 3\0" + b"x" * 5000, b"short"])
def test_what_is_no_database_is_an_error_that_names_it(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)
    with pytest.raises(DataLossError, match=f"{path}: .*move it away"):
        Journal.open(path)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_left_alone(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE facts (a)")
    database.close()
    with pytest.raises(DataLossError, match="this is no journal of headrace"):
        Journal.open(path)


def test_a_journal_of_another_format_says_what_to_do(path: Path) -> None:
    written(path, *EACH)
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version={FORMAT + 1}")
    database.close()
    with pytest.raises(FileError, match=f"a journal of format {FORMAT + 1}.*writes format {FORMAT}: run the headrace"):
        Journal.open(path)


def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch()
    assert read(path) == []


def test_one_wrong_bit_in_a_fact_is_noticed(path: Path) -> None:
    written(path, *EACH, JobMade(2, "key", b"a graph that is easily found", 5))
    content = bytearray(path.read_bytes())
    content[content.index(b"a graph that") + 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataLossError, match=f"{path}: fact {len(EACH) + 1} is damaged"):
        read(path)


def outcome(path: Path) -> list[Fact] | HeadraceError:
    """What can be read, or the error."""
    try:
        return read(path)
    except HeadraceError as error:
        return error


# A header that says NULL, and a word of the schema that is no text: found by this test.
@example(16397, 165)
@example(3899, 170)
@settings(deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 255))
def test_a_damaged_file_is_an_error_of_ours_or_shows_nothing_else_than_facts(
    tmp_path_factory: pytest.TempPathFactory, place: int, change: int
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "journal.sqlite"
    path.parent.chmod(0o700)
    facts = [*EACH, *(Checkpointed(1, 0, number, {"packed": b"x" * 999}) for number in range(9))]
    written(path, *facts)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= change
    path.write_bytes(content)
    found = outcome(path)
    if isinstance(found, HeadraceError):
        assert str(path) in str(found)
    else:
        assert all(each in facts for each in found)


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x90", b"\x91\xa3abc", b"\x91\xa6Closed", b"\x92\x01\x02", b"\xc1"])
def test_bytes_that_are_no_fact_are_an_error(data: bytes) -> None:
    with pytest.raises(MalformedMessage, match="not a fact"):
        from_bytes(data)


def test_a_fact_takes_few_bytes() -> None:
    assert len(to_bytes(Acknowledged(1, 0, 1000))) <= 20


def test_a_disk_that_takes_no_more_is_an_error_that_names_the_file(path: Path) -> None:
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from headrace.broker.book import Checkpointed; from headrace.journal import Journal\n"
        "journal = Journal.open(Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "for number in range(9):\n"
        "    try: journal.write(Checkpointed(1, 0, number, {'packed': b'x' * 90_000})); journal.commit()\n"
        "    except Exception as error: print(number, type(error).__name__, error); break\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    number, kind, text = told.split(maxsplit=2)
    assert kind == "ServiceError"
    assert text.startswith(str(path))
    assert [fact.cursor for fact in read(path) if isinstance(fact, Checkpointed)] == list(range(int(number)))
    assert int(number) > 0


def test_a_full_disk_is_what_is_told_also_where_the_journal_is_closed_then(path: Path) -> None:
    Journal.open(path).close()
    script = (
        "import sqlite3, sys; from pathlib import Path\n"
        "from headrace.broker.book import Checkpointed; import headrace.journal as j\n"
        "class Full(sqlite3.Connection):\n"
        "    def execute(self, text, *given):\n"
        "        found = super().execute(text, *given)\n"
        "        if text.startswith('INSERT INTO facts'):\n"
        "            super().execute('ROLLBACK')\n"  # as SQLite does itself
        "            error = sqlite3.OperationalError('database or disk is full')\n"
        "            error.sqlite_errorcode = sqlite3.SQLITE_FULL\n"
        "            raise error\n"
        "        return found\n"
        "connect = sqlite3.connect\n"
        "j.sqlite3.connect = lambda *given, **named: connect(*given, factory=Full, **named)\n"
        "journal = j.Journal.open(Path(sys.argv[1]))\n"
        "try:\n"
        "    try: journal.write(Checkpointed(1, 0, 1, {}))\n"
        "    finally: journal.close()\n"
        "except Exception as error: print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert told == f"{path} cannot grow, the disk is full: make room and start the server again\n"


def test_a_folder_that_cannot_be_made_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match=f"{tmp_path}/file/journal.sqlite cannot be opened"):
        Journal.open(tmp_path / "file" / "journal.sqlite")
