"""Proposed margins lie above what varies anyway and below what costs, and say why."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from modelchecks import stats
from modelchecks.calibrate import Curve, Proposal, as_yaml, propose, severity_curve
from modelchecks.check import View
from modelchecks.checks.feature_drift import FeatureDrift
from modelchecks.errors import EvidenceError
from tests.seen import seen

N = 6000


def reference(seed=1, n=N, between=0.0, labels=True):
    """Ten days whose brightness differs by `between` standard deviations, and a log."""
    draw = np.random.default_rng(seed)
    day = np.arange(n) * 10 // n
    camera = draw.choice(["A", "B"], n).astype(object)
    store = np.where(draw.random(n) < np.where(camera == "A", 0.3, 0.6), "x", "y").astype(object)
    return seen(
        "train",
        n,
        labels=draw.integers(0, 3, n) if labels else None,
        features={
            "brightness": draw.normal(size=n) + between * draw.normal(size=10)[day],
            "contrast": draw.normal(size=n),
        },
        columns={
            "time": np.datetime64("2026-10-05", "us") + day * np.timedelta64(24 * 3600, "s"),
            "camera": camera,
            "store": store,
            "size": np.where(draw.random(n) < 0.01, np.nan, draw.normal(size=n)),
        },
    )


FEATURES = ("brightness", "contrast")


def by_name(proposals):
    return {p.parameter.rpartition(".")[2]: p for p in proposals if p.check == "feature_drift"}


class TestPropose:
    def test_what_varies_between_days_widens_the_margin_of_that_feature(self):
        found = by_name(
            propose(reference(between=0.3), current_rows=N, by="time", features=FEATURES)
        )
        assert found["brightness"].value > 2 * found["contrast"].value
        assert found["brightness"].reason.startswith("days: 10 groups of the reference differ by")
        assert found["contrast"].value < 0.1

    def test_days_that_pass_with_them_would_alarm_without(self):
        """The point of it: another ten days like these pass at the margins proposed."""
        days = reference(between=0.3)
        margins = {
            name: p.value
            for name, p in by_name(
                propose(days, current_rows=N, by="time", features=FEATURES)
            ).items()
        }
        later = reference(seed=9, between=0.3)
        view = View({"train": days, "live": later})
        asked = FeatureDrift(features=FEATURES, max_effects=margins)
        assert asked.evaluate(view).status == "passed"

    def test_what_costs_bounds_it(self):
        curve = Curve((1, 2), {"brightness": (0.15, 0.3), "contrast": (0.0, 0.01)}, (0.02, 0.08))
        found = by_name(
            propose(
                reference(),
                current_rows=N,
                by="time",
                features=FEATURES,
                curve=curve,
                max_drop=0.05,
            )
        )
        assert found["brightness"].value < 0.225
        assert found["brightness"].separates
        assert "costs 5 pp" in found["brightness"].reason
        assert not found["contrast"].separates

    def test_a_column_that_the_change_does_not_touch_has_no_cost(self):
        curve = Curve((1,), {"brightness": (0.3,), "contrast": (0.3,)}, (0.08,))
        found = by_name(
            propose(
                reference(),
                current_rows=N,
                by="camera",
                features=FEATURES,
                columns={"size": "numeric"},
                curve=curve,
                max_drop=0.05,
            )
        )
        assert found["size"].separates
        assert "costs" not in found["size"].reason

    def test_categories_are_measured_by_total_variation(self):
        found = by_name(
            propose(
                reference(),
                current_rows=N,
                by="camera",
                features=(),
                columns={"store": "categorical", "size": "numeric"},
            )
        )
        # 30 % against 60 %: a total variation of .3.
        assert found["store"].value == pytest.approx(1.5 * 0.3, abs=0.03)
        assert found["size"].value < 0.1

    def test_without_a_column_that_tells_days_the_usual_margin_stands(self):
        found = by_name(propose(reference(), current_rows=N, features=FEATURES))
        assert {p.value for p in found.values()} == {0.1}
        assert found["contrast"].reason == "no column tells days or cameras: the usual 0.1"
        few = by_name(propose(reference(), current_rows=200, features=FEATURES))
        assert few["contrast"].value > 0.1
        assert "so few rows show no less than" in few["contrast"].reason

    def test_labels_have_a_margin_where_there_are_any(self):
        (found,) = [p for p in propose(reference(), current_rows=N, by="time", features=FEATURES)
                    if p.check == "label_drift"]  # fmt: skip
        assert (found.parameter, found.value < 0.1) == ("max_effect", True)
        bare = propose(reference(labels=False), current_rows=N, by="time", features=FEATURES)
        assert {p.check for p in bare} == {"feature_drift"}

    def test_what_is_not_there_is_told(self):
        made = reference()
        with pytest.raises(EvidenceError, match="no column 'column:lane'"):
            propose(made, current_rows=N, by="lane", features=FEATURES)
        with pytest.raises(ValueError, match="max_drop: a curve needs it"):
            propose(made, current_rows=N, features=FEATURES, curve=Curve((), {}, ()))
        with pytest.raises(ValueError, match="features: there is none"):
            propose(made, current_rows=N, features=())
        hour = {"hour": {"kind": "circular", "period": 24}}
        circular = seen("train", 100, columns={"hour": np.arange(100) % 24.0})
        with pytest.raises(ValueError, match="'hour' is circular"):
            propose(circular, current_rows=N, features=(), columns=hour)
        with pytest.raises(stats.TooFewRowsError):
            propose(reference(n=200), current_rows=N, by="time", features=FEATURES)


class TestSeverityCurve:
    @pytest.fixture
    def images(self):
        draw = np.random.default_rng(0)
        bright = draw.integers(60, 250, 400)
        return np.clip(
            bright[:, None, None, None] + draw.normal(0, 5, (400, 4, 4, 1)), 0, 255
        ).astype(np.uint8)

    def test_it_costs_more_the_further_it_goes(self, images):
        def model(seen):
            return (seen.mean(axis=(1, 2, 3)) > 150).astype(np.int64)

        def darker(seen, severity):
            return (seen * (1 - severity)).astype(np.uint8)

        curve = severity_curve(
            images, model(images), model, darker, severities=(0, 0.1, 0.3), features=["brightness"]
        )
        assert curve.drops[0] == 0
        assert curve.effects["brightness"][0] == 0
        assert list(curve.drops) == sorted(curve.drops)
        assert list(curve.effects["brightness"]) == sorted(curve.effects["brightness"])

    @pytest.mark.parametrize(
        ("images", "labels", "severities", "said"),
        [
            (np.zeros((3, 2, 2)), np.zeros(3), [1], "images: must be"),
            (np.zeros((0, 2, 2, 1)), np.zeros(0), [1], "images: must be"),
            (np.zeros((3, 2, 2, 1)), np.zeros(2), [1], "labels: has shape"),
            (np.zeros((3, 2, 2, 1)), np.zeros(3), [], "severities: there is none"),
        ],
    )
    def test_names_what_is_wrong(self, images, labels, severities, said):
        with pytest.raises(ValueError, match=f"^{said}"):
            severity_curve(images, labels, len, lambda x, s: x, severities=severities)


def test_the_text_is_yaml_and_carries_the_reasons(tmp_path):
    proposals = [
        Proposal("feature_drift", "max_effects.brightness", 0.155, "10 days differ by .1"),
        Proposal("feature_drift", "max_effects.mine:blur", 0.2, "two\nlines # and more"),
        Proposal("label_drift", "max_effect", 0.05, "10 days differ by .02"),
    ]
    text = as_yaml(proposals, indent=0)
    read = yaml.safe_load(text)
    assert read == {"max_effects": {"brightness": 0.155, "mine:blur": 0.2}, "max_effect": 0.05}
    assert "  # 10 days differ by .1" in text
    assert "two lines # and more" in text
    FeatureDrift(features=("brightness", "mine:blur"), max_effects=read["max_effects"])
