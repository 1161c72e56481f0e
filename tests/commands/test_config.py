"""The configuration: what a file may say, and what is said to one that may not."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.config import Config, load, schema
from headrace.pipeline.errors import InvalidArgumentError, NotFoundError

ROOT = Path(__file__).parents[2]
KEYS = [f"{section}.{key}" for section, keys in schema().items() for key in keys]


@pytest.fixture
def said(tmp_path: Path) -> Callable[[str], Config]:
    """`said(text)`: the configuration that a file with this text is."""

    def read(text: str) -> Config:
        (tmp_path / "my.toml").write_text(text)
        return load(tmp_path / "my.toml")

    return read


def test_an_empty_file_says_nothing(said: Callable[[str], Config]) -> None:
    assert said("") == Config()


def test_what_a_file_says_goes_before_the_defaults_and_an_option_before_the_file(
    said: Callable[[str], Config],
) -> None:
    config = said('[server]\nworkers = 5\n[limits]\nlease = "2 min"\nbudget = "1.5 GiB"')
    assert (config.server.workers, config.limits.lease, config.limits.budget) == (5, 120.0, 3 << 29)
    assert config.limits.split == Config().limits.split
    changed = config.changed({"server.workers": ("--workers", 7), "limits.lease": ("--lease", None)})
    assert (changed.server.workers, changed.limits.lease) == (7, 120.0)
    assert "limits.split" not in changed.said
    assert {"server.workers", "limits.lease", "limits.budget"} == changed.said


def test_relative_paths_are_relative_to_the_file_and_options_to_where_one_is(
    said: Callable[[str], Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = said('[server]\nstate_dir = "state"\n[security]\nkeys = "~/keys"\n[worker]\nkey = "/etc/node.key"')
    assert config.server.state_dir == tmp_path / "state"
    assert config.security.keys == Path.home() / "keys"
    assert config.worker.key == Path("/etc/node.key")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    changed = config.changed({"security.keys": ("--keys", Path("mine"))})
    assert changed.security.keys == tmp_path / "there" / "mine"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[limits]\nbuget = 1", "there is no key limits.buget: did you mean limits.budget?"),
        ("[servers]\nworkers = 1", "there is no section [servers]: did you mean [server]?"),
        ("[zzz]\nworkers = 1", "there is no section [zzz]: known: [server], [limits], [security], [metrics], [worker]"),
        ("[metrics]\nzzz = 1", "there is no key metrics.zzz: known: metrics.listen"),
        ("server = 3", "server is a section: write [server], and its keys below"),
        ("workers = 3", "there is no section [workers]: did you mean [worker]?"),
        ('[server]\nworkers = "2"', "server.workers is '2': it must be a whole number from 0 to 1,024"),
        ("[server]\nworkers = true", "server.workers is True: it must be a whole number from 0 to 1,024"),
        ("[server]\nworkers = 1025", "server.workers is 1025: it must be a whole number from 0 to 1,024"),
        ("[server]\nworkers = -1", "server.workers is -1: it must be a whole number from 0 to 1,024"),
        ("[worker]\nworkers = 0", "worker.workers is 0: it must be a whole number from 1 to 1,024"),
        ("[server]\nslabs = 1", "server.slabs is 1: it must be true or false"),
        ("[server]\nstate_dir = 7", "server.state_dir is 7: it must be a path"),
        ('[server]\nlisten = "tcp://*:1"', "server.listen is 'tcp://*:1': it must be a list of addresses"),
        ('[server]\nlisten = ["ipc:///x"]', "server.listen is ['ipc:///x']: it must be an address such as"),
        ('[server]\nlisten = ["tcp://h:99999"]', "it must be an address such as"),
        ('[limits]\nbudget = "256 MB/s"', "limits.budget is '256 MB/s': it must be a size such as"),
        ('[limits]\nbudget = "1 kB"', "limits.budget is '1 kB': it must be at least 1,048,576 bytes"),
        ("[limits]\nbudget = 1.5", "limits.budget is 1.5: it must be a size such as"),
        ('[limits]\nlease = "30 parsecs"', "limits.lease is '30 parsecs': it must be a duration such as"),
        ("[limits]\nlease = 0", "limits.lease is 0: it must be at least 0.1 s"),
        ("[limits]\nlease = nan", "limits.lease is nan: it must be at least 0.1 s"),
        ("[limits]\nlease = inf", "limits.lease is inf: it must be at least 0.1 s"),
        ("[limits]\nheartbeat = 20\nlease = 30", "a worker has to be heard at least twice in a lease"),
        ('[limits]\nsplit = "1 GiB"', "a split has to fit into the budget"),
        ('[metrics]\nlisten = "7312"', "metrics.listen is '7312': it must be an address such as"),
        ('[metrics]\nlisten = "localhost:http"', "metrics.listen is 'localhost:http': it must be"),
        ('[worker]\nserver = "head:7311"', "worker.server is 'head:7311': it must be an address such as"),
        ('[server]\nroots = "/data"', "server.roots is '/data': it must be a list of folders"),
        ('[server]\nroots = [""]', "server.roots is ['']: it must be a list of folders"),
        ('[security]\nmodules = ["a-b"]', "security.modules is ['a-b']: it must be a list of modules"),
        ('[limits]\nformats = ["TIFF"]', "limits.formats is ['TIFF']: it must be a list of some of JPEG, PNG, GIF,"),
        ('[limits]\nelement = "1 GiB"', "a frame has to hold an element and 1 MiB"),
        ("[limits]\nframes = 7", "limits.frames is 7: it must be a whole number from 8 to 1,024"),
        ("[server", "this is no TOML: "),
    ],
)
def test_what_does_not_fit_is_refused_by_name(said: Callable[[str], Config], text: str, expected: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        said(text)
    assert "my.toml: " in str(caught.value)
    assert expected in str(caught.value)


def test_an_option_that_does_not_fit_is_named_as_it_was_typed() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^--lease is 'soon': it must be a duration such as \"30 s\""):
        Config().changed({"limits.lease": ("--lease", "soon")})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"my\.toml: the configuration cannot be read: No such file"):
        load(tmp_path / "my.toml")
    with pytest.raises(NotFoundError, match="the configuration cannot be read: Is a directory"):
        load(tmp_path)
    (tmp_path / "my.toml").write_bytes(b'[server]\nrun_dir = "\xff"')
    with pytest.raises(InvalidArgumentError, match="this is no TOML"):
        load(tmp_path / "my.toml")


def test_a_short_lease_alone_shortens_the_heartbeat() -> None:
    assert Config().changed({"limits.lease": ("--lease", "1 s")}).limits.heartbeat == 0.25


@pytest.mark.parametrize("none", ["", "none"])
def test_no_page_can_be_asked_for(said: Callable[[str], Config], none: str) -> None:
    assert said(f'[metrics]\nlisten = "{none}"').metrics.listen == ""


def test_local_toml_has_every_key_with_its_default() -> None:
    file = ROOT / "configs" / "local.toml"
    said = {f"{section}.{key}" for section, keys in tomllib.loads(file.read_text()).items() for key in keys}
    assert said == set(KEYS)
    config = load(file)
    assert [getattr(config, section) for section in schema()] == [getattr(Config(), section) for section in schema()]


@pytest.mark.parametrize("name", ["local.toml", "cluster.toml"])
def test_a_comment_explains_every_key(name: str) -> None:
    lines = (ROOT / "configs" / name).read_text().splitlines()
    load(ROOT / "configs" / name)
    keys = [i for i, line in enumerate(lines) if "=" in line and not line.startswith("#")]
    assert len(keys) == len(KEYS)
    assert [lines[i] for i in keys if not lines[i - 1].startswith("# ")] == []


def test_the_reference_lists_every_key_and_no_other() -> None:
    rows = [line.split("|") for line in (ROOT / "docs" / "configuration.md").read_text().splitlines() if "|" in line]
    documented = {row[1].strip(" `"): row for row in rows if "." in row[1]}
    assert set(documented) == set(KEYS)


def test_the_reference_says_the_defaults() -> None:
    rows = [line.split("|") for line in (ROOT / "docs" / "configuration.md").read_text().splitlines() if "|" in line]
    documented: dict[str, Any] = {row[1].strip(" `"): row[3].strip(" `") for row in rows if "." in row[1]}
    text = "".join(
        f"[{section}]\n" + "".join(f"{key} = {documented[f'{section}.{key}']}\n" for key in keys)
        for section, keys in schema().items()
    )
    local = tomllib.loads((ROOT / "configs" / "local.toml").read_text())
    assert tomllib.loads(text) == local
