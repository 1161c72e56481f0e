"""Functions with a parameter named rng."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import headrace as hr
from headrace import Dataset

Run = Callable[..., list[list[Any]]]


def draw(*element: Any, rng: np.random.Generator) -> Any:
    return rng.integers(1 << 62)


def seeded(dataset: Dataset, seed: int = 1) -> Dataset:
    return dataset.with_options(hr.Options(seed=seed))


def test_draws_are_the_same_for_the_same_seed_epoch_operator_and_element(run: Run) -> None:
    one, two = (run(seeded(Dataset.range(20).map(draw)), epochs=2) for _ in range(2))
    assert one == two


def test_draws_differ_between_elements_epochs_seeds_and_operators(run: Run) -> None:
    def twice(*pair: Any, rng: np.random.Generator) -> Any:
        return (*pair, rng.integers(1 << 62))

    dataset = Dataset.range(20).map(lambda x: (x,)).map(twice).map(twice)
    draws = [
        int(number)
        for seed in (1, 2)
        for epoch in run(seeded(dataset, seed), epochs=2)
        for _, *numbers in epoch
        for number in numbers
    ]
    assert len(set(draws)) == len(draws) == 2 * 2 * 20 * 2


def test_an_elements_draw_does_not_depend_on_what_comes_before_it(run: Run) -> None:
    (whole,) = run(seeded(Dataset.range(20).map(draw)))
    assert run(seeded(Dataset.range(20).map(draw).skip(7)))[0] == whole[7:]
    (kept,) = run(seeded(Dataset.range(20).map(lambda x, rng: (x, draw(x, rng=rng))).filter(lambda x, d: x % 2 == 1)))
    assert [d for _, d in kept] == whole[1::2]


def test_every_pass_of_a_repeat_draws_anew(run: Run) -> None:
    (got,) = run(seeded(Dataset.range(5).map(draw).repeat(3)))
    assert len(set(got)) == 15
    (outside,) = run(seeded(Dataset.range(5).repeat(3).map(draw)))
    assert len(set(outside)) == 15


def test_a_file_listed_twice_draws_differently_each_time(run: Run, text_file: Callable[..., str]) -> None:
    path = text_file(b"a\nb\nc\n")
    (got,) = run(seeded(hr.TextLineDataset([path, path]).map(draw)))
    assert len(set(got)) == 6
    assert run(seeded(hr.TextLineDataset([path]).map(draw)))[0] == got[:3]


def test_draws_belong_to_elements_wherever_a_shuffle_puts_them(run: Run) -> None:
    def tag(x: Any, rng: np.random.Generator) -> Any:
        return x, rng.integers(1 << 62)

    for dataset in (Dataset.range(30).map(tag).shuffle(30), Dataset.range(30).shuffle(30).map(tag)):
        one, two = (run(seeded(dataset))[0] for _ in range(2))
        assert one == two
        assert len({d for _, d in one}) == 30


def test_a_batch_is_an_element_with_draws_of_its_own(run: Run) -> None:
    (got,) = run(seeded(Dataset.range(10).batch(2).map(draw)))
    assert len(set(got)) == 5


def test_without_a_seed_two_datasets_draw_differently_and_one_dataset_keeps_its_own() -> None:
    one, two = Dataset.range(3).map(draw), Dataset.range(3).map(draw)
    assert list(one.iterate(0)) == list(one.iterate(0)) != list(two.iterate(0))


def test_filter_gets_an_rng_too(run: Run) -> None:
    def toss(x: Any, rng: np.random.Generator) -> bool:
        return bool(rng.random() < 0.5)

    (got,) = run(seeded(Dataset.range(1000).filter(toss)))
    assert 400 < len(got) < 600
    assert run(seeded(Dataset.range(1000).filter(toss)))[0] == got
