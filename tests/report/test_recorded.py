"""The page reads what each check really records: windows, waterfalls, curves, counter-examples."""

from __future__ import annotations

import made_runs
import pytest
import recorded

from modelchecks.report import cards, details, page, pictures
from modelchecks.report.figures import sections
from modelchecks.report.figures.gallery import Gallery
from modelchecks.report.numbers import limit_at, limit_text, unit_of


@pytest.fixture(scope="module")
def run():
    return recorded.every()


@pytest.fixture(scope="module")
def figures(run):
    """All figures by their titles."""
    found = {f.title: f for s in sections(run, Gallery()) for f in s.figures}
    assert all(figure.svg for figure in found.values() if figure.drawn and not figure.images)
    return found


def rows(figure):
    return [[cell.text for cell in row] for row in figure.rows]


def result(run, check):
    (found,) = [one for one in run.results if one.check == check]
    return found


def test_a_waterfall_leads_from_offline_to_live(figures):
    figure = figures["baseline: drop_attribution, from offline to live"]
    assert rows(figure) == [
        ["offline", "92.5", "–"],
        ["class shares", "92.9", "0.4 [-0.6, 1.4]"],
        ["shifted properties", "87.9", "-5.0 [-6.0, -4.0]"],
        ["unlike offline", "84.9", "-3.0 [-4.0, -2.0]"],
        ["the rest", "79.5", "-5.4 [-6.4, -4.4]"],
        ["live", "79.5", "–"],
    ]
    assert figure.svg.count("<title>") == 6
    by = figures["baseline: drop_attribution, what each shifted property costs"]
    assert rows(by)[0] == ["brightness", "4.0 [2.0, 6.0]", "0.286 → 0.331"]
    broken = recorded.attribution()
    del broken["waterfall"][2]["from"]
    assert details.waterfall(broken) == []


def test_windows_of_accuracy_and_of_drift(figures):
    figure = figures["baseline: accuracy_windows over time"]
    assert rows(figure) == [
        ["2026-11-10", "2.0 [0.0, 4.0]", "300"],
        ["2026-11-12", "9.0 [7.0, 11.0]", "310"],
    ]
    assert figure.note == "1 window has rows and no label"
    figure = figures["baseline: drift_windows over time"]
    assert figure.head == ("window", "of", "value", "rows")
    assert rows(figure)[0] == ["2026-11-10", "brightness", "0.1 [0.08, 0.2]", "400"]
    assert {row[1] for row in rows(figure)} == {"brightness", "contrast"}


def test_curves_of_severity(figures):
    figure = figures["corruption: blur"]
    assert [row[1] for row in rows(figure)] == ["0", "1", "2", "3", "4", "5"]
    assert rows(figure)[1][2] == "86.0 [84.0, 88.0]"
    attack = figures["adversarial: eps of the attack"]
    assert [row[1:3] for row in rows(attack)] == [
        ["1", "80.0 [78.0, 82.0]"],
        ["2", "70.0 [68.0, 72.0]"],
    ]


def test_before_and_after_are_one_counterexample(run):
    found = pictures.counterexamples(recorded.search())
    assert [image.caption for image in found] == [
        "r1: Coat, 87 % → Shirt, 87 %",
        "r2: Bag, 87 % → Coat, 87 %",
    ]
    assert found[0].before == recorded.picture(0, "before")
    assert found[0].png == recorded.picture(0, "after")
    assert pictures.images(recorded.search()) == []
    by_key = {s.key: s for s in sections(run, Gallery())}
    assert [f.title for f in by_key["counterexamples"].figures] == [
        "baseline: search",
        "baseline: adversarial",
    ]
    # A half alone, or halves of different rows, are images like any other.
    halves = recorded.search()["images"]
    alone = {"images": [halves[0], halves[3]]}
    assert pictures.counterexamples(alone) == []
    assert len(pictures.images(alone)) == 2


def test_rows_that_a_check_names_are_shown(run):
    by_key = {s.key: s for s in sections(run, Gallery())}
    shown = {f.title: [i.caption for i in f.images] for f in by_key["images"].figures}
    assert shown == {
        "baseline: corruption": ["blur, severity 3: r9 is not recognised any more"],
        "data: schema": ["live fm-1"],
    }
    svg = {"pictures": [{"caption": "x", "picture": "data:image/svg+xml;base64,PHN2Zz4="}]}
    assert pictures.images(svg) == []


def test_shapes_of_properties(figures):
    assert rows(figures["age of reference and current"])[0] == ["0 to 0.5", "60.0", "30.0"]
    kinds = figures["data: feature_drift, shares of camera"]
    assert rows(kinds)[2] == ["missing", "0.0", "10.0"]


def test_slices_that_are_behind(figures):
    figure = figures["baseline: weak_slices, behind all other rows by slice"]
    assert rows(figure) == [["store=x", "20.0 [18.0, 22.0]", "500", "–"]]


@pytest.mark.parametrize(
    ("check", "text", "at"),
    [
        ("corruption", "at most 15 %", 0.15),
        ("weak_slices", "at most 10 pp", 0.1),
        ("adversarial", "at least 50 %", 0.5),
        ("shortcut", "at most 15 pp", 0.15),
    ],
)
def test_limits_have_their_units(run, check, text, at):
    found = result(run, check)
    ((name, value),) = found.threshold.items()
    assert limit_text(name, value, unit_of(found)) == text
    assert limit_at(name, value, unit_of(found)) == at


def test_a_loss_against_the_champion_is_a_negative_gain():
    found = made_runs.result("not_worse_than[b]", threshold={"max_loss": 0.02})
    assert limit_text("max_loss", 0.02, unit_of(found)) == "loses at most 2 pp"
    assert limit_at("max_loss", 0.02, unit_of(found)) == -0.02


def test_what_is_not_drawn_stands_in_the_card(run):
    more = cards.further(result(run, "feature_drift"))
    assert '"psi": 0.2' in more
    assert "edges" not in more
    assert '"yaml": "- search:' in cards.further(result(run, "search"))
    assert "png" not in cards.further(result(run, "search"))
    made = made_runs.result(
        "calibration[b]", details={"live": {"debiased_l2": 0.1, "reliability": []}}
    )
    assert cards.further(made) == '{\n "live": {\n  "debiased_l2": 0.1\n }\n}'


def test_the_page_of_all_of_it_is_whole(run):
    html = page.render(run)
    assert html.count("<img ") == 8
    assert "could not be drawn" not in html
