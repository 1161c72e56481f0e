"""The demo's classifier: its gradient, its optimiser, its features."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.demo.classifier import Adam, Classifier, features


@pytest.mark.parametrize("name", ["w1", "b1", "w2", "b2"])
def test_gradients_agree_with_finite_differences(name: str) -> None:
    rng = np.random.default_rng(1)
    classifier = Classifier(classes=4, width=5, hidden=6)
    classifier.parameters = {key: value.astype(np.float64) for key, value in classifier.parameters.items()}
    inputs, labels = rng.normal(size=(8, 5)), rng.integers(4, size=8)
    gradient = classifier.loss_and_gradients(inputs, labels)[2][name]
    parameter, step = classifier.parameters[name], 1e-6
    for place in np.ndindex(parameter.shape):
        before = parameter[place]
        parameter[place] = before + step
        above = classifier.loss_and_gradients(inputs, labels)[0]
        parameter[place] = before - step
        below = classifier.loss_and_gradients(inputs, labels)[0]
        parameter[place] = before
        assert gradient[place] == pytest.approx((above - below) / (2 * step), abs=1e-7)


def test_it_learns_classes_that_can_be_separated() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(3, size=300)
    inputs = np.eye(3)[labels] * 3 + rng.normal(size=(300, 3)) * 0.3
    classifier = Classifier(classes=3, width=3, hidden=8)
    losses = [classifier.learn(inputs, labels)[0] for _ in range(600)]
    assert losses[-1] < losses[0] / 10
    assert (classifier.scores(inputs).argmax(axis=1) == labels).mean() > 0.99


def test_the_loss_of_even_scores_is_the_logarithm_of_the_classes() -> None:
    classifier = Classifier(classes=5, width=3, hidden=4)
    classifier.parameters["w2"][:] = 0
    loss, right, _ = classifier.loss_and_gradients(np.ones((10, 3)), np.zeros(10, np.int64))
    assert loss == pytest.approx(np.log(5))
    assert right == 10, "of equal scores the first class is taken"


def test_adams_first_step_has_the_size_of_its_rate() -> None:
    parameters = {"w": np.array([1.0, 1.0, 1.0])}
    Adam(rate=0.1).step(parameters, {"w": np.array([0.5, -5.0, 0.0])})
    np.testing.assert_allclose(parameters["w"], [0.9, 1.1, 1.0], atol=1e-6)


def test_features_see_colour_place_and_edges() -> None:
    images = np.zeros((2, 8, 8, 3), np.uint8)
    images[1, :, 4:] = 255  # the right half is white
    seen = features(images)
    assert seen.shape == (2, 118)
    histogram, thumbnail, edges = np.split(seen[1], [64, 112])
    np.testing.assert_allclose(histogram[[0, 63]], 4 * np.sqrt(0.5))
    assert histogram.sum() == pytest.approx(8 * np.sqrt(0.5))
    np.testing.assert_allclose(thumbnail.reshape(4, 4, 3)[:, :, 0], [[-0.5, -0.5, 0.5, 0.5]] * 4)
    np.testing.assert_allclose(edges, [20 / 7] * 3 + [0] * 3, rtol=1e-6)
    np.testing.assert_allclose(seen[0], [4] + [0] * 63 + [-0.5] * 48 + [0] * 6)
