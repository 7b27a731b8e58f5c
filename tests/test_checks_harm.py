"""Harm: labels decide, everything else only suspects; a shift without harm may be let through."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from modelchecks import stats
from modelchecks.check import Outcome, View
from modelchecks.checks.confidence_drift import ConfidenceDrift
from modelchecks.checks.drift import LabelDrift, PredictionDrift
from modelchecks.checks.embedding_drift import EmbeddingDrift
from modelchecks.checks.feature_drift import FeatureDrift
from modelchecks.checks.harm import weighed
from modelchecks.checks.harmful_shift import HarmfulShift
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.totals import Rows, Totals
from tests.seen import answers, seen

DRIFTS = [FeatureDrift, LabelDrift, PredictionDrift, ConfidenceDrift, EmbeddingDrift]
HARMFUL = {"block_when": "harmful", "max_drop": 0.05}


def rows(split, n, accuracy, *, seed, dark=0.0, labelled=True, others=(0.9,)):
    """A split whose variant `v` is right in that share; `w0`, `w1`, ... are other variants."""
    draw = np.random.default_rng(seed)
    label = draw.integers(0, 4, n)
    shares = {"v": accuracy, **{f"w{i}": share for i, share in enumerate(others)}}
    logits = {name: answers(draw, label, share) for name, share in shares.items()}
    return seen(
        split,
        n,
        labels=label if labelled else None,
        logits=logits,
        features={"brightness": draw.normal(size=n) - dark},
    )


def view(now=0.9, *, n=4000, dark=0.6, labelled=True, others=(0.9,), of=None, **fields):
    offline = rows("offline", 4000, 0.9, seed=1, others=[0.9] * len(others))
    live = rows("live", n, now, seed=2, dark=dark, labelled=labelled, others=others)
    names = ("v", *(f"w{i}" for i in range(len(others))))
    made = View({"offline": offline, "live": live}, of, variants=names, **fields)
    return replace(made)


def drift(seen_by, **fields):
    check = FeatureDrift(reference="offline", features=("brightness",), **{**HARMFUL, **fields})
    outcome = check.evaluate(seen_by)
    json.dumps(dict(outcome.details), allow_nan=False)
    return outcome


class TestBlockWhenHarmful:
    def test_a_shift_that_costs_nothing_is_let_through_with_a_warning(self):
        outcome = drift(view())
        assert outcome.status == "passed"
        assert outcome.message.startswith("let through, as labels show no harm: ")
        assert "But image properties differ by more than 0.1: brightness D 0.2" in outcome.message
        assert outcome.details["warning"] == outcome.message
        assert set(outcome.details["harm"]) == {"v", "w0"}
        assert outcome.threshold == {"max_effect": 0.1, "max_drop": 0.05}

    def test_a_shift_that_costs_too_much_fails(self):
        outcome = drift(view(0.8))
        assert outcome.status == "failed"
        assert "Harmful: v lost 10.0 pp" in outcome.message
        assert "5 pp is allowed" in outcome.message

    def test_one_variant_harmed_is_enough(self):
        outcome = drift(view(others=(0.9, 0.8)))
        assert outcome.status == "failed"
        assert "Harmful: w1 lost 10.0 pp" in outcome.message

    def test_no_shift_passes_as_ever_whatever_is_lost(self):
        outcome = drift(view(0.8, dark=0.0))
        assert outcome.status == "passed"
        assert "warning" not in outcome.details

    def test_too_few_labels_leave_it_open_and_say_how_many_settle_it(self):
        outcome = drift(view(0.88, n=300, dark=2.0))
        assert outcome.status == "inconclusive"
        assert "Whether it costs more than 5 pp is open: v lost 2" in outcome.message
        assert outcome.needed > 300

    @pytest.mark.parametrize("now", [0.9, 0.5])
    def test_without_labels_nothing_is_let_through_and_nothing_blocked(self, now):
        outcome = drift(view(now, labelled=False))
        assert outcome.status == "inconclusive"
        assert "No row of 'live' has a label" in outcome.message

    def test_a_harm_without_a_shown_shift_fails_nothing(self):
        outcome = drift(view(0.8, dark=0.25))
        assert outcome.status == "inconclusive"
        assert "may differ by more than the allowed 0.1" in outcome.message
        assert "Harmful" in outcome.message

    def test_labels_that_may_not_be_a_random_sample_let_nothing_through(self):
        outcome = drift(view(cannot_approve={"live": "unknown origin"}))
        assert outcome.status == "inconclusive"
        assert outcome.message.endswith("but unknown origin")

    def test_either_way_through_spends_half_of_the_error(self):
        strict, usual = drift(view()), drift(view(), block_when="different", max_drop=None)
        assert strict.estimate.alpha == 0.025
        assert usual.estimate.alpha == 0.05
        assert strict.details["harm"]["v"]["alpha"] == 0.025

    def test_more_variants_make_a_false_alarm_no_likelier(self):
        # Six variants exactly at the margin: at 2.5 % each, one of them would fail in 14 %.
        draw, names = np.random.default_rng(0), [f"w{i}" for i in range(6)]
        shown = Outcome("failed", "shifted", stats.proportion(1, 2))
        check = FeatureDrift(reference="offline", **HARMFUL)

        def counted(split, n, accuracy):
            counts = {("rows",): n, ("label", 0): n}
            for name in names:
                right = int(draw.binomial(n, accuracy))
                counts |= {("answered", name): n, ("predicted", name, 0): n}
                counts |= {("confusion", name, 0, 0): right, ("confusion", name, 0, 1): n - right}
            return Evidence(split, Totals(counts), Rows({}, 1))

        failed = 0
        for _ in range(400):
            splits = {s: counted(s, 2000, share) for s, share in (("offline", 0.9), ("live", 0.85))}
            failed += weighed(shown, View(splits, variants=(*names,)), check).status == "failed"
        assert failed / 400 <= 0.025 + 3 * (0.025 * 0.975 / 400) ** 0.5

    def test_a_variant_without_answers_is_an_error_not_a_pass(self):
        made = view()
        with pytest.raises(EvidenceError, match="'lost' has no predictions"):
            drift(replace(made, variants=(*made.variants, "lost")))
        with pytest.raises(EvidenceError, match="asks what variants lose, and there is none"):
            drift(replace(made, variants=()))

    @pytest.mark.parametrize("check", [PredictionDrift, ConfidenceDrift])
    def test_a_check_of_one_variant_asks_what_that_one_loses(self, check):
        made = view(0.9, others=(0.5,), of="v")
        fields = {"reference": "offline", "max_effect": 0.0001, **HARMFUL}
        outcome = check(**fields).evaluate(made)
        assert outcome.status == "passed"
        assert set(outcome.details["harm"]) == {"v"}
        outcome = check(**fields).evaluate(replace(made, variant="w0"))
        assert outcome.status in ("failed", "inconclusive")
        assert "w0 lost 40.0 pp" in outcome.message

    @pytest.mark.parametrize("check", DRIFTS)
    def test_every_drift_check_has_it(self, check):
        asked = check(reference="train", offline="offline", **HARMFUL)
        needs = asked.needs()
        for split in ("offline", "live"):
            assert {"labels", "predictions"} <= needs.splits[split]
        assert needs.whose == ("all" if check.scope == "data" else "own")
        assert check().needs().whose == "own"

    @pytest.mark.parametrize("check", DRIFTS)
    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"block_when": "harmful"}, "block_when: `harmful` needs `max_drop`"),
            ({"max_drop": 0.05}, "max_drop: says nothing without"),
            ({"offline": "x"}, "offline: says nothing without"),
            ({**HARMFUL, "offline": "live"}, "offline: is the same split as `current`"),
        ],
    )
    def test_what_does_not_fit_together_is_refused(self, check, fields, said):
        with pytest.raises(ValueError, match=f"^{said}"):
            check(**fields)


def harm(seen_by, **fields):
    outcome = HarmfulShift(max_drop=0.05, **fields).evaluate(seen_by)
    json.dumps(dict(outcome.details), allow_nan=False)
    return outcome


class TestHarmfulShift:
    def test_labels_show_harm(self):
        outcome = harm(view(0.8, of="v"))
        assert outcome.status == "failed"
        assert outcome.message.startswith("harmful: 4,000 labels show a drop of 10.0 pp")
        assert "Beside it, without labels, methods" in outcome.message
        assert outcome.estimate == stats.proportion_drop(3600, 4000, 3200, 4000)

    def test_labels_show_none(self):
        outcome = harm(view(0.89, of="v"))
        assert outcome.status == "passed"
        assert outcome.message.startswith("benign: 4,000 labels show a drop of 1.0 pp")

    def test_few_labels_leave_it_open(self):
        outcome = harm(view(0.87, n=200, of="v"))
        assert outcome.status == "inconclusive"
        assert outcome.message.startswith("open: 200 labels show a drop of 3.0 pp")
        assert outcome.needed > 200

    @pytest.mark.parametrize(("now", "said"), [(0.6, "harm is suspected"), (0.9, "no harm is sus")])
    def test_without_labels_it_only_suspects(self, now, said):
        outcome = harm(view(now, labelled=False, of="v", others=(now,)))
        assert outcome.status == "inconclusive"
        assert outcome.message.startswith(said)
        assert "no live row has a label" in outcome.message
        assert outcome.estimate is None
        assert outcome.needed is None or outcome.needed > 0
        assert set(outcome.details["guesses"]) >= {"hybrid", "agreement", "cot_bbse"}

    def test_labels_of_unknown_origin_may_block_and_not_approve(self):
        unknown = {"cannot_approve": {"live": "unknown origin"}}
        assert harm(view(0.89, of="v", **unknown)).status == "inconclusive"
        assert harm(view(0.8, of="v", **unknown)).status == "failed"

    def test_other_variants_are_asked_unless_told_otherwise(self):
        assert HarmfulShift(max_drop=0.05).needs().whose == "all"
        assert HarmfulShift(max_drop=0.05, agreement=False).needs().whose == "own"
        assert "agreement" not in harm(view(of="v"), agreement=False).details["guesses"]
        assert "agreement" not in harm(view(of="v", others=())).details["guesses"]

    def test_another_variant_that_cannot_be_asked_does_not_matter(self):
        made = view(of="v")
        assert harm(replace(made, variants=("v", "w0", "lost"))).status == "passed"

    def test_a_copy_of_the_variant_is_no_second_opinion(self):
        made = view(of="v", others=())
        twins = {}
        for name, split in made.splits.items():
            columns = dict(split.rows.columns)
            columns["predicted:twin"] = columns["predicted:v"]
            counts = dict(split.totals.counts)
            counts |= {
                (key[0], "twin", *key[2:]): count
                for key, count in split.totals.counts.items()
                if len(key) > 1 and key[1] == "v"
            }
            twins[name] = replace(
                split,
                rows=replace(split.rows, columns=columns),
                totals=replace(split.totals, counts=counts),
            )
        outcome = harm(replace(made, splits=twins, variants=("v", "twin")))
        assert "agreement" not in outcome.details["guesses"]

    def test_labels_decide_even_where_only_classes_are_logged(self, bench):
        from modelchecks.load import load_suite
        from modelchecks.run import run_suite

        found = {
            r.variant: r
            for r in run_suite(load_suite(bench.suite("- harmful_shift: {max_drop: 5pp}"))).results
        }
        assert found["good"].status == "passed"
        assert found["bad"].status == "failed"
        assert "nothing is known beside: variant 'bad', logged column 'bad' holds classes" in (
            found["bad"].message
        )

    def test_classes_without_labels_are_an_error(self, bench):
        from modelchecks.load import load_suite
        from modelchecks.run import run_suite

        path = bench.suite("- harmful_shift: {max_drop: 5pp}")
        live = "live: {source: parquet, path: live.parquet, label: label,"
        path.write_text(path.read_text().replace(live, live.replace(" label: label,", "")))
        assert {r.status for r in run_suite(load_suite(path)).results} == {"errored"}

    def test_gaps_never_pass(self):
        made = view(of="v", labelled=False)
        # Their own split says of itself that it is `live`.
        with pytest.raises(EvidenceError, match="has no labelled row"):
            harm(replace(made, splits={**made.splits, "offline": made.splits["live"]}))
        with pytest.raises(EvidenceError, match="'x' has no predictions"):
            harm(replace(made, variant="x"))

    @pytest.mark.parametrize(
        ("fields", "said"),
        [({"live": "offline"}, "live: is the same"), ({"max_drop": 1.0}, "max_drop: must be less")],
    )
    def test_what_cannot_be_meant_is_refused(self, fields, said):
        with pytest.raises(ValueError, match=f"^{said}"):
            HarmfulShift(**{"max_drop": 0.05, **fields})
