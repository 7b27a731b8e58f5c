"""Accuracy and drift over time: windows of the calendar, alarms bounded over the series."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from modelchecks import stats
from modelchecks.check import View
from modelchecks.checks.accuracy_windows import AccuracyWindows
from modelchecks.checks.drift_windows import DriftWindows
from modelchecks.checks.time_windows import time_windows
from modelchecks.errors import EvidenceError
from tests.seen import answers, seen

MONDAY = np.datetime64("2026-10-05T00:00", "us")
DAY = np.timedelta64(24 * 3600, "s")


def times(*days):
    """Noon of each day, counted from a Monday."""
    return MONDAY + np.array(days) * DAY + np.timedelta64(12, "h")


def log(days, right, *, dark=None, labelled=None, seed=2, columns=None):
    """A live log: rows of the day numbers given, of which the share right[day] is right."""
    draw = np.random.default_rng(seed)
    days = np.asarray(days)
    label = draw.integers(0, 4, len(days))
    logits = np.empty((len(days), 4))
    for day in np.unique(days):
        here = days == day
        logits[here] = answers(draw, label[here], right[day] if isinstance(right, dict) else right)
    if labelled is not None:
        label = np.where(labelled, label, -1)
    brightness = draw.normal(size=len(days))
    if dark is not None:
        brightness = brightness - np.array([dark.get(day, 0.0) for day in days.tolist()])
    return seen(
        "live",
        len(days),
        labels=label,
        logits={"v": logits},
        features={"brightness": brightness},
        columns={"time": times(*days), **(columns or {})},
    )


@cache
def offline(n=8000):
    draw = np.random.default_rng(1)
    label = draw.integers(0, 4, n)
    return seen(
        "offline",
        n,
        labels=label,
        logits={"v": answers(draw, label, 0.9)},
        features={"brightness": draw.normal(size=n)},
    )


def accuracy(live, **fields):
    made = View({"offline": offline(), "live": live}, "v")
    outcome = AccuracyWindows(**{"time": "time", "max_drop": 0.05, **fields}).evaluate(made)
    json.dumps(dict(outcome.details), allow_nan=False)
    return outcome


WEEK = np.repeat(np.arange(7), 500)


class TestAccuracyWindows:
    def test_a_good_week_passes(self):
        outcome = accuracy(log(WEEK, 0.9))
        assert outcome.status == "passed"
        assert outcome.message.startswith("each of 7 days with labels lost at most ")
        series = outcome.details["series"]
        assert [day["at"] for day in series][:2] == ["2026-10-05", "2026-10-06"]
        assert {day["labels"] for day in series} == {500}
        assert series[3]["accuracy"] == pytest.approx(0.9)

    def test_one_bad_day_alarms_on_that_day(self):
        right = dict.fromkeys(range(7), 0.9) | {4: 0.75}
        outcome = accuracy(log(WEEK, right))
        assert outcome.status == "failed"
        assert outcome.message.startswith(
            "alarm on 2026-10-09: its 500 labels show a drop of 15.0 pp"
        )
        assert "1 of 7 days are shown to lose more, 2026-10-09 most with 15.0 pp" in outcome.message
        assert outcome.details["alarm"] == "2026-10-09"

    def test_a_small_drop_that_lasts_alarms_by_all_labels_since_then(self):
        days = np.repeat(np.arange(40), 150)
        right = {day: 0.9 if day < 5 else 0.81 for day in range(40)}
        outcome = accuracy(log(days, right))
        assert outcome.status == "failed"
        assert "together show a drop of more than 5 pp" in outcome.message
        assert outcome.details["since"] >= "2026-10-08"

    def test_it_decides_as_the_statistic_does(self):
        right = dict.fromkeys(range(7), 0.9) | {2: 0.8}
        outcome = accuracy(log(WEEK, right))
        counts = np.array([round(500 * right[day]) for day in range(7)])
        found = stats.accuracy_windows(7200, 8000, counts, np.full(7, 500), max_drop=0.05)
        assert [day["status"] for day in outcome.details["series"]] == list(found.statuses)
        assert outcome.details["series"][2]["evidence"] == pytest.approx(found.evidence[2])

    def test_few_labels_a_day_leave_it_open(self):
        outcome = accuracy(log(np.repeat(np.arange(7), 40), 0.9))
        assert outcome.status == "inconclusive"
        assert "7 of 7 days with labels may have lost more than 5 pp" in outcome.message
        assert outcome.needed > 40
        assert "labels a day would settle it" in outcome.message

    def test_a_day_without_labels_is_not_passed(self):
        outcome = accuracy(log(WEEK, 0.9, labelled=WEEK != 3))
        assert outcome.status == "inconclusive"
        assert "1 days have rows and no label: 2026-10-08" in outcome.message
        assert outcome.details["series"][3]["status"] is None
        assert outcome.details["series"][3]["rows"] == 500

    def test_a_day_without_rows_is_told(self):
        outcome = accuracy(log(WEEK[WEEK != 3], 0.9))
        assert outcome.status == "passed"
        assert outcome.message.endswith("1 days in between have no rows")
        assert outcome.details["series"][3]["labels"] == 0

    def test_labels_of_unknown_origin_cannot_pass(self):
        made = View(
            {"offline": offline(), "live": log(WEEK, 0.9)}, "v", cannot_approve={"live": "unknown"}
        )
        outcome = AccuracyWindows(time="time", max_drop=0.05).evaluate(made)
        assert outcome.status == "inconclusive"

    def test_gaps_never_pass(self):
        with pytest.raises(EvidenceError, match="'live' has no labelled row"):
            accuracy(log(WEEK, 0.9, labelled=WEEK < 0))
        with pytest.raises(EvidenceError, match="no column 'tiem'; did you mean 'time'"):
            accuracy(log(WEEK, 0.9), time="tiem")
        with pytest.raises(EvidenceError, match="'time' of split 'live' is no time"):
            accuracy(log(WEEK, 0.9, columns={"time": WEEK}))
        empty = times(*WEEK)
        empty[3] = "NaT"
        with pytest.raises(EvidenceError, match="is empty in 1 rows"):
            accuracy(log(WEEK, 0.9, columns={"time": empty}))

    @pytest.mark.parametrize(
        ("fields", "said"),
        [({"live": "offline"}, "live: is the same"), ({"max_drop": 1.0}, "max_drop: must be less")],
    )
    def test_what_cannot_be_meant_is_refused(self, fields, said):
        with pytest.raises(ValueError, match=f"^{said}"):
            AccuracyWindows(**{"time": "t", "max_drop": 0.05, **fields})


def drift(live, **fields):
    made = View({"train": offline(), "live": live})
    fields = {"time": "time", "features": ("brightness",), "max_effect": 0.2, **fields}
    outcome = DriftWindows(**fields).evaluate(made)
    json.dumps(dict(outcome.details), allow_nan=False)
    return outcome


class TestDriftWindows:
    def test_an_ordinary_week_passes(self):
        outcome = drift(log(WEEK, 0.9))
        assert outcome.status == "passed"
        assert outcome.message.startswith("each of 7 days shown similar within 0.2; largest brig")

    def test_one_dark_day_alarms_on_that_day(self):
        outcome = drift(log(WEEK, 0.9, dark={4: 1.5}))
        assert outcome.status == "failed"
        assert outcome.message.startswith("alarm on 2026-10-09: brightness 0.5")
        assert outcome.message.endswith("1 of 7 days are: 2026-10-09")
        statuses = [day["status"] for day in outcome.details["series"]]
        assert statuses == ["passed"] * 4 + ["failed"] + ["passed"] * 2

    def test_it_decides_as_the_statistic_does(self):
        live = log(WEEK, 0.9, dark={2: 0.5, 5: 0.9})
        outcome = drift(live)
        values, day = live.sample("feature:brightness"), live.sample("column:time")
        parts = [values[day == times(d)[0]] for d in range(7)]
        reference = offline().sample("feature:brightness")
        found = stats.drift_windows(reference, parts, margin=0.2)
        assert [d["status"] for d in outcome.details["series"]] == list(found.statuses)
        expected = [d[0].lower_bound for d in found.distances]
        shown = [d["distances"]["brightness"][3] for d in outcome.details["series"]]
        assert shown == pytest.approx(expected)

    def test_small_days_say_how_many_rows_a_day_takes(self):
        outcome = drift(log(np.repeat(np.arange(7), 30), 0.9))
        assert outcome.status == "inconclusive"
        assert f"takes about {outcome.needed:,} rows a day" in outcome.message

    def test_columns_of_any_kind(self):
        draw = np.random.default_rng(4)
        camera = np.where(draw.random(len(WEEK)) < 0.5, "A", "B").astype(object)
        camera[WEEK == 6] = "C"
        live = log(WEEK, 0.9, columns={"camera": camera})
        before = seen(
            "train", 2000, columns={"camera": draw.choice(["A", "B"], 2000).astype(object)}
        )
        check = DriftWindows(
            time="time", features=(), columns={"camera": "categorical"}, max_effect=0.2
        )
        outcome = check.evaluate(View({"train": before, "live": live}))
        assert outcome.status == "failed"
        assert outcome.details["alarm"] == "2026-10-11"
        assert check.needs().splits["train"] == {"columns"}

    def test_days_without_rows_are_told(self):
        outcome = drift(log(WEEK[WEEK != 3], 0.9))
        assert outcome.message.endswith("1 days in between have no rows")
        assert outcome.details["series"][3] == {
            "at": "2026-10-08",
            "rows": 0,
            "status": None,
            "distances": {},
        }

    def test_false_alarms_are_bounded_over_the_whole_series(self):
        # Sixty days that do not differ: at 5 % a day, 19 of 20 series would alarm; and the margin
        # is next to nothing, so that only the bounds keep it from alarming.
        alarms = 0
        days = np.repeat(np.arange(60), 60)
        plain = log(days, 0.9)
        for seed in range(30):
            draw = np.random.default_rng(seed)
            columns = {**plain.rows.columns, "feature:brightness": draw.normal(size=len(days))}
            live = replace(plain, rows=replace(plain.rows, columns=columns))
            alarms += drift(live, max_effect=0.001).status == "failed"
        assert alarms <= 4

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"current": "train"}, "current: is the same split"),
            ({"features": ()}, "features: is empty"),
            ({"features": ("a", "a")}, "features: names one twice"),
            ({"columns": {"a": "odd"}}, "columns: 'a' is 'odd'"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, fields, said):
        with pytest.raises(ValueError, match=f"^{said}"):
            DriftWindows(**{"time": "t", **fields})


class TestCalendar:
    def windows(self, by, *moments):
        stamps = np.array(moments, dtype="datetime64[us]")
        made = seen("live", len(stamps), columns={"time": stamps})
        return time_windows(made, "time", by)

    @pytest.mark.parametrize(
        ("by", "names"),
        [
            ("hour", ["2026-10-04 23:00", "2026-10-05 00:00", "2026-10-05 01:00"]),
            ("day", ["2026-10-04", "2026-10-05"]),
            # A Sunday, and the Monday after it.
            ("week", ["2026-09-28", "2026-10-05"]),
            ("month", ["2026-10"]),
        ],
    )
    def test_windows_are_those_of_the_calendar(self, by, names):
        found = self.windows(by, "2026-10-04T23:59", "2026-10-05T01:00")
        assert list(found.names) == names
        assert found.rows.sum() == 2

    def test_times_before_1970_have_a_calendar_too(self):
        assert self.windows("week", "1969-12-31T12:00").names == ("1969-12-29",)
        assert self.windows("day", "1969-12-31T12:00").names == ("1969-12-31",)

    def test_a_series_has_an_end(self):
        with pytest.raises(EvidenceError, match=r"spans 8,7\d\d windows of one hour"):
            self.windows("hour", "2025-10-05T00:00", "2026-10-05T00:00")

    def test_no_rows_are_no_windows(self):
        with pytest.raises(EvidenceError, match="split 'live' has no rows"):
            self.windows("day")
