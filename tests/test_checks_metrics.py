"""accuracy_drop and accuracy_floor: any metric, relative, published, weighted, few labels."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelchecks import load_suite, run_suite, stats
from modelchecks.check import View
from modelchecks.checks.accuracy import AccuracyDrop, AccuracyFloor
from modelchecks.checks.metric import Metric
from modelchecks.errors import EvidenceError
from modelchecks.results import Result
from tests.conftest import Bench
from tests.test_checks_accuracy import drop, seen

MODEL = "m: {logged: p}"


def logits(rows: int, ease: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of four classes, and probabilities of a model that is calibrated."""
    draw = np.random.default_rng(seed)
    label = draw.integers(0, 4, rows)
    z = draw.standard_normal((rows, 4)) + ease * np.eye(4)[label]
    z = z * ease
    powers = np.exp(z - z.max(1, keepdims=True))
    return label, powers / powers.sum(1, keepdims=True)


def lists(table: np.ndarray) -> pa.Array:
    return pa.array(table.tolist(), pa.list_(pa.float64()))


@pytest.fixture
def two(bench: Bench) -> tuple[Bench, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Two logs of one model: easy offline, harder live."""
    sides = {"offline": logits(1500, 3.0, 1), "live": logits(900, 2.2, 2)}
    for name, (label, p) in sides.items():
        bench.write(name, label=label, p=lists(p))
    return bench, sides


BOTH = "- label_drift: {reference: offline, max_effect: 99%}\n"
"""So that every split is used."""


def judged(bench: Bench, checks: str, **options: Any) -> list[Result]:
    options = {"variants": MODEL, **options}
    return list(run_suite(load_suite(bench.suite(BOTH + checks, **options))).results[1:])


@pytest.mark.parametrize(
    ("text", "title", "arguments"),
    [
        ("balanced_accuracy", "balanced accuracy", {}),
        ("macro_f1", "macro F1", {}),
        ("weighted_f1", "weighted F1", {}),
        ("kappa", "Cohen's kappa", {}),
        ("f1(2)", "F1 of 2", {"label": 2}),
        ("recall(0)", "recall of 0", {"label": 0}),
        ("precision(1)", "precision of 1", {"label": 1}),
        ("top_k(2)", "top-2 accuracy", {"k": 2}),
        ("auroc", "AUROC", {}),
        ("log_loss", "log loss", {}),
        ("brier", "Brier score", {}),
    ],
)
def test_every_metric_has_its_own_bounds_and_its_drop_is_decided_on_them(
    two: Any, text: str, title: str, arguments: dict[str, int]
) -> None:
    bench, sides = two
    (result,) = judged(bench, f'- accuracy_drop: {{metric: "{text}", max_drop: 0.02}}')
    name = text.partition("(")[0]
    own = {side: stats.metric(name, *rows, **arguments) for side, rows in sides.items()}
    higher = name not in stats.LOWER_IS_BETTER
    expected = stats.metric_drop(own["offline"], own["live"], higher_is_better=higher)
    assert result.estimate is not None
    for field in ("value", "low", "high", "lower_bound", "upper_bound"):
        # Probabilities are kept in single precision.
        assert getattr(result.estimate, field) == pytest.approx(getattr(expected, field), abs=2e-5)
    assert result.status == stats.decide(expected, 0.02)
    assert result.message.startswith(f"{title} {'fell' if higher else 'rose'} by ")
    assert result.details["metric"] == text


def test_a_relative_drop_is_a_share_of_the_offline_value(two: Any) -> None:
    bench, sides = two
    checks = "\n".join(
        f"- accuracy_drop: {{metric: macro_f1, max_relative_drop: {limit}}}"
        for limit in ("1%", "60%")
    )
    small, large = judged(bench, checks)
    expected = stats.relative_drop(*(stats.metric("macro_f1", *rows) for rows in sides.values()))
    assert small.estimate == large.estimate == expected
    assert (small.status, large.status) == ("failed", "passed")
    assert re.search(r"macro F1 lost \d+\.\d % \[.*\] of its offline value", small.message)
    assert small.threshold == {"max_relative_drop": 0.01}


def test_a_function_of_the_user_is_called_with_plain_arrays(two: Any) -> None:
    bench, sides = two
    (bench.folder / "mine.py").write_text(
        "import numpy as np\n"
        "def far(labels, probabilities):\n"
        "    return float(np.abs(probabilities.argmax(1) - labels).mean())\n"
        "def torn(labels, probabilities):\n    return {}['x']\n"
        "def nan(labels, probabilities):\n    return float('nan')\n"
    )
    found = judged(
        bench,
        '- accuracy_drop: {metric: "mine:far", lower_is_better: true, max_drop: 0.05}\n'
        '- accuracy_floor: {metric: "mine:far", at_most: 0.9}\n'
        '- accuracy_drop: {metric: "mine:torn", max_drop: 0.05}\n'
        '- accuracy_drop: {metric: "mine:nan", max_drop: 0.05}\n'
        '- accuracy_drop: {metric: "mine:nothing", max_drop: 0.05}\n'
        '- accuracy_drop: {metric: "nowhere:f", max_drop: 0.05}\n',
    )
    label, p = sides["live"]
    assert found[0].details["live"]["value"] == pytest.approx(np.abs(p.argmax(1) - label).mean())
    assert [result.status for result in found] == ["failed", "passed", *["errored"] * 4]
    assert "KeyError" in found[2].details["traceback"]
    assert "number" in found[3].message
    assert "module 'mine' has no 'nothing'" in found[4].message
    assert "no module 'nowhere'" in found[5].message


@pytest.mark.parametrize(
    ("checks", "status", "said"),
    [
        # 40 rows, ten of each class: too few for an AUROC.
        ("- accuracy_drop: {metric: auroc, max_drop: 0.9}", "inconclusive", "too few rows"),
        ("- accuracy_floor: {metric: auroc, at_least: 0.1}", "inconclusive", "too few rows"),
        ("- accuracy_floor: {metric: f1(9), min_accuracy: 1%}", "inconclusive", "class 9 has no"),
        ("- accuracy_floor: {metric: f1(Cat), min_accuracy: 1%}", "errored", "no class is named"),
        ("- accuracy_floor: {metric: top_k(4), min_accuracy: 1%}", "errored", "always right"),
        ("- accuracy_floor: {metric: macro_f1, min_accuracy: 1%}", "passed", "macro F1 on live"),
    ],
)
def test_rows_that_do_not_carry_a_metric_never_pass(
    bench: Bench, checks: str, status: str, said: str
) -> None:
    label = np.repeat(np.arange(4), 10)
    p = np.where(np.eye(4)[label] > 0, 0.7, 0.1)
    p[::9] = p[::9, ::-1]
    for name in ("offline", "live"):
        bench.write(name, label=label, p=lists(p))
    (result,) = judged(bench, checks)
    assert result.status == status, result.message
    assert said in result.message


@pytest.mark.parametrize("metric", ["auroc", "macro_f1", "log_loss"])
def test_one_class_alone_or_answers_with_gaps_never_pass(bench: Bench, metric: str) -> None:
    label, p = logits(300, 3.0, 3)
    bench.write("offline", label=label, p=lists(p))
    check = f"- accuracy_drop: {{metric: {metric}, max_drop: 0.99}}"
    bench.write("live", label=np.zeros(300, dtype=int), p=lists(np.eye(4)[np.zeros(300, int)]))
    (alone,) = judged(bench, check)
    assert alone.status != "passed" or metric == "log_loss"
    p = p.copy()
    p[7] = np.nan
    bench.write("live", label=label, p=lists(p))
    (gap,) = judged(bench, check)
    assert gap.status == "errored"
    assert "NaN, infinite or missing" in gap.message


def test_a_log_of_classes_has_no_probabilities_to_judge(bench: Bench) -> None:
    (result,) = judged(
        bench, "- accuracy_floor: {metric: log_loss, at_most: 5}", variants="good: {logged: good}"
    )
    assert result.status == "errored"
    assert "log one list of probabilities per row" in result.message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"metric": "acuracy"}, "metric: 'acuracy' is unknown; did you mean 'accuracy'?"),
        ({"metric": "f1"}, "metric: 'f1' must be written f1(CLASS)"),
        ({"metric": "auroc(1)"}, "metric: 'auroc(1)' must be written auroc"),
        ({"metric": "top_k(x)"}, "metric: 'top_k(x)' must name a number"),
        ({"lower_is_better": True}, "lower_is_better: is for a function of your own"),
        ({"max_relative_drop": 0.1}, "needs one of"),
        ({"offline_n": 5}, "offline_n: "),
        ({"offline_accuracy": 0.9, "offline_n": 0}, "offline_n: "),
        ({"offline_accuracy": 0.9, "metric": "log_loss"}, "offline_accuracy: is a share"),
        ({"labels": "few", "metric": "macro_f1"}, "labels: `few` is for accuracy"),
        ({"selected_from": 0}, "selected_from: "),
        ({"selected_from": 3, "metric": "macro_f1"}, "selected_from: "),
        ({"selected_from": 3, "labels": "few"}, "selected_from: "),
    ],
)
def test_questions_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        AccuracyDrop(**{"max_drop": 0.05, **options})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs one of"),
        ({"min_accuracy": 0.5, "at_most": 1.0}, "needs one of"),
        ({"metric": "brier", "min_accuracy": 0.5}, "metric: Brier score is better when lower"),
        ({"metric": "auroc", "at_most": 0.5}, "at_most: AUROC is better when higher"),
    ],
)
def test_floors_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        AccuracyFloor(**options)


def test_a_relative_drop_of_what_is_better_when_lower_is_refused() -> None:
    with pytest.raises(ValueError, match="max_relative_drop: log loss is better when lower"):
        AccuracyDrop(max_relative_drop=0.1, metric="log_loss")


# A published number in the place of the offline split.


def test_a_published_accuracy_is_exact_or_was_measured_on_so_many_rows() -> None:
    view = View({"live": seen("live", 900, 1000)}, "v")
    exact = AccuracyDrop(max_drop=0.05, offline_accuracy=0.94).evaluate(view)
    live = stats.proportion(900, 1000)
    assert exact.estimate is not None
    assert exact.estimate.lower_bound == pytest.approx(0.94 - live.upper_bound)
    assert exact.estimate.upper_bound == pytest.approx(0.94 - live.lower_bound)
    assert "94.0 % (published)" in exact.message
    known = AccuracyDrop(max_drop=0.05, offline_accuracy=0.94, offline_n=10_000).evaluate(view)
    assert known.estimate == stats.proportion_drop(9400, 10_000, 900, 1000)
    assert exact.status == known.status == "inconclusive"
    assert exact.needed is not None
    assert exact.needed == pytest.approx(stats.labels_needed_floor(0.9, floor=0.89), rel=0.1)


def test_with_a_published_accuracy_no_offline_split_is_asked_for(bench: Bench) -> None:
    path = bench.suite("- accuracy_drop: {offline_accuracy: 94.2%, max_drop: 5pp}")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith("  offline:")) + "\n")
    run = run_suite(load_suite(path))
    assert {result.variant: result.status for result in run.results} == {
        "good": "passed",
        "bad": "failed",
    }
    (offline,) = {result.details["offline"]["value"] for result in run.results}
    assert offline == pytest.approx(0.942)


@settings(max_examples=30, deadline=None)
@given(x=st.integers(880, 960), k=st.integers(2, 40))
def test_a_best_of_many_fails_later_and_passes_no_earlier(x: int, k: int) -> None:
    plain = drop((940, 1000), (x - 60, 1000), 0.05)
    view = View({"offline": seen("offline", 940, 1000), "live": seen("live", x - 60, 1000)}, "v")
    picked = AccuracyDrop(max_drop=0.05, selected_from=k).evaluate(view)
    assert picked.estimate is not None
    assert plain.estimate is not None
    assert picked.estimate.lower_bound < plain.estimate.lower_bound
    assert picked.estimate.upper_bound == plain.estimate.upper_bound
    assert picked.status == plain.status or plain.status == "failed"
    assert f"taken as the best of {k} offline" in picked.message


# Weights and groups.


def alike(result: Result, expected: stats.Estimate) -> bool:
    """Return whether an estimate is the expected one, but for the order of a sum."""
    assert result.estimate is not None
    names = ("value", "low", "high", "lower_bound", "upper_bound", "n", "alpha")
    pairs = [(getattr(result.estimate, name), getattr(expected, name)) for name in names]
    return result.estimate.method == expected.method and all(
        one == pytest.approx(other, abs=1e-9) for one, other in pairs
    )


def weighted(bench: Bench, **columns: Any) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(4)
    label = draw.integers(0, 4, 800)
    weight = np.where(np.arange(800) < 400, 1.0, 5.0)
    right = draw.random(800) < np.where(weight == 1, 0.6, 0.95)
    answer = np.where(right, label, (label + 1) % 4)
    bench.write("live", label=label, good=answer, w=weight, **columns)
    return right, weight


FLOOR = "- accuracy_floor: {min_accuracy: 80%}"
GOOD = "good: {logged: good}"


def test_weights_are_honoured(bench: Bench) -> None:
    right, weight = weighted(bench)
    path = bench.suite(BOTH + FLOOR, variants=GOOD, of_live="sampling: {weights: w}")
    run = run_suite(load_suite(path))
    result = run.results[1]
    assert alike(result, stats.bounded_mean(right, weights=weight))
    assert result.status == "passed"
    assert run.splits["live"]["sampling"] == "weights"
    assert run.splits["live"]["weights"] == "w"
    plain = judged(bench, FLOOR, variants=GOOD, name="plain")[0]
    assert plain.estimate == stats.proportion(int(right.sum()), 800)
    assert plain.status == "failed"


def test_groups_are_honoured_and_widen_the_bounds(bench: Bench) -> None:
    draw = np.random.default_rng(5)
    session = np.repeat(np.arange(40), 20)
    right = np.repeat(np.arange(40) < 35, 20)
    label = draw.integers(0, 4, 800)
    bench.write("live", label=label, good=np.where(right, label, (label + 1) % 4), session=session)
    (together,) = judged(bench, FLOOR, variants=GOOD, of_live="sampling: random, group: session")
    (apart,) = judged(bench, FLOOR, variants=GOOD, name="apart")
    assert alike(together, stats.bounded_mean(right, groups=session))
    assert (together.status, apart.status) == ("inconclusive", "passed")
    assert together.needed is not None


@pytest.mark.parametrize(
    ("columns", "of_live", "said"),
    [
        ({"w": [1.0, None, *[2.0] * 798]}, "sampling: {weights: w}", "weights: must be finite"),
        ({"w": [-1.0, *[2.0] * 799]}, "sampling: {weights: w}", "weights: must not be negative"),
        ({"w": ["a", *["b"] * 799]}, "sampling: {weights: w}", "weights: must be finite numbers"),
        ({"s": ["a", None, *["b"] * 798]}, "sampling: random, group: s", "groups: must be names"),
        ({"s": ["a"] * 800}, "sampling: random, group: session", "has no column 'session'"),
        ({"s": [[1]] * 800}, "sampling: random, group: s", "which is declared as the group"),
    ],
)
def test_rows_whose_weight_or_group_is_not_known_are_an_error(
    bench: Bench, columns: dict[str, Any], of_live: str, said: str
) -> None:
    label = np.arange(800) % 4
    bench.write("live", label=label, good=label, **columns)
    (result,) = judged(bench, FLOOR, variants=GOOD, of_live=of_live)
    assert result.status == "errored"
    assert said in result.message


@pytest.mark.parametrize(
    ("check", "status"),
    [
        ("accuracy_drop: {max_drop: 90pp}", "passed"),
        ("accuracy_drop: {metric: macro_f1, max_drop: 90pp}", "errored"),
        ("accuracy_drop: {max_drop: 90pp, selected_from: 3}", "errored"),
        ("accuracy_drop: {max_drop: 90pp, labels: few}", "errored"),
        ("slice_drop: {classes: true, max_drop: 90pp}", "inconclusive"),
        ("label_drift: {reference: offline, max_effect: 90%}", "inconclusive"),
        ("prediction_drift: {reference: offline, max_effect: 90%}", "inconclusive"),
        ("canary: {max_drop: 90pp}", "inconclusive"),
        ("not_worse_than: {max_loss: 90pp}", "passed"),
        ("gain_transfer: {paired: false}", "errored"),
        ("best_variant", "inconclusive"),
    ],
)
def test_what_takes_each_row_as_one_decides_nothing_on_groups(
    bench: Bench, check: str, status: str
) -> None:
    for name in ("offline", "live"):
        label = np.arange(800) % 4
        session = np.arange(800) // 2
        bench.write(name, label=label, good=label, bad=(label + 1) % 4, session=session)
    results = judged(
        bench,
        f"- {check}",
        variants="bad: {logged: bad}\ngood: {logged: good}",
        rest="champion: bad",
        of_live="sampling: random, group: session",
    )
    last = results[-1]
    assert last.status == status, last.message
    if status == "inconclusive":
        assert "come in groups" in last.message


def test_unequal_rows_reach_the_evidence_under_a_key_of_their_own(bench: Bench) -> None:
    """Declared later, weights find no evidence that was gathered without them."""
    weighted(bench)
    (before,) = judged(bench, FLOOR, variants=GOOD)
    (after,) = judged(bench, FLOOR, variants=GOOD, of_live="sampling: {weights: w}")
    assert (before.status, after.status) == ("failed", "passed")


# Few labels.


def test_few_labels_are_sharpened_by_the_unlabelled_rows(bench: Bench) -> None:
    label, p = logits(4000, 1.6, 6)
    bench.write("offline", label=label, p=lists(p))
    labelled = np.arange(4000) % 10 == 0
    given = pa.array(label, mask=~labelled)
    bench.write("live", label=given, p=lists(p))
    few, plain = judged(
        bench,
        "- accuracy_drop: {labels: few, max_drop: 5pp}\n- accuracy_drop: {max_drop: 5pp}",
    )
    right, sure = p.argmax(1) == label, p.max(1)
    live = few.details["live"]
    expected = stats.few_label_accuracy(right[labelled], sure[labelled], sure[~labelled])
    assert live["method"] == "ppi++"
    assert live["value"] == pytest.approx(expected.value, abs=1e-5)
    assert live["lower_bound"] == pytest.approx(expected.lower_bound, abs=1e-5)
    assert live["n"] == 400
    assert "sharpened by unlabelled rows" in few.message
    assert few.estimate is not None
    assert plain.estimate is not None
    assert few.estimate.high - few.estimate.low < plain.estimate.high - plain.estimate.low


def test_few_labels_without_an_unlabelled_row_or_a_confidence(bench: Bench) -> None:
    label, p = logits(400, 3.0, 7)
    for name in ("offline", "live"):
        bench.write(name, label=label, p=lists(p), c=p.argmax(1))
    few, plain = judged(
        bench, "- accuracy_drop: {labels: few, max_drop: 5pp}\n- accuracy_drop: {max_drop: 5pp}"
    )
    assert few.details["live"] == plain.details["live"]
    assert few.status == plain.status
    bench.write("live", label=pa.array(label, mask=label == 1), p=lists(p), c=p.argmax(1))
    (classes,) = judged(
        bench, "- accuracy_drop: {labels: few, max_drop: 5pp}", variants="m: {logged: c}"
    )
    assert classes.status == "errored"
    assert "has no confidence in its answers" in classes.message


# What a metric is called.


@given(st.text(max_size=12))
def test_any_text_is_a_metric_or_a_problem_that_names_it(text: str) -> None:
    try:
        metric = Metric.parse(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"^metric: "):
            Metric.parse(text)
        return
    assert metric.text == text
    assert metric.title


def test_a_class_is_named_or_numbered(bench: Bench) -> None:
    first, second = judged(
        bench,
        "- accuracy_floor: {metric: recall(dog), min_accuracy: 50%}\n"
        "- accuracy_floor: {metric: recall(1), min_accuracy: 50%}\n",
        variants=GOOD,
        rest="classes: [cat, dog, cow, hen]",
    )
    assert first.estimate == second.estimate
    assert "recall of dog on live" in first.message
    view = View({"live": seen("live", 90, 100)}, "v", class_names=("cat", "dog"))
    with pytest.raises(EvidenceError, match=r"no class is named 'dogg'; did you mean 'dog'\?"):
        AccuracyFloor(metric="recall(dogg)", min_accuracy=0.5).evaluate(view)


def test_a_log_loss_reads_in_its_own_unit(two: Any) -> None:
    bench, _ = two
    floor, rise = judged(
        bench,
        "- accuracy_floor: {metric: log_loss, at_most: 0.01}\n"
        "- accuracy_drop: {metric: log_loss, max_drop: 0.01}\n",
    )
    assert re.search(r"log loss on live 0\.\d{3} \[.*over 0\.01$", floor.message)
    assert re.search(r"log loss rose by 0\.\d{3} \[.*over the allowed 0\.01$", rise.message)


def test_only_plain_drops_are_in_the_table_of_accuracies(bench: Bench) -> None:
    from modelchecks.report.summary import accuracy_rows

    run = run_suite(
        load_suite(
            bench.suite(
                "- accuracy_drop: {metric: macro_f1, max_drop: 5pp}\n"
                "- accuracy_drop: {max_relative_drop: 5%}\n"
                "- accuracy_drop: {max_drop: 5pp}\n",
                variants=GOOD,
            )
        )
    )
    (row,) = accuracy_rows(run)
    assert row.drop.startswith("1.0 [")
