"""not_worse_than, best_variant and gain_transfer: several variants on the same rows."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from modelchecks import load_suite, run_suite, stats
from modelchecks.check import View
from modelchecks.checks.best import BestVariant
from modelchecks.checks.champion import NotWorseThan
from modelchecks.checks.transfer import GainTransfer
from modelchecks.evidence import Evidence
from modelchecks.load import read_suite
from modelchecks.plan import make_plan
from modelchecks.results import Result, Run
from modelchecks.totals import Rows, Totals
from tests.conftest import Bench

ROWS = 2000
TABLE_1 = {
    "baseline": (9210, 7840),
    "domain_adapted": (9350, 7790),
    "curriculum": (9420, 7900),
}
"""The source's table, as counts of 10,000 rows on either side."""


def counted(split: str, right: dict[str, int], n: int = 10_000) -> Evidence:
    """Return evidence of counts alone: n labelled rows of class 1, answered 1 or 0."""
    counts: dict[Any, int] = {("rows",): n, ("label", 1): n}
    edges = {}
    for variant, correct in right.items():
        counts[("answered", variant)] = n
        counts[("confusion", variant, 1, 1)] = correct
        counts[("confusion", variant, 1, 0)] = n - correct
        edges["outputs", variant] = 2.0
    return Evidence(split, Totals(counts, edges, edges), Rows({}, 10))


def table_1(variant: str) -> View:
    offline, live = (
        counted(split, {name: pair[side] for name, pair in TABLE_1.items()})
        for side, split in enumerate(("offline", "live"))
    )
    return View({"offline": offline, "live": live}, variant, "baseline", variants=tuple(TABLE_1))


# The source's table.


def test_no_gain_of_the_source_is_shown_to_arrive_live() -> None:
    told = {}
    for variant in ("domain_adapted", "curriculum"):
        outcome = GainTransfer(paired=False).evaluate(table_1(variant))
        assert outcome.status == "inconclusive"
        told[variant] = outcome
    # Connor (1987): rows that differ carry the gain; one-sided 5 %, power 80 %.
    least, most = (
        math.ceil(((1.644854 * share**0.5 + 0.841621 * (share - 0.006**2) ** 0.5) / 0.006) ** 2)
        for share in (0.05, 0.15)
    )
    assert told["curriculum"].message == (
        "over baseline: offline +2.1 pp [+1.4, +2.8], live +0.6 pp [-0.5, +1.7]: the gain is not "
        f"established live; about {least:,} to {most:,} paired labels would tell, if the two "
        "differ on 5 to 15 % of the rows. 3 variants are too few to say whether the order offline "
        "tells the order live"
    )
    assert told["curriculum"].needed == most
    assert told["domain_adapted"].message.startswith(
        "over baseline: offline +1.4 pp [+0.7, +2.1], live -0.5 pp [-1.6, +0.6]: the gain is not "
        "established live; about "
    )
    live = told["curriculum"].details["live"]
    assert (live["low"], live["high"]) == (
        pytest.approx(-0.0053, abs=1e-4),
        pytest.approx(0.0173, abs=1e-4),
    )


DROPS = {
    # variant: drop, its decision bounds at 5 %, its 95 % interval, and the status at 15.5 pp
    "baseline": (0.137, (0.128838, 0.145164), (0.127357, 0.146648), "passed"),
    "domain_adapted": (0.156, (0.147996, 0.164011), (0.146545, 0.165469), "inconclusive"),
    "curriculum": (0.152, (0.144213, 0.159800), (0.142805, 0.161219), "inconclusive"),
}


