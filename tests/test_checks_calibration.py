"""calibration: a perfect model is not blamed for chance, an overconfident one is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from modelchecks import load_suite, run_suite, stats
from modelchecks.checks.calibration import Calibration
from modelchecks.results import Result
from tests.conftest import Bench

BOTH = "- label_drift: {reference: offline, max_effect: 99%}\n"


def write(
    bench: Bench, name: str, *, rows: int = 3000, sharpen: float = 1.0, **columns: Any
) -> Any:
    """Write a log of a model that is calibrated, or too sure by a factor on its logits."""
    draw = np.random.default_rng([rows, len(name)])
    z = 2 * draw.standard_normal((rows, 3))
    true = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    label = (draw.random(rows)[:, None] > true.cumsum(1)).sum(1)
    said = np.exp(sharpen * z) / np.exp(sharpen * z).sum(1, keepdims=True)
    given = {"label": label, "p": pa.array(said.tolist(), pa.list_(pa.float64())), **columns}
    bench.write(name, **given)
    return label, said


def judged(bench: Bench, check: str = "max_error: 5pp", **options: Any) -> Result:
    options = {"variants": "m: {logged: p}", **options}
    path = bench.suite(f"{BOTH}- calibration: {{{check}}}", **options)
    return run_suite(load_suite(path)).results[1]


@pytest.fixture
def logs(bench: Bench) -> Bench:
    write(bench, "offline")
    write(bench, "live", sharpen=2.0)
    return bench


def test_a_calibrated_model_passes_and_an_overconfident_one_fails(logs: Bench) -> None:
    assert judged(logs, "live: offline, max_error: 6pp").status == "passed"
    failed = judged(logs)
    assert failed.status == "failed"
    assert "; overconfident by" in failed.message
    assert "over the allowed 5 pp" in failed.message


def test_a_perfect_model_on_few_rows_is_not_blamed_for_chance(bench: Bench) -> None:
    label, said = write(bench, "live", rows=150)
    write(bench, "offline")
    plug_in = stats.calibration_error(said.max(1), said.argmax(1) == label, margin=0.03).plug_in
    assert plug_in > 0.03
    found = judged(bench, "max_error: 3pp")
    assert found.status == "inconclusive"
    assert "labelled live rows would settle it" in found.message
    assert found.needed is not None
    assert found.needed > 150


def test_the_numbers_are_those_of_the_statistics(bench: Bench) -> None:
    label, said = write(bench, "live", sharpen=2.0)
    write(bench, "offline")
    found = judged(bench, "offline: offline, max_error: 5pp")
    sure, right = said.max(1), said.argmax(1) == label
    error = stats.calibration_error(sure, right, margin=0.05)
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(error.value, abs=2e-3)
    details = found.details["live"]
    assert details["debiased_l2"] == pytest.approx(stats.debiased_l2(sure, right), abs=1e-5)
    assert details["classwise"] == pytest.approx(stats.classwise_error(said, label), abs=1e-5)
    bars = stats.reliability(sure, right)
    assert [bar["n"] for bar in details["reliability"]] == [bar.n for bar in bars]
    gap = stats.confidence_gap(sure, right)
    assert details["confidence_minus_accuracy"]["value"] == pytest.approx(gap.value, abs=1e-6)
    change = found.details["change"]
    offline = found.details["offline"]["error"]["value"]
    assert change["value"] == pytest.approx(found.estimate.value - offline)
    assert change["lower_bound"] > 0
    assert "pp [" in found.message
    assert "against offline" in found.message


def test_an_underconfident_model_is_called_so(bench: Bench) -> None:
    write(bench, "live", sharpen=0.4)
    write(bench, "offline")
    found = judged(bench)
    assert found.status == "failed"
    assert "; underconfident by" in found.message


@pytest.mark.parametrize("case", ["classes", "one label", "none", "nan", "unknown"])
def test_gaps_never_pass(bench: Bench, case: str) -> None:
    rows = 400
    write(bench, "offline")
    _, said = write(bench, "live", rows=rows)
    options: dict[str, Any] = {}
    if case == "classes":
        write(bench, "live", rows=rows, p=said.argmax(1))
    elif case == "one label":
        write(bench, "live", rows=rows, label=pa.array([0, *[None] * (rows - 1)], pa.int64()))
    elif case == "none":
        write(bench, "live", rows=rows, label=pa.array([None] * rows, pa.int64()))
    elif case == "nan":
        said[3] = np.nan
        write(bench, "live", rows=rows, p=pa.array(said.tolist(), pa.list_(pa.float64())))
    else:
        options = {"of_live": "sampling: unknown"}
    found = judged(bench, "max_error: 90pp" if case == "unknown" else "max_error: 50pp", **options)
    expected = {"one label": "inconclusive", "unknown": "inconclusive"}.get(case, "errored")
    assert found.status == expected, found.message


def test_questions_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="offline: is the same split"):
        Calibration(max_error=0.05, live="a", offline="a")
    with pytest.raises(ValueError, match="confidence:"):
        Calibration(max_error=0.05, confidence=0.3)
    assert set(Calibration(max_error=0.05).needs().splits) == {"live"}
