"""Pictures are drawn once: the next report takes what did not change from the store."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO

import made_runs
import pytest
import vl_convert
from PIL import Image

from modelchecks import publish as publishing
from modelchecks.publish import publish, warm_up
from modelchecks.report import page, picture
from modelchecks.report.figures import draw
from modelchecks.report.write import FORMATS, write


@pytest.fixture
def drawn(monkeypatch):
    """The specifications that the library is asked to draw."""
    asked = []
    real = vl_convert.vegalite_to_svg

    def counted(spec, **options):
        asked.append(spec)
        return real(spec, **options)

    monkeypatch.setattr(vl_convert, "vegalite_to_svg", counted)
    return asked


def test_what_was_drawn_before_is_not_drawn_again_and_looks_the_same(tmp_path, drawn):
    run = made_runs.everything()
    with draw.remembering({}) as first:
        before = {name: path.read_bytes() for name, path in write(run, tmp_path, FORMATS).items()}
    # And once more for the PNG, which takes nothing from a store.
    assert len(drawn) == len(first) + 1 > 10
    with draw.remembering(first) as second:
        after = {name: path.read_bytes() for name, path in write(run, tmp_path, FORMATS).items()}
    assert len(drawn) == len(first) + 2
    assert second == first
    assert before == after


def test_only_what_changed_is_drawn(drawn):
    run = made_runs.everything()
    with draw.remembering({}) as first:
        page.render(run)
    before = len(drawn)
    fewer = replace(run, results=run.results[1:])
    with draw.remembering(first) as second:
        page.render(fewer)
    assert len(drawn) == before
    # And what this page has no use for is not kept for the next.
    assert set(second) <= set(first)


@pytest.fixture
def suite(tmp_path):
    """A suite's facts, beside a store."""
    (tmp_path / ".modelchecks" / "evidence").mkdir(parents=True)
    return {"name": "s", "path": str(tmp_path / "s.suite.yaml")}


def published(suite, tmp_path, formats=("html",)):
    made = made_runs.everything()
    run = replace(made, suite={**made.suite, **suite})
    _, problems = publish(run, tmp_path / "reports" / "s", formats, tmp_path / "history.jsonl")
    assert not problems
    page = tmp_path / "reports" / "s" / "index.html"
    return page.read_text() if "html" in formats else ""


def test_a_report_leaves_its_pictures_in_the_store(suite, tmp_path, drawn, monkeypatch):
    monkeypatch.delenv("MODELCHECKS_CACHE", raising=False)
    published(suite, tmp_path)
    first = len(drawn)
    published(suite, tmp_path)
    # The trends alone have a run more.
    titles = {json.dumps(spec["layer"][0]["encoding"]["x"]["sort"]) for spec in drawn[first:]}
    assert len(titles) <= 1
    assert len(drawn) - first < first / 2


@pytest.mark.parametrize("formats", [["json"], ["png"]])
def test_a_report_without_a_page_keeps_the_pictures_of_the_last(
    suite, tmp_path, monkeypatch, formats
):
    monkeypatch.delenv("MODELCHECKS_CACHE", raising=False)
    published(suite, tmp_path)
    (kept,) = (tmp_path / ".modelchecks" / "probes").glob("*/outcome.json")
    before = kept.read_bytes()
    published(suite, tmp_path, formats)
    assert kept.read_bytes() == before


def test_damaged_pictures_are_drawn_anew(suite, tmp_path, drawn, monkeypatch):
    monkeypatch.delenv("MODELCHECKS_CACHE", raising=False)
    whole = published(suite, tmp_path)
    (kept,) = (tmp_path / ".modelchecks" / "probes").glob("*/outcome.json")
    kept.write_text(kept.read_text().replace("<path", "<evil"))
    before = len(drawn)
    again = published(suite, tmp_path)
    assert "evil" not in again
    assert again.count("<svg") >= whole.count("<svg")
    assert len(drawn) - before >= before