def test_the_gate_blocks_all_of_the_source(bench: Bench) -> None:
    """The whole line on logs with exactly the counts of the table."""
    for side, name in enumerate(("offline", "live")):
        label = np.ones(10_000, dtype=int)
        right = {v: np.arange(10_000) < pair[side] for v, pair in TABLE_1.items()}
        bench.write(name, label=label, **{v: hits.astype(int) for v, hits in right.items()})
    variants = "\n".join(f"{v}: {{logged: {v}}}" for v in TABLE_1)
    checks = (
        "- accuracy_drop: {max_drop: 5pp}\n  id: drop\n"
        "- accuracy_drop: {max_drop: 15.5pp}\n  id: loose\n  severity: warn\n"
        "- gain_transfer: {paired: false}"
    )
    judged = run(bench, checks, variants=variants, rest="champion: baseline")
    found = by_case(judged)
    for variant, (drop, bounds, shown, loose) in DROPS.items():
        estimate = found[f"drop[{variant}]"].estimate
        assert estimate is not None
        assert estimate.value == pytest.approx(drop)
        assert (estimate.lower_bound, estimate.upper_bound) == pytest.approx(bounds, abs=1e-6)
        assert (estimate.low, estimate.high) == pytest.approx(shown, abs=1e-6)
        assert found[f"drop[{variant}]"].status == "failed"
        assert found[f"loose[{variant}]"].status == loose
        assert judged.decisions[variant].verdict == "blocked"
    told = found["gain_transfer[curriculum]"].message
    assert told == GainTransfer(paired=False).evaluate(table_1("curriculum")).message


def test_the_champion_has_no_gain_over_itself() -> None:
    outcome = GainTransfer(paired=False).evaluate(table_1("baseline"))
    assert (outcome.status, outcome.structural) == ("not_applicable", True)


# Real logs, where who was right on which row is known.


