"""estimated_accuracy: guesses without labels, which decide nothing whatever they say."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from modelchecks import load_suite, run_suite, stats
from modelchecks.checks.label_free import EstimatedAccuracy
from modelchecks.results import Run
from tests.conftest import Bench


def write(bench: Bench, name: str, ease: float, *, rows: int = 1500, labels: bool = True) -> Any:
    draw = np.random.default_rng(len(name))
    label = draw.integers(0, 4, rows)
    z = ease * (draw.standard_normal((rows, 4)) + ease * np.eye(4)[label])
    said = np.exp(z - z.max(1, keepdims=True))
    said /= said.sum(1, keepdims=True)
    given = pa.array(label, mask=np.full(rows, not labels))
    bench.write(name, label=given, p=pa.array(said.tolist(), pa.list_(pa.float64())))
    return label, said


def run(bench: Bench, checks: str = "- estimated_accuracy: {max_drop: 5pp}", **options: Any) -> Run:
    options = {"variants": "m: {logged: p}", **options}
    return run_suite(load_suite(bench.suite(checks, **options)))


@pytest.mark.parametrize(
    ("ease", "where"), [(2.2, "around"), (1.2, "all below"), (4.0, "all above")]
)
def test_a_range_is_told_and_nothing_is_decided(bench: Bench, ease: float, where: str) -> None:
    label, source = write(bench, "offline", 2.5)
    _, target = write(bench, "live", ease, labels=False)
    (found,) = run(bench).results
    assert (found.status, found.severity, found.estimate) == ("inconclusive", "warn", None)
    expected = stats.label_free_guesses(source, label, target)
    # Probabilities are kept in single precision.
    for name, guess in expected.values.items():
        assert found.details["guesses"][name] == pytest.approx(guess, abs=2e-3)
    assert where in found.message
    assert "no label was used" in found.message
    assert re.search(r"no interval and decides nothing", found.message)
    number = "no practical number of" if found.needed is None else f"about {found.needed:,}"
    assert f"{number} labelled live rows would decide" in found.message


def test_it_neither_blocks_nor_approves_even_as_a_blocking_check(bench: Bench) -> None:
    write(bench, "offline", 2.5)
    for ease in (1.0, 4.0):
        write(bench, "live", ease, labels=False)
        checks = "- estimated_accuracy: {max_drop: 5pp}\n  severity: block"
        held = run(bench, checks, name=f"held-{ease:.0f}")
        assert held.decisions["m"].verdict == "undecided"
        assert held.results[0].status == "inconclusive"


def test_what_speaks_against_the_guesses_is_told(bench: Bench) -> None:
    write(bench, "offline", 3.0)
    write(bench, "live", 1.0, labels=False)
    (found,) = run(bench).results
    assert "more than any change of the classes' shares explains" in found.message
    assert found.details["unexplained"] > found.details["chance"]


def test_a_log_of_classes_or_with_gaps_is_an_error(bench: Bench) -> None:
    (found,) = run(bench, variants="good: {logged: good}").results
    assert found.status == "errored"
    assert "log one list of probabilities per row" in found.message
    write(bench, "offline", 2.5)
    _, said = write(bench, "live", 2.5)
    said[5] = np.nan
    lists = pa.array(said.tolist(), pa.list_(pa.float64()))
    bench.write("live", label=np.zeros(1500, dtype=int), p=lists)
    (found,) = run(bench).results
    assert found.status == "errored"


def test_one_class_offline_is_no_ground_for_a_guess(bench: Bench) -> None:
    _, said = write(bench, "offline", 2.5)
    lists = pa.array(said.tolist(), pa.list_(pa.float64()))
    bench.write("offline", label=np.zeros(1500, dtype=int), p=lists)
    write(bench, "live", 2.5, labels=False)
    (found,) = run(bench).results
    assert found.status == "inconclusive"
    assert "mixed up too often" in found.message


def test_a_guess_needs_two_splits() -> None:
    with pytest.raises(ValueError, match="live: is the same split"):
        EstimatedAccuracy(max_drop=0.05, live="offline")