def test_without_a_store_none_is_made(tmp_path, drawn, monkeypatch):
    monkeypatch.delenv("MODELCHECKS_CACHE", raising=False)
    published({"name": "s", "path": str(tmp_path / "s.suite.yaml")}, tmp_path)
    assert drawn
    assert not (tmp_path / ".modelchecks").exists()


def test_a_store_that_lies_gets_nothing_onto_the_page():
    run = made_runs.everything()
    with draw.remembering({}) as known:
        page.render(run)
        picture.svg(run)
    evil = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script>'
        '<rect onclick="alert(1)" width="9" height="9" fill="red"/>'
        '<image href="file:///alert(1).png" width="9" height="9"/></svg>'
    )
    with draw.remembering(dict.fromkeys(known, evil)):
        html = page.render(run)
    assert "alert(1)" not in html
    with draw.remembering(dict.fromkeys(known, evil)):
        file = picture.svg(run)
        png = Image.open(BytesIO(picture.png(run)))
    assert "alert(1)" not in file
    assert 'fill="red"' in file
    # Drawn anew: what a store holds never reaches native code.
    assert png.size == (680, 600)
    with draw.remembering(dict.fromkeys(known, "no picture")):
        assert "no picture" not in page.render(run)


@pytest.mark.parametrize("name", ["script", "style", "plaintext"])
def test_what_is_no_picture_at_its_root_is_none(name):
    run = made_runs.everything()
    with draw.remembering({}) as known:
        page.render(run)
        picture.svg(run)
    evil = f'<{name} xmlns="http://www.w3.org/2000/svg" width="9" height="9">alert(1)</{name}>'
    with draw.remembering(dict.fromkeys(known, evil)):
        assert picture.svg(run) == ""
        assert "alert(1)" not in page.render(run)


@pytest.mark.parametrize("value", ["url(https://evil/x#a)", "URL(//evil)", r"u\72l(//evil)"])
def test_nothing_of_elsewhere_is_named(value):
    spec = {"mark": "point", "data": {"values": []}}
    with draw.remembering({}) as known:
        draw.svg(spec, "p1", "")
    evil = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
        f'<rect width="9" height="9" fill="red" stroke="{value}" clip-path="{value}"/></svg>'
    )
    with draw.remembering(dict.fromkeys(known, evil)):
        drawn = draw.svg(spec, "p1", "")
    assert 'fill="red"' in drawn
    assert "evil" not in drawn


def test_what_is_kept_wrongly_costs_the_picture_alone():
    run = made_runs.everything()
    spec = {"mark": "point", "data": {"values": []}}
    with draw.remembering({}) as known:
        page.render(run)
        draw.svg_file(spec)
    deep = "<g>" * 5000 + "</g>" * 5000
    for text in ("<svg/>", f'<svg width="1" height="1">{deep}</svg>', "?", "é", "\ud800"):
        with draw.remembering(dict.fromkeys(known, text)):
            assert "<h1" in page.render(run)
            with pytest.raises(draw.CannotDrawError):
                draw.svg_file(spec)
            assert draw.png(spec).startswith(b"\x89PNG")
    with draw.remembering({}), pytest.raises(draw.CannotDrawError):
        draw.svg({"mark": object()}, "p1", "no JSON")


@pytest.fixture
def cold():
    """Nothing that draws was started before."""
    publishing._started.cache_clear()
    yield
    publishing._started.cache_clear()


def test_what_draws_is_started_for_pages_alone_and_once(drawn, cold):
    assert warm_up(["json", "md"]) is None
    assert not drawn
    thread = warm_up(["json", "html"])
    thread.join(timeout=60)
    assert len(drawn) == 4
    assert thread.daemon
    assert warm_up(["html"]) is thread


def test_a_library_that_cannot_be_started_is_heard_of_by_the_page_alone(monkeypatch, capfd, cold):
    def broken(spec, **options):
        raise ValueError("no engine")

    monkeypatch.setattr(vl_convert, "vegalite_to_svg", broken)
    warm_up(["html"]).join(timeout=60)
    assert capfd.readouterr() == ("", "")