def answers(draw: np.random.Generator, label: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.where(right, label, (label + draw.integers(1, 4, len(label))) % 4)


def write(bench: Bench, name: str, share: float, gains: dict[str, tuple[float, float]]) -> None:
    """Write a log: the champion is right on a share, each rival wins and loses some of its rows."""
    draw = np.random.default_rng(len(name))
    label = draw.integers(0, 4, ROWS)
    champion = np.arange(ROWS) < round(share * ROWS)
    columns: dict[str, Any] = {"label": label, "champion": answers(draw, label, champion)}
    for rival, (won, lost) in gains.items():
        right = champion.copy()
        wrong_rows, right_rows = np.flatnonzero(~champion), np.flatnonzero(champion)
        right[wrong_rows[: round(won * ROWS)]] = True
        right[right_rows[: round(lost * ROWS)]] = False
        columns[rival] = answers(draw, label, right)
    order = draw.permutation(ROWS)
    bench.write(name, **{column: values[order] for column, values in columns.items()})


VARIANTS = "champion: {logged: champion}\nbetter: {logged: better}\nworse: {logged: worse}"
BOTH = "- label_drift: {reference: offline, max_effect: 99%}\n"


@pytest.fixture
def rivals(bench: Bench) -> Bench:
    """Offline both rivals gain 3 points; live `better` gains 4 and `worse` loses 4."""
    write(bench, "offline", 0.90, {"better": (0.04, 0.01), "worse": (0.04, 0.01)})
    write(bench, "live", 0.80, {"better": (0.06, 0.02), "worse": (0.02, 0.06)})
    return bench


def run(bench: Bench, checks: str, **options: Any) -> Run:
    options = {"variants": VARIANTS, "rest": "champion: champion", **options}
    names = options.pop("asked", None)
    return run_suite(load_suite(bench.suite(BOTH + checks, **options)), variants=names)


def by_case(found: Run) -> dict[str, Result]:
    return {result.case: result for result in found.results}


def test_a_variant_is_judged_against_the_champion_on_the_same_rows(rivals: Bench) -> None:
    found = by_case(run(rivals, "- not_worse_than: {max_loss: 1pp}"))
    better, worse = found["not_worse_than[better]"], found["not_worse_than[worse]"]
    assert better.estimate == stats.paired_gain(1560, 120, 40, 280)
    assert worse.estimate == stats.paired_gain(1480, 40, 120, 360)
    assert (better.status, worse.status) == ("passed", "failed")
    assert "4.0 pp better [2.8, 5.2] than the champion" in better.message
    assert "120 rows only better has right, 40 only champion, of 2,000 (McNemar p" in better.message
    assert "4.0 pp worse" in worse.message
    champion = found["not_worse_than[champion]"]
    assert (champion.status, champion.structural) == ("not_applicable", True)


def test_pairing_shows_what_two_accuracies_do_not(rivals: Bench) -> None:
    paired = by_case(run(rivals, "- not_worse_than: {min_gain: 2pp}"))["not_worse_than[better]"]
    assert paired.status == "passed"
    assert stats.proportion_gain(1680, 2000, 1600, 2000).lower_bound < 0.02


def test_a_gain_that_is_too_small_to_tell_says_how_many_labels_would(rivals: Bench) -> None:
    found = by_case(run(rivals, "- not_worse_than: {min_gain: 3pp}"))["not_worse_than[better]"]
    assert found.status == "inconclusive"
    assert found.needed == stats.paired_labels_needed(0.04, 0.08, margin=0.03)
    assert f"About {found.needed:,} labelled rows would settle it" in found.message


def test_the_champion_answers_also_where_it_is_not_asked_for(rivals: Bench) -> None:
    checks = BOTH + "- not_worse_than: {max_loss: 1pp}\n- best_variant"
    suite = load_suite(rivals.suite(checks, variants=VARIANTS, rest="champion: champion"))
    plan = make_plan(suite, ["better"], lambda case: case.id == "not_worse_than[better]")
    assert [v.name for split in plan.splits for v in split.variants] == ["champion", "better"]
    plan = make_plan(suite, ["better"])
    (live,) = [split for split in plan.splits if split.split == "live"]
    assert [v.name for v in live.variants] == ["champion", "better", "worse"]
    found = by_case(run(rivals, "- not_worse_than: {max_loss: 1pp}", asked=["better"]))
    assert found["not_worse_than[better]"].status == "passed"
    assert "not_worse_than[worse]" not in found


def test_a_suite_without_a_champion_is_told_so_before_anything_loads(rivals: Bench) -> None:
    path = rivals.suite(BOTH + "- not_worse_than: {max_loss: 1pp}", variants=VARIANTS)
    suite, (problem,) = read_suite(path)
    assert suite is None
    assert "compares with the champion; name one with `champion:`" in problem.message
    assert "not_worse_than" in problem.source


def test_a_champion_that_is_not_there_decides_nothing(rivals: Bench) -> None:
    variants = VARIANTS.replace("logged: champion", "logged: gone")
    found = by_case(
        run(rivals, "- not_worse_than: {max_loss: 1pp}\n- gain_transfer", variants=variants)
    )
    for case in ("not_worse_than[better]", "gain_transfer[better]"):
        assert found[case].status == "errored"
        assert "'gone'" in found[case].message


def test_one_side_of_unknown_origin_can_fail_and_not_pass(rivals: Bench) -> None:
    found = by_case(
        run(rivals, "- not_worse_than: {max_loss: 1pp}\n- gain_transfer", sampling="unknown")
    )
    assert found["not_worse_than[better]"].status == "inconclusive"
    assert found["not_worse_than[worse]"].status == "failed"
    assert found["gain_transfer[better]"].status == "inconclusive"
    assert found["gain_transfer[worse]"].status == "failed"


# Transfer.


def test_a_gain_that_arrives_is_kept_and_one_that_turns_is_lost(rivals: Bench) -> None:
    found = by_case(run(rivals, "- gain_transfer"))
    better, worse = found["gain_transfer[better]"], found["gain_transfer[worse]"]
    assert better.status == "passed"
    assert re.search(
        r"offline \+3\.0 pp .* live \+4\.0 pp .*is established live, 133 % of it", better.message
    )
    assert worse.status == "failed"
    assert re.search(r"does not arrive live; it shrank by 7\.0 pp \[\d", worse.message)
    assert worse.severity == "warn"
    offline, live = stats.paired_gain(1780, 80, 20, 120), stats.paired_gain(1560, 120, 40, 280)
    expected = stats.gain_transfer(offline, live)
    assert better.details["kept_ratio"] == expected.kept_ratio
    assert better.details["shrinkage"]["lower_bound"] == expected.shrinkage.lower_bound


def test_a_gain_must_be_as_large_as_asked(rivals: Bench) -> None:
    found = by_case(run(rivals, "- gain_transfer: {min_gain: 3pp}"))["gain_transfer[better]"]
    assert found.status == "inconclusive"
    assert "the gain of more than 3 pp is not established live; about" in found.message
    assert found.needed == stats.paired_labels_needed(0.04, 0.08, margin=0.03)


def test_from_five_variants_on_the_order_is_described(rivals: Bench) -> None:
    gains = {f"v{i}": (0.01 * i, 0.0) for i in range(5)}
    write(rivals, "offline", 0.80, gains)
    write(rivals, "live", 0.70, gains)
    variants = "champion: {logged: champion}\n" + "\n".join(f"{v}: {{logged: {v}}}" for v in gains)
    found = by_case(run(rivals, "- gain_transfer", variants=variants))
    order = found["gain_transfer[v4]"].details["order"]
    assert order["tau"] == pytest.approx(1.0)
    assert set(order["off_the_line"]) == {"champion", *gains}
    assert "Kendall's tau of 1.00" in found["gain_transfer[v4]"].message
    # One that is not there leaves the others their gains, without the order of all.
    gone = variants.replace("logged: v1}", "logged: gone}")
    found = by_case(run(rivals, "- gain_transfer", variants=gone, name="gone"))
    assert found["gain_transfer[v1]"].status == "errored"
    assert found["gain_transfer[v4]"].status == "passed"
    assert "order" not in found["gain_transfer[v4]"].details


# The best of all.


def test_the_best_is_told_from_all_others_or_not_at_all(rivals: Bench) -> None:
    told = by_case(run(rivals, "- best_variant"))["best_variant[data]"]
    assert told.status == "passed"
    assert "best on live is better with 84.0 %" in told.message
    assert told.details["members"] == ["better"]
    write(rivals, "live", 0.80, {"better": (0.012, 0.01), "worse": (0.0, 0.06)})
    close = by_case(run(rivals, "- best_variant"))["best_variant[data]"]
    assert close.status == "inconclusive"
    assert close.details["members"] == ["champion", "better"]
    assert "it cannot be told from champion 0.2 pp behind (about" in close.message
    assert close.needed == close.details["variants"]["champion"]["labels_needed"]
    assert close.severity == "info"


def test_the_best_set_is_that_of_the_statistic(rivals: Bench) -> None:
    result = by_case(run(rivals, "- best_variant: {confidence: 99%}"))["best_variant[data]"]
    row = np.arange(ROWS)
    champion = row < 1600
    # `better` wins 120 rows and loses 40, `worse` wins the first 40 of these and loses 120.
    better = (champion & (row >= 40)) | ((row >= 1600) & (row < 1720))
    worse = (champion & (row >= 120)) | ((row >= 1600) & (row < 1640))
    expected = stats.best_set(np.stack([champion, better, worse], axis=1), alpha=0.01)
    variants = result.details["variants"]
    assert [one["behind"] for one in variants.values()] == pytest.approx(expected.behind)
    names = ("champion", "better", "worse")
    assert result.details["members"] == [names[place] for place in expected.members]


def test_a_missing_variant_is_not_left_out_silently(rivals: Bench) -> None:
    variants = VARIANTS.replace("logged: worse", "logged: gone")
    found = by_case(run(rivals, "- best_variant", variants=variants))["best_variant[data]"]
    assert found.status == "errored"


def test_one_variant_has_no_rival() -> None:
    outcome = BestVariant().evaluate(View({}, None, variants=("only",)))
    assert (outcome.status, outcome.structural) == ("not_applicable", True)


@pytest.mark.parametrize(
    ("check", "options", "said"),
    [
        (NotWorseThan, {}, "needs one of"),
        (NotWorseThan, {"max_loss": 0.0, "min_gain": 0.0}, "needs one of"),
        (NotWorseThan, {"max_loss": 0.0, "confidence": 0.4}, "confidence:"),
        (GainTransfer, {"live": "offline"}, "live:"),
        (BestVariant, {"confidence": 1.0}, "confidence:"),
    ],
)
def test_questions_that_make_no_sense_are_refused(check: Any, options: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check(**options)


def test_rows_without_a_label_or_an_answer_never_pass(rivals: Bench) -> None:
    label = np.zeros(ROWS, dtype=int)
    gap = pa.array([None, *[0] * (ROWS - 1)], pa.int64())
    rivals.write("live", label=label, champion=label, better=label, worse=gap)
    found = by_case(run(rivals, "- not_worse_than: {max_loss: 99pp}\n- best_variant"))
    assert found["not_worse_than[worse]"].status == "errored"
    assert found["best_variant[data]"].status == "errored"
    none = pa.array([None] * ROWS, pa.int64())
    rivals.write("live", label=none, champion=label, better=label, worse=label)
    found = by_case(run(rivals, "- not_worse_than: {max_loss: 99pp}\n- best_variant"))
    assert found["not_worse_than[better]"].status == "errored"
    assert found["best_variant[data]"].status == "errored"
