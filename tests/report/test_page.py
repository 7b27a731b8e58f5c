"""The page as text: what stands where, from old and odd records too."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import made_runs
import pytest
import recorded

from modelchecks.report import details, page, pictures, record, shapes
from modelchecks.report.figures import draw, sections
from modelchecks.report.figures.gallery import MOST_FIGURES, Gallery
from modelchecks.report.numbers import Unit, unit_of
from modelchecks.results import Waived

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


class Text(HTMLParser):
    """The texts, headings and links of a page, without style, script and what pictures hold."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._out = 0
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag in ("style", "script", "svg"):
            self._out += 1
        if tag == "svg":
            self.lines.append(f"[picture: {found['aria-label']}]")
        if not self._out and tag in ("h1", "h2", "h3", "section", "details", "table"):
            self.lines.append(f"<{tag}{' #' + found['id'] if 'id' in found else ''}>")

    def handle_endtag(self, tag):
        if tag in ("style", "script", "svg"):
            self._out -= 1

    def handle_data(self, data):
        text = " ".join(data.split())
        if text and not self._out:
            self.lines.append(text)


@pytest.fixture(scope="module")
def old():
    """A record of schema version 1 as it was first written."""
    return record.read(GOLDEN / "run-v1.json")


def test_a_property_is_drawn_once_however_often_it_is_recorded():
    lines = Text(page.render(made_runs.everything())).lines
    assert lines.count("[picture: brightness of train and live]") == 1


def test_an_old_record_looks_as_it_did(old):
    """`UPDATE_GOLDEN=1` writes it anew; read the difference before it is committed."""
    import os

    text = "\n".join(Text(page.render(old)).lines) + "\n"
    path = GOLDEN / "page-v1.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_two_renderings_are_the_same(old):
    assert page.render(old) == page.render(old)


def test_the_order_is_that_of_a_reader(whole):
    ids = re.findall(r'<section id="(\w+)"', whole)
    evidence = ["accuracy", "classes", "slices", "time", "reliability", "drift", "embedding"]
    evidence += ["severity", "counterexamples", "confusion", "images"]
    assert ids == ["verdicts", "checks", "findings", "evidence", *evidence, "provenance", "passed"]


def test_each_finding_has_what_a_reader_asks_for(whole):
    text = " ".join(Text(whole).lines)
    slices = text[text.index("<h3 #card-3>") :]
    for part in ("blocks", "at most 5 pp", "[picture: slices: against the threshold]",
                 "inconclusive", "observed 6.0 pp [ 4.8 , 7.2 ]", "decided on", "n 5,000",
                 "would settle it 12,345 rows", "By slice", "made.suite.yaml:7",
                 "modelchecks explain slice_drop"):  # fmt: skip
        assert part in slices
        slices = slices[slices.index(part) :]
    drop = text[text.index("<h3 #card-1>") :]
    assert "Claim: It falls by no more than max_drop ." in drop
    assert "Statistic: made." in drop


def test_a_distance_has_no_unit_though_its_harm_is_limited_in_points():
    drift = made_runs.result("drift[data]", threshold={"max_effect": 0.1, "max_drop": 0.05})
    assert unit_of(drift) == Unit()
    assert unit_of(replace(drift, threshold={"max_drop": 0.05})) == Unit("pp")


def test_waivers_stand_where_they_are(whole):
    made = made_runs.run(made_runs.drop("baseline", 0.92, 0.85), names=("baseline",))
    waived = Waived("Ada <a@b>", "known camera", "2027-01-31")
    decision = replace(
        made.decisions["baseline"],
        verdict="approved",
        reasons=(),
        approved_with_waivers=("live-drop[baseline]",),
    )
    made = replace(
        made,
        results=(replace(made.results[0], waived=waived),),
        decisions={"baseline": decision},
    )
    text = " ".join(Text(page.render(made)).lines)
    assert "approved with waivers" in text
    assert "1 waived" in text
    assert "~ waived until 2027-01-31 by Ada <a@b> : known camera" in text
    told = text[text.index("<section #waivers>") :]
    for part in ("live-drop[baseline]", "Ada <a@b>", "known camera", "2027-01-31"):
        assert part in told
    assert "#waivers" not in whole


def test_what_was_not_asked_is_told():
    made = made_runs.run(made_runs.drop("baseline", 0.92, 0.91, "passed"), names=("baseline",))
    decision = replace(
        made.decisions["baseline"], verdict="undecided", reasons=("schema[data]", "x[baseline]")
    )
    text = " ".join(Text(page.render(replace(made, decisions={"baseline": decision}))).lines)
    assert "schema[data] It was not asked, so nothing that it blocks can be approved." in text
    assert "not asked" in text[text.index("#matrix") : text.index("<section #findings>")]


def test_a_banner_has_accuracies_only_where_a_drop_was_asked():
    asked = made_runs.run(made_runs.drop("baseline", 0.92, 0.91), names=("baseline",))
    without = made_runs.run(made_runs.result("labels[baseline]"), names=("baseline",))
    banner = [
        " ".join(Text(page.render(run)).lines).partition("#checks")[0] for run in (asked, without)
    ]
    assert "offline %" in banner[0]
    assert "offline %" not in banner[1]


