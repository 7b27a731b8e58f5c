"""stability: the spread of planted runs is found, and a gain within it is not established."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelchecks import load_suite, run_suite
from modelchecks.results import Result
from tests.planted import SIDE, Planted

N = 2000


@pytest.fixture
def runs(planted: Planted) -> Planted:
    """Two splits of one bright pixel's rank; a model of threshold b has a known accuracy."""
    for name, seed in (("offline", 1), ("live", 2)):
        values = np.random.default_rng(seed).permutation(N) * 200 // N + 25
        images = np.zeros((N, SIDE, SIDE), np.uint8)
        images[:, 14, 13] = values
        planted.images(images, np.where(values > 125, 0, 1), name)
    return planted


def weight(runs: Planted, name: str, accuracy: float) -> None:
    """Write weights whose threshold is off by so much that this share is right."""
    kernel = np.zeros((1, SIDE, SIDE), np.float32)
    kernel[0, 14, 13] = 50
    off = 125.5 + 200 * (1 - accuracy)
    runs.weights(name, weight=kernel, bias=np.array([-50 * off / 255], np.float32))


def judged(
    runs: Planted, accuracies: list[float], check: str, tags: list[str] | None = None
) -> dict[str, Result]:
    """Judge `own` with these runs beside the champion `old`, whose accuracy is 90 %."""
    told = []
    for number, accuracy in enumerate(accuracies):
        weight(runs, f"run-{number}", accuracy)
        tag = tags[number] if tags else f"seed: {number}"
        told.append(f"{{weights: run-{number}.safetensors, {tag}}}")
    weight(runs, "own", accuracies[0] if accuracies else 0.9)
    weight(runs, "old", 0.90)
    path: Path = runs.write(
        check, {"own": "linear", "old": "linear"}, splits=("offline", "live"), champion="old"
    )
    text = path.read_text("utf-8")
    own = "weights: own.safetensors"
    path.write_text(text.replace(own, f"{own}, runs: [{', '.join(told)}]"), "utf-8")
    return {r.variant: r for r in run_suite(load_suite(path)).results}  # type: ignore[misc]


def test_equal_runs_pass_and_scattered_runs_fail(runs: Planted) -> None:
    calm = judged(runs, [0.90, 0.905, 0.90, 0.905, 0.90], "stability: {max_spread: 2pp}")["own"]
    assert calm.status == "passed", calm.message
    assert calm.estimate is not None
    assert calm.estimate.n == 5
    assert calm.estimate.value == pytest.approx(0.0027, abs=0.001)
    wild = judged(runs, [0.70, 0.95, 0.80, 0.99, 0.60], "stability: {max_spread: 2pp}")["own"]
    assert wild.status == "failed", wild.message


def test_few_runs_are_inconclusive_and_say_how_many_would_do(runs: Planted) -> None:
    found = judged(runs, [0.90, 0.92, 0.91], "stability: {max_spread: 2pp}")["own"]
    assert found.status == "inconclusive"
    assert found.needed is not None
    assert found.needed > 3


def test_without_runs_nothing_is_known(runs: Planted) -> None:
    found = judged(runs, [0.90, 0.905, 0.90], "stability: {max_spread: 5pp}")["old"]
    assert found.status == "inconclusive"
    assert "no `runs:` are declared" in found.message


def test_a_gain_within_the_spread_is_not_established(runs: Planted) -> None:
    check = "stability: {max_spread: 10pp}"
    small = judged(runs, [0.915, 0.89, 0.93, 0.90], check)["own"]
    assert small.details["gain"]["offline"]["established"] is False
    assert "a gain is not established" in small.message
    large = judged(runs, [0.98, 0.979, 0.981, 0.98], check)["own"]
    assert large.details["gain"]["live"]["established"] is True
    assert large.details["gain"]["live"]["gain"] == pytest.approx(0.08, abs=0.01)


def test_a_choice_is_told_apart_from_chance(runs: Planted) -> None:
    tags = [f"seed: {n % 3}, lr: {0.1 if n < 3 else 0.3}" for n in range(6)]
    accuracies = [0.90, 0.905, 0.90, 0.80, 0.805, 0.80]
    found = judged(runs, accuracies, "stability: {max_spread: 2pp}", tags)["own"]
    assert found.status == "passed", found.message
    assert found.details["sensitivity"]["offline"]["lr"]["range"] == pytest.approx(0.1, abs=0.01)
    assert "lr moves the accuracy by 10" in found.message


def test_a_run_that_is_not_there_is_an_error(runs: Planted) -> None:
    judged(runs, [0.90, 0.905, 0.90], "stability: {max_spread: 2pp}")
    (runs.folder / "run-1.safetensors").unlink()
    found = {
        r.variant: r for r in run_suite(load_suite(runs.folder / "planted.suite.yaml")).results
    }
    assert found["own"].status == "errored"
    assert "run-1.safetensors" in found["own"].message
