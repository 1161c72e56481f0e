"""Where compiled kernels lie when the folder that was named can only be read, as in an image."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.pipeline.kernels import compile as compiling

#: Says where kernels are kept, for a user who cannot write into the folder that is named.
PROBE = """
import os, sys
from headrace.pipeline.errors import ServiceError
from headrace.pipeline.kernels.compile import cache_folder
os.environ["HEADRACE_CACHE_DIR"] = sys.argv[1]
if os.getuid() == 0:
    os.setuid(54321)
os.umask(0o022)
try:
    print(os.getuid(), cache_folder())
except ServiceError as error:
    print(error)
"""


@pytest.fixture
def shelf() -> Iterator[Path]:
    """A folder that every user can enter, with kernels in `image/kernels` that nobody but root can write to."""
    with tempfile.TemporaryDirectory(prefix="shelf-", ignore_cleanup_errors=True) as folder:
        shelf = Path(folder)
        (shelf / "image/kernels/crc").mkdir(parents=True)
        (shelf / "image/kernels/crc/a.nbi").write_bytes(b"code")
        (shelf / "image/kernels/crc").chmod(0o555)
        (shelf / "image/kernels").chmod(0o555)
        (shelf / "tmp").mkdir()
        (shelf / "tmp").chmod(0o1777)
        shelf.chmod(0o755)
        yield shelf
        (shelf / "image/kernels").chmod(0o755)
        (shelf / "image/kernels/crc").chmod(0o755)


def probe(shelf: Path) -> str:
    environment = {**os.environ, "HEADRACE_CACHE_DIR": str(shelf / "own"), "TMPDIR": str(shelf / "tmp")}
    command = [sys.executable, "-c", PROBE, str(shelf / "image")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_kernels_of_an_image_are_copied_to_a_private_folder(shelf: Path) -> None:
    user, folder = probe(shelf).split()

    assert Path(folder) == shelf / f"tmp/headrace-{user}/kernels"
    assert (Path(folder) / "crc/a.nbi").read_bytes() == b"code"
    assert (Path(folder) / "crc").stat().st_mode & 0o700 == 0o700
    assert Path(folder).parent.stat().st_mode & 0o777 == 0o700
    assert Path(folder).parent.stat().st_uid == int(user)
    assert [path.name for path in Path(folder).parent.iterdir()] == ["kernels"]


def test_the_copy_is_made_once(shelf: Path) -> None:
    _, folder = probe(shelf).split()
    (Path(folder) / "crc/b.nbi").write_bytes(b"compiled since")

    assert probe(shelf).split()[1] == folder
    assert (Path(folder) / "crc/b.nbi").read_bytes() == b"compiled since"


def test_a_temporary_folder_that_others_can_write_to_is_refused(shelf: Path) -> None:
    user, _ = probe(shelf).split()
    (shelf / f"tmp/headrace-{user}").chmod(0o777)

    assert "is not a private folder of yours" in probe(shelf)
    assert "HEADRACE_CACHE_DIR" in probe(shelf)


def test_that_kernels_are_compiled_is_known_of_these_sources_in_this_place_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def marker_in(folder: Path) -> Path:
        monkeypatch.setattr(compiling, "__file__", str(folder / "compile.py"))
        return compiling.marker()

    here = Path(compiling.__file__).parent
    one, other = tmp_path / "one", tmp_path / "other"
    for copy in (one, other):
        shutil.copytree(here, copy, ignore=shutil.ignore_patterns("__pycache__"))
    first = marker_in(one)
    assert marker_in(one) == first
    assert marker_in(other) != first, "numba compiles anew for sources elsewhere"
    os.utime(one / "crc.py", ns=(0, 1))
    assert marker_in(one) != first, "and for those that were touched"


#: Compiles what is not compiled yet.
WARM = """
from headrace.pipeline.kernels.compile import marker
from headrace.pipeline.warm import warm
warm(lambda: print(marker(), flush=True))
"""


def test_of_several_processes_one_compiles_and_the_others_wait_for_it(tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir()
    with (tmp_path / "kernels" / "warming").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = {**os.environ, "HEADRACE_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-c", WARM]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            marker = Path(other.stdout.readline().strip())
            with pytest.raises(subprocess.TimeoutExpired):
                other.wait(1.0)
            marker.touch()  # as whoever has the lock does in the end
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert other.wait(60) == 0
    assert not list(tmp_path.rglob("*.nbc")), "it has compiled something"