def test_a_run_without_anything_is_no_approval():
    text = " ".join(Text(page.render(made_runs.run(names=()))).lines)
    assert "No variant was judged, so nothing is approved." in text
    assert "None: no case was asked." in text


@pytest.mark.parametrize("key", sorted(details.DRAWN))
def test_odd_details_cost_nothing(key):
    """Whatever somebody's check puts under a key of ours, the rest of the page stands."""
    results = [
        made_runs.result(f"odd-{place}[baseline]", "failed", details={key: value})
        for place, value in enumerate(made_runs.odd_details())
    ]
    made = made_runs.run(*results, names=("baseline",))
    assert [s.key for s in sections(made, Gallery())] == []
    html = page.render(made)
    assert all(f"odd-{place}[baseline]" in html for place in range(len(results)))


def test_both_shapes_of_slices_and_bins_are_read():
    drop = made_runs.point(0.1)
    assert details.groups({"slices": {"a": {"drop": drop, "status": "failed"}, "b": {}}}) == [
        details.Group("a", shapes.Point(0.1, 0.08, 0.12000000000000001, 500), "failed")
    ]
    inside = {"live": {"reliability": made_runs.bins(0.1)}}
    apart = {"reliability": {"live": made_runs.bins(0.1)}}
    assert details.reliability(inside) == details.reliability(apart) != {}


def test_only_a_png_becomes_an_image():
    svg = "PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIj48L3N2Zz4="
    good = made_runs.picture(1)
    shown = pictures.images({"images": [{"png": svg}, {"png": good}, {"png": f'{good}" x="'}, {}]})
    assert [image.png for image in shown] == [good]


@pytest.mark.slow
def test_a_page_holds_so_many_pictures_and_says_so():
    names = tuple(f"v{number}" for number in range(MOST_FIGURES + 5))
    results = [
        made_runs.drop(name, 0.92, 0.91, "passed", per_class=made_runs.per_class(1))
        for name in names
    ]
    gallery = Gallery()
    found = sections(made_runs.run(*results, names=names), gallery)
    assert 50 < gallery.drawn <= MOST_FIGURES
    assert gallery.drawn + gallery.left_out == MOST_FIGURES + 6
    assert sum(len(section.figures) for section in found) == gallery.drawn


def test_images_are_cut_to_what_a_page_holds():
    made = made_runs.everything(images=900)
    html = page.render(made)
    assert len(html) < 1_500_000
    assert "of 900 recorded" in html


@pytest.mark.slow
def test_the_fullest_page_is_small_and_says_what_it_leaves_out():
    """Three variants times more than forty cases, each kind of figure many times over."""
    base = [*made_runs.everything(30).results, *recorded.every().results]
    results = [
        replace(one, case=one.case.replace("[", f"-{number}["))
        for number in range(4)
        for one in base
    ]
    assert len(results) > 3 * 40
    html = page.render(made_runs.run(*results))
    assert len(html.encode()) <= 1_500_000
    assert re.search(r"\d+ further figures were left out", html)
    # Each card has its picture all the same.
    assert html.count('<figure class="plot"><svg') == html.count("Thin: 95 % interval.") > 30


@pytest.mark.slow
def test_every_specification_is_valid_vega_lite(monkeypatch):
    import altair

    specs = []

    def keep(spec):
        specs.append(spec)
        return '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"></svg>'

    monkeypatch.setattr(draw, "_converted", keep)
    page.render(made_runs.everything())
    assert len(specs) > 25
    for spec in specs:
        # The schema knows no colours by variable.
        altair.Chart.from_dict(json.loads(re.sub(r"var\(--\w+\)", "#aabbcc", json.dumps(spec))))


def test_a_picture_that_cannot_be_drawn_costs_the_picture_alone(monkeypatch):
    class Panic(BaseException):
        """What native code raises when it breaks down."""

    def broken(spec):
        raise Panic("no")

    import vl_convert

    monkeypatch.setattr(vl_convert, "vegalite_to_svg", broken)
    made = made_runs.everything()
    text = " ".join(Text(page.render(made)).lines)
    assert "[picture:" not in text
    assert "This picture could not be drawn; its numbers are below." in text
    assert "92.5 [91.9, 93.1]" in text


def test_a_picture_keeps_only_what_is_known_of_it():
    hostile = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="x()"><script>x()'
        '</script><foreignObject/><image href="https://example.org/x.png"/><a href="x"/>'
        '<g style="fill:red" id="a"><path d="M0,0L1,1" stroke="red" onclick="x()" '
        'clip-path="url(#b)"/></g></svg>'
    )
    root = draw.ElementTree.fromstring(hostile)
    draw._take(root, "p1")
    text = draw.ElementTree.tostring(root, encoding="unicode")
    assert "script" not in text
    for gone in ("on", "href", "style", "image", "foreign", "example"):
        assert gone not in text.replace("stroke", "").replace("/>", "")
    assert 'clip-path="url(#p1-b)"' in text
