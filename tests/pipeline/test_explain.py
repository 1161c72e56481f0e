"""Explanations: what runs where, and what is said about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import headrace as hr
from headrace import Dataset, TensorSpec
from headrace.commands import app

from .test_graph import PIPELINES

TextFile = Callable[..., str]


def parse(line: bytes) -> dict[str, Any]:
    return {"image": np.zeros((8, 8), np.float32), "label": np.int64(int(line))}


def augment(batch: Any) -> Any:
    return batch


def stages(dataset: Dataset) -> list[tuple[str, ...]]:
    """Where, and the names of what runs there."""
    return [(each.where, *(name.partition("(")[0] for name in each.operators)) for each in dataset.explain().stages]


def test_a_usual_pipeline_reads_on_workers_shuffles_in_the_broker_and_waits_at_the_client(text_file: TextFile) -> None:
    files = [text_file(b"1\n2\n3\n", "a"), text_file(b"4\n", "b")]
    dataset = hr.TextLineDataset(files).map(parse).shuffle(100).batch(2).prefetch(3)
    found = dataset.explain()
    assert stages(dataset) == [
        ("workers", "from_tensor_slices"),
        ("workers", "TextLineDataset", "map"),
        ("broker", "shuffle", "batch"),
        ("client", "prefetch"),
    ]
    assert [each.how for each in found.stages] == [
        "rows, cut into splits",
        "2 files, cut into splits",
        "",
        "3 elements wait ready",
    ]
    assert (found.hops, found.warnings) == (0, ())
    operators = {each.operator.partition("(")[0]: each for each in found.operators}
    assert [each.depth for each in found.operators] == [0, 1, 2, 3, 4, 5]
    assert operators["map"].segment == operators["TextLineDataset"].segment == 2
    assert operators["batch"].spec == {
        "image": TensorSpec((None, 8, 8), "float32"),
        "label": TensorSpec((None,), "int64"),
    }
    assert operators["from_tensor_slices"].cardinality == 2


def test_the_text_shows_the_graph_as_written_and_as_it_runs(text_file: TextFile) -> None:
    path = text_file(b"1\n2\n")
    text = str(hr.TextLineDataset(Dataset.list_files(path, shuffle=False)).map(parse).batch(2).explain())
    assert text.splitlines() == [
        f"as written: list_files({path!r}) > TextLineDataset() > map(parse) > batch(2)",
        "",
        "operator                          elements  runs on             what it gives",
        "batch(2)                           unknown  broker              image: float32 [?, 8, 8], label: int64 [?]",
        "└ map(parse)                       unknown  workers, segment 2  image: float32 [8, 8], label: int64",
        "  └ TextLineDataset()              unknown  workers, segment 2  bytes",
        "    └ from_tensor_slices(1 rows)         1  workers, segment 1  bytes",
        "",
        "as it runs:",
        "  1. workers, segment 1: from_tensor_slices(1 rows) (rows, cut into splits)",
        "  2. workers, segment 2: TextLineDataset() > map(parse) (1 file, cut into splits)",
        "  3. broker: batch(2)",
    ]


def test_cuts_of_rows_are_the_split_plans() -> None:
    dataset = Dataset.range(100).skip(10).shard(3, 0).map(lambda x: x).take(5)
    assert stages(dataset) == [("split plan", "skip", "shard"), ("workers", "range", "map"), ("broker", "take")]
    assert [each.where for each in dataset.explain().operators] == [
        "broker",
        "workers",
        "split plan",
        "split plan",
        "workers",
    ]
    indexed = Dataset.from_indexable([1, 2, 3]).shuffle(3).enumerate()
    assert stages(indexed) == [("split plan", "shuffle"), ("workers", "range", "from_indexable", "enumerate")]


def test_a_function_behind_a_batch_is_a_second_hop() -> None:
    dataset = Dataset.range(9).map(lambda x: x).batch(3).map(augment)
    found = dataset.explain()
    assert stages(dataset) == [("workers", "range", "map"), ("broker", "batch"), ("workers", "map")]
    assert found.hops == 1
    assert [each.hop for each in found.stages] == [False, False, True]
    (warning,) = found.warnings
    assert warning.startswith("map(augment) stands behind batch(3): what that gives goes to workers once more")
    assert "put it in front of the batch" in warning


def test_maps_behind_what_cannot_be_split_are_a_second_hop() -> None:
    dataset = hr.TFRecordDataset("a.gz", "GZIP").filter(len).map(augment).batch(2)
    found = dataset.explain(look=False)
    assert [(each.where, each.segment, each.operators, each.how, each.hop) for each in found.stages[1:3]] == [
        ("workers", 2, ("TFRecordDataset(compression=GZIP)",), "1 file, each read whole", False),
        ("workers", 3, ("filter(len)", "map(augment)"), "the broker hands elements along", True),
    ]
    assert [each.segment for each in found.operators] == [None, 3, 3, 2, 1]
    (warning,) = found.warnings
    assert "one worker reads each from its start; what is mapped behind it runs on all, a second hop" in warning
    kept = hr.CsvDataset("a.csv", [int]).filter(lambda x: x > 1).explain(look=False)
    assert kept.hops == 0
    assert "Files without quotes (use_quote_delim=False) are cut into splits for all" in kept.warnings[0]


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: Dataset.range(9).shuffle(3).map(augment), r"behind shuffle\(3\): .* once more, a second hop. Keep it"),
        (lambda: Dataset.range(9).repeat(2).map(augment), r"behind repeat\(2\): .* In front of repeat\(2\)"),
        (lambda: Dataset.from_generator(lambda: iter("abc")), "from_generator.* is run by one worker"),
        (lambda: hr.TextLineDataset(["a", "b"], "GZIP"), "reads 2 files that cannot be entered in the middle"),
        (lambda: Dataset.range(9).shuffle(9).take(3), r"take\(3\) stands behind shuffle\(9\), whose order is new"),
        (lambda: Dataset.range(9).shuffle(9).map(augment).skip(3), r"skip\(3\) stands behind shuffle\(9\)"),
        (lambda: Dataset.range(9).repeat().shuffle(9), "elements of several passes mix"),
        (
            lambda: Dataset.range(10**6).map(lambda _: np.zeros(1 << 18, np.uint8)).shuffle(5000),
            r"holds 5,000 elements of about 262,144 bytes, 1.2 GiB, in the broker's memory",
        ),
        (
            lambda: Dataset.range(500).map(lambda _: np.zeros(1 << 10, np.uint8)).shuffle(10**6).with_options(
                hr.Options(buffer_bytes=1 << 10)
            ),
            r"holds 500 elements of about 1,024 bytes, .* more than its budget, an error .* now 1,024",
        ),
    ],
)  # fmt: skip
def test_what_costs_or_surprises_is_told_with_what_to_do(build: Callable[[], Dataset], told: str) -> None:
    assert any(re.search(told, each) for each in build().explain().warnings)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Dataset.range(9).shuffle(9, reshuffle_each_iteration=False).take(3),
        lambda: Dataset.range(9).shuffle(9).repeat().batch(2),
        lambda: Dataset.range(9).map(augment).shuffle(9).batch(2).prefetch(1),
        lambda: hr.TextLineDataset(["a", "b"]),
        lambda: Dataset.range(9).flat_map(Dataset.range),
    ],
)
def test_what_is_well_is_not_warned_of(build: Callable[[], Dataset]) -> None:
    assert build().explain().warnings == ()


def test_a_scan_is_told_by_its_function() -> None:
    (_, scan) = stages(Dataset.range(3).scan(np.int64(0), augment))
    assert Dataset.range(3).scan(np.int64(0), augment).explain(look=False).stages[1].operators == ("scan(augment)",)
    assert scan == ("workers", "scan")


def test_branches_interleaves_and_nested_datasets() -> None:
    left = Dataset.range(4).map(augment)
    right = Dataset.range(9).shuffle(3)
    dataset = Dataset.zip(left, {"b": right}).interleave(lambda *_: Dataset.range(2), 2).flat_map(Dataset.range)
    assert stages(dataset) == [
        ("workers", "range", "map"),
        ("workers", "range"),
        ("broker", "shuffle"),
        ("broker", "zip"),
        ("workers", "datasets of interleave"),
        ("broker", "interleave"),
        ("workers", "flat_map"),
    ]
    assert dataset.explain().hops == 2
    assert [each.depth for each in dataset.explain().operators] == [0, 1, 2, 3, 4, 3, 4]


def test_every_operator_has_a_place() -> None:
    for name, build in PIPELINES.items():
        found = build().explain(look=False)
        assert found.operators, name
        assert {each.where for each in found.operators} <= {"split plan", "workers", "broker", "client", ""}
        told = [operator for stage in found.stages for operator in stage.operators]
        assert len(told) >= sum(bool(each.where) for each in found.operators), name


def test_without_looking_no_function_is_called() -> None:
    def fail(x: Any) -> Any:
        raise AssertionError("called")

    found = Dataset.range(3).map(fail).shuffle(10).batch(2).explain(look=False)
    assert {each.spec for each in found.operators} == {None}
    looked = Dataset.range(3).map(fail).shuffle(10).batch(2).explain()
    assert [each.spec for each in looked.operators][-1] == TensorSpec((), np.int64)
    assert [each.spec for each in looked.operators][:-1] == [None] * 3


def test_the_command_prints_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "train_explained.py"
    script.write_text("import headrace as hr\n\ndataset = hr.Dataset.range(9).map(abs).batch(3)\n")
    result = CliRunner().invoke(app, ["explain", f"{script}:dataset"])
    assert result.exit_code == 0
    assert result.output.startswith("as written: range(0, 9, step=1) > map(abs) > batch(3)\n")
    wrong = CliRunner().invoke(app, ["explain", f"{script}:nothing"])
    assert wrong.exit_code == 1
    script.write_text("import headrace as hr\n\nfiles = hr.Dataset.list_files('nowhere/*.gz')\n")
    assert CliRunner().invoke(app, ["explain", "--no-look", f"{script}:files"]).exit_code == 1
