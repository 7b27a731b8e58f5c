"""Drift of image properties and log columns: every kind, every gap, the same verdict at every n."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modelchecks import stats
from modelchecks.check import View
from modelchecks.checks.columns import ColumnKind, overlay
from modelchecks.checks.feature_drift import FeatureDrift
from modelchecks.errors import EvidenceError
from tests.seen import seen

N = 4000
DRAW = np.random.default_rng(0)
KINDS = {
    "size": "numeric",
    "stars": "ordinal",
    "shirt": {"kind": "ordinal", "order": ["S", "M", "L"]},
    "camera": "categorical",
    "hour": {"kind": "circular", "period": 24},
}


def log(seed: int, n: int = N, **changes) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    made = {
        "size": draw.lognormal(size=n),
        "stars": draw.choice([1.0, 2.0, 3.0, 4.0, 5.0], n, p=[0.1, 0.1, 0.2, 0.3, 0.3]),
        "shirt": draw.choice(["S", "M", "L"], n).astype(object),
        "camera": draw.choice(["A", "B", "C"], n, p=[0.5, 0.3, 0.2]).astype(object),
        "hour": draw.normal(0, 3, n) % 24,
    }
    return {
        name: changes[name](made[name], draw) if name in changes else made[name] for name in made
    }


def judge(before, now, kinds=KINDS, **fields):
    n = [len(next(iter(side.values()))) for side in (before, now)]
    view = View(
        {"train": seen("train", n[0], columns=before), "live": seen("live", n[1], columns=now)}
    )
    outcome = FeatureDrift(features=(), columns=kinds, **fields).evaluate(view)
    # What a run records is strict JSON.
    json.dumps(dict(outcome.details), allow_nan=False)
    return outcome


def part(share):
    return lambda values, draw: np.where(
        draw.random(len(values)) < share, values.astype(object), None
    )


SHIFTS = {
    "size": lambda v, d: v * 2,
    "stars": lambda v, d: np.where(d.random(len(v)) < 0.4, 1.0, v),
    "shirt": lambda v, d: np.where(d.random(len(v)) < 0.4, "L", v).astype(object),
    "camera": lambda v, d: np.where(d.random(len(v)) < 0.4, "C", v).astype(object),
    "hour": lambda v, d: (v + 3) % 24,
}


def test_what_has_not_changed_passes_whatever_its_kind():
    outcome = judge(log(1), log(2))
    assert outcome.status == "passed"
    assert outcome.message.startswith("features shown similar within 0.1: largest ")
    assert set(outcome.details["effects"]) == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_sees_its_shift_and_names_it(name):
    outcome = judge(log(1), log(2, **{name: SHIFTS[name]}))
    assert outcome.status == "failed"
    assert f"1 of 5 features differ by more than 0.1: {name} " in outcome.message
    assert outcome.details["features"][name]["p_value"] == 1 / 200


def test_words_say_what_has_changed():
    outcome = judge(log(1), log(2, size=SHIFTS["size"]), {"size": "numeric"})
    assert "(median 0.98" in outcome.message
    assert "→ 1.99" in outcome.message
    outcome = judge(log(1), log(2, camera=SHIFTS["camera"]), {"camera": "categorical"})
    assert "camera TV 0.3" in outcome.message
    assert "(C 19.8 % → 51.3 %)" in outcome.message


@pytest.mark.parametrize("name", KINDS)
def test_values_that_go_missing_are_a_shift(name):
    before = log(1)
    gone = log(2, **{name: part(0.7)})
    outcome = judge(before, gone)
    assert outcome.status == "failed"
    assert "missing 0.0 % → 3" in outcome.message
    assert outcome.details["features"][name]["missing"][1] == pytest.approx(0.3, abs=0.03)
    # As many as before are none.
    assert judge(log(3, **{name: part(0.7)}), gone).status == "passed"


def test_a_column_that_became_empty_fails_and_one_that_always_was_is_an_error():
    def empty(values, draw):
        return np.full(len(values), None, dtype=object)

    kinds = {"size": "numeric"}
    assert judge(log(1), log(2, size=empty), kinds).status == "failed"
    with pytest.raises(EvidenceError, match="'size' is empty in every row of both splits"):
        judge(log(1, size=empty), log(2, size=empty), kinds)


def test_a_category_that_is_new_is_named_even_where_it_is_rare():
    def rare(values, draw):
        return np.where(np.arange(len(values)) < 20, "D", values).astype(object)

    outcome = judge(log(1), log(2, camera=rare), {"camera": "categorical"})
    assert outcome.status == "passed"
    assert outcome.message.endswith("Never seen in train: camera D (0.5 %)")
    assert outcome.details["features"]["camera"]["new"] == {"D": 0.005}


def test_where_the_day_is_cut_does_not_matter():
    kinds = {"hour": {"kind": "circular", "period": 24}}
    turned = [
        judge(log(1, hour=lambda v, d, t=t: v + t), log(2, hour=lambda v, d, t=t: v + 1 + t), kinds)
        for t in (0, 7.5, -31)
    ]
    values = [outcome.estimate.value for outcome in turned]
    assert values == pytest.approx([values[0]] * 3)


def test_a_time_counts_in_hours():
    start = np.datetime64("2026-10-05T00:00", "us")
    hours = {k: log(k)["hour"] for k in (1, 2)}
    times = {
        k: start + (h * 3600e6).astype("timedelta64[us]") + np.timedelta64(k * 24, "h")
        for k, h in hours.items()
    }
    kinds = {"hour": {"kind": "circular", "period": 24}}
    found = judge({"hour": times[1]}, {"hour": times[2]}, kinds)
    plain = judge({"hour": hours[1]}, {"hour": hours[2]}, kinds)
    assert found.estimate.value == pytest.approx(plain.estimate.value, abs=1e-3)
    with pytest.raises(EvidenceError, match="'hour' of split 'train' is a time"):
        judge({"hour": times[1]}, {"hour": times[2]}, {"hour": "numeric"})
    times[2][0] = "NaT"
    assert judge({"hour": times[1]}, {"hour": times[2]}, kinds).status == "passed"


def test_constant_columns_are_ordinary():
    same, other = {"size": np.ones(N)}, {"size": np.zeros(N)}
    assert judge(same, same, {"size": "numeric"}).status == "passed"
    assert judge(same, other, {"size": "numeric"}).status == "failed"


def test_a_margin_of_its_own():
    shifted = log(2, size=lambda v, d: v * 1.4)
    assert judge(log(1), shifted).status == "failed"
    outcome = judge(log(1), shifted, max_effects={"size": 0.25})
    assert outcome.status == "passed"
    assert "each within its margin" in outcome.message
    assert outcome.threshold["max_effect"] in (0.1, 0.25)
    outcome = judge(log(1), shifted, max_effects={"size": 0.05})
    assert "size D 0.1" in outcome.message
    assert "of at most 0.05" in outcome.message


def test_too_few_rows_say_how_many_settle_it():
    outcome = judge(log(1), log(2, 200))
    assert outcome.status == "inconclusive"
    assert outcome.needed is not None
    assert outcome.needed > 200
    assert f"About {outcome.needed:,} rows would settle it" in outcome.message


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        (np.array(["a"] * 9, object), "numeric", "holds text: it is categorical, or ordinal"),
        (np.array(["a"] * 9, object), "ordinal", "holds text"),
        (np.array([1, np.inf] * 9), "numeric", "is infinite in 9 rows"),
        (np.array(["XL"] * 9, object), KINDS["shirt"], "holds 'XL', which `order` does not name"),
        (np.array([f"id{i}" for i in range(300)], object), "categorical", "has 300 values"),
    ],
)
def test_columns_that_are_not_what_the_suite_says(values, kind, said):
    with pytest.raises(EvidenceError, match=said):
        judge({"x": values}, {"x": values}, {"x": kind})


def test_what_is_not_there_never_passes():
    with pytest.raises(EvidenceError, match="no column 'szie'; did you mean 'size'"):
        judge(log(1), log(2), {"szie": "numeric"})
    with pytest.raises(EvidenceError, match="split 'live' has no rows"):
        judge(log(1), log(2, 0))
    with pytest.raises(EvidenceError, match="has no column 'camera'"):
        judge({"size": np.ones(9)}, log(2), {"camera": "categorical"})


def test_rows_that_come_twice_decide_nothing():
    columns = log(1, 100)
    twice = seen("live", 100, columns=columns, ids=[f"r{i // 2}" for i in range(100)])
    view = View({"train": seen("train", 100, columns=columns), "live": twice})
    with pytest.raises(EvidenceError, match="rows with the same id"):
        FeatureDrift(features=(), columns={"size": "numeric"}).evaluate(view)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"columns": {"a": "numerical"}}, "columns: 'a' is 'numerical'; it must be one of"),
        ({"columns": {"a": {"kind": "circular"}}}, "columns: 'a' is circular, so it needs the"),
        ({"columns": {"a": {"kind": "circular", "period": 0}}}, "columns: 'a' is circular"),
        ({"columns": {"a": {"kind": "circular", "period": True}}}, "columns: 'a' is circular"),
        ({"columns": {"a": {"kind": "numeric", "period": 3}}}, "columns: 'a' is numeric; only a c"),
        ({"columns": {"a": {"kind": "numeric", "order": [1]}}}, "columns: 'a' is numeric; only an"),
        ({"columns": {"a": {"kind": "ordinal", "order": ["x"]}}}, "columns: `order` of 'a'"),
        ({"columns": {"a": {"kind": "ordinal", "order": [1, 1]}}}, "columns: `order` of 'a'"),
        ({"columns": {"a": {"knd": "ordinal"}}}, "columns: 'a' has no key 'knd'; did you mean"),
        ({"columns": {"a": None}}, "columns: 'a' is None"),
        ({"features": ()}, "features: is empty"),
        ({"columns": {"contrast": "numeric"}}, "features: 'contrast' is named twice"),
        ({"features": ("entropy", "entropy")}, "features: 'entropy' is named twice"),
        ({"max_effects": {"entrpy": 0.2}}, "max_effects: 'entrpy' is not compared here; did you"),
        ({"max_effects": {"entropy": 2}}, "max_effects: 2 of 'entropy' is not between 0 and 1"),
        ({"max_effects": {"entropy": "5pp"}}, "max_effects: '5pp' of 'entropy'"),
        ({"reference": "live"}, "drift needs two"),
    ],
)
def test_a_suite_that_cannot_be_meant_is_refused(fields, said):
    with pytest.raises(ValueError, match="^" + said if ":" in said else said):
        FeatureDrift(**fields)


class TestOverlay:
    def test_numbers_have_bins_and_quantiles(self):
        a, b = log(1)["size"], log(2)["size"]
        drawn = overlay(ColumnKind(), a, b)
        assert len(drawn["edges"]) == len(drawn["reference"]) + 1
        for side in ("reference", "current"):
            assert sum(drawn[side]) == pytest.approx(1, abs=1e-3)
        assert drawn["reference_quantiles"][2] == pytest.approx(np.median(a), rel=1e-4)

    def test_few_values_are_shown_one_by_one_and_in_order(self):
        drawn = overlay(ColumnKind("ordinal"), log(1)["stars"], log(2)["stars"])
        assert drawn["categories"] == ["1", "2", "3", "4", "5"]
        order = ("S", "M", "L")
        shirts = overlay(ColumnKind("ordinal", order), log(1)["shirt"], log(2)["shirt"])
        assert shirts["categories"] == list(order)

    def test_many_categories_end_in_others_and_gaps(self):
        names = np.array([f"c{i % 50}" for i in range(990)] + [None] * 10, dtype=object)
        drawn = overlay(ColumnKind("categorical"), names, names)
        assert drawn["categories"][-2:] == ["(others)", "(missing)"]
        assert drawn["current"][-1] == 0.01
        assert sum(drawn["current"]) == pytest.approx(1, abs=1e-3)

    @pytest.mark.parametrize("values", [np.ones(5), np.full(5, np.nan), np.r_[np.nan, 1.0]])
    def test_what_hardly_varies_can_be_drawn(self, values):
        drawn = overlay(ColumnKind(), values, np.ones(3))
        json.dumps(drawn, allow_nan=False)

    def test_numbers_stored_with_and_without_gaps_are_the_same_categories(self):
        whole, floats = np.array([1, 2, 2]), np.array([1.0, 2.0, np.nan])
        drawn = overlay(ColumnKind("categorical"), whole, floats)
        assert drawn["categories"] == ["2", "1", "(missing)"]


@pytest.fixture(scope="module")
def properties(pool, rows):
    from modelchecks import features

    images = pool[0][rows["train"][:8000], ..., None]
    return {name: getattr(features, name)(images) for name in features.DEFAULT}


class TestTheSameAtEveryN:
    """Real image properties; a share of live rows is given values that no row had."""

    def verdicts(self, properties, share, name, sizes):
        found = []
        for n in sizes:
            draw = np.random.default_rng([n, round(1000 * share)])
            reference = seen("train", 8000, features=properties)
            at = draw.integers(8000, size=n)
            current = {key: values[at] for key, values in properties.items()}
            moved = draw.permutation(n) < round(share * n)
            current[name] = np.where(moved, properties[name].max() + 1, current[name])
            view = View({"train": reference, "live": seen("live", n, features=current)})
            found.append(FeatureDrift().evaluate(view).status)
        return found

    @pytest.mark.parametrize("name", ["sharpness", "entropy"])
    @pytest.mark.parametrize(("share", "never"), [(0.05, "failed"), (0.2, "passed")])
    def test_half_and_double_the_margin(self, properties, name, share, never):
        found = self.verdicts(properties, share, name, (300, 1000, 4000, 12_000))
        assert never not in found
        settled = "passed" if never == "failed" else "failed"
        assert found[-1] == settled
        # Inconclusive only shrinks: once settled, it stays.
        first = found.index(settled)
        assert found == ["inconclusive"] * first + [settled] * (len(found) - first)


def test_it_decides_as_the_statistic_does():
    before, now = log(1), log(2, size=SHIFTS["size"])
    outcome = judge(before, now)
    expected = stats.feature_distance(before["size"], now["size"], features=5).estimate
    assert outcome.estimate == expected
