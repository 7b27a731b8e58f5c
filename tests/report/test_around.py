"""What stands around the page: trends, index, comparison, picture, badge, summary."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from xml.etree import ElementTree

import made_runs
import pytest
from PIL import Image

from modelchecks import archive, publish
from modelchecks.report import badge, compare, markdown, page, picture, record, trends
from modelchecks.report.figures.gallery import Gallery
from modelchecks.report.write import FILES, FORMATS, write


def run(live=0.81, *, number=1, status="failed", **facts):
    made = made_runs.run(
        made_runs.drop("baseline", 0.92, live, status),
        made_runs.result("schema[data]"),
        names=("baseline",),
    )
    finished = f"2026-11-{number:02d}T10:00:00.000+00:00"
    return replace(made, run_id=f"run-{number}", finished=finished, **facts)


@pytest.fixture
def past(tmp_path):
    place = tmp_path / "history.sqlite"
    for number in range(1, 5):
        archive.add(place, run(0.80 + number / 100, number=number))
    return archive.past(place)


# Trends


def test_trends_show_every_run_with_its_interval(past):
    section = trends.section(past, Gallery())
    verdicts, drop = section.figures
    latest, *_ = verdicts.rows
    assert [cell.text for cell in latest] == ["2026-11-04 10:00", "blocked", "abc"]
    assert drop.title == "live-drop"
    assert [(row[0].text, row[2].value) for row in drop.rows] == [
        (f"2026-11-{n:02d} 10:00", past[n - 1].estimates[0].value) for n in range(1, 5)
    ]
    assert drop.rows[0][2].text == "11.0 [9.8, 12.2]"
    assert drop.svg.count("<title>") == 4
    assert "stroke-dasharray" in drop.svg  # the threshold


def test_one_run_is_no_trend(past):
    assert trends.section(past[:1], Gallery()) is None
    assert trends.section([], Gallery()) is None
    assert '<section id="trends"' in page.render(run(), past)
    assert '<section id="trends"' not in page.render(run(), past[:1])


def test_runs_of_one_minute_are_told_apart(past):
    assert trends.labels([past[0]] * 3) == [
        "2026-11-01 10:00", "2026-11-01 10:00 (2)", "2026-11-01 10:00 (3)"]  # fmt: skip


# Publishing


def test_reports_history_and_index_are_written(tmp_path):
    for number in (1, 2):
        paths, problems = publish.publish(run(number=number), tmp_path / "made-gate", FORMATS)
        assert problems == []
        assert set(paths) == set(FORMATS)
    assert {path.name for path in (tmp_path / "made-gate").iterdir()} == set(FILES.values())
    assert [past.run_id for past in archive.past(tmp_path / "history.sqlite")] == ["run-1", "run-2"]
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="./made-gate/index.html"' in index
    assert "live-drop over runs" in index
    shown = (tmp_path / "made-gate" / "index.html").read_text(encoding="utf-8")
    assert "The last 2 runs" in shown


def test_the_policy_or_a_flag_says_where_the_history_is(tmp_path):
    policy = {"history": "kept/past.sqlite"}
    suite = {"name": "made-gate", "path": str(tmp_path / "suites" / "x.yaml"), "policy": policy}
    publish.publish(run(suite=suite), tmp_path / "reports" / "a", ["json"])
    assert (tmp_path / "suites" / "kept" / "past.sqlite").is_file()
    publish.publish(run(suite=suite), tmp_path / "reports" / "a", ["json"], tmp_path / "flag.db")
    assert (tmp_path / "flag.db").is_file()
    assert not (tmp_path / "reports" / "history.sqlite").exists()
    assert not (tmp_path / "reports" / "index.html").exists()


def test_a_broken_history_is_told_and_the_reports_are_written(tmp_path):
    (tmp_path / "history.sqlite").write_bytes(b"no database" * 99)
    paths, problems = publish.publish(run(), tmp_path / "made-gate", FORMATS)
    assert set(paths) == set(FORMATS)
    (problem,) = problems
    assert problem.startswith("this run is not in the history: ")
    assert (tmp_path / "index.html").is_file()


def test_the_index_survives_damaged_records_and_hostile_folders(tmp_path):
    write(run(), tmp_path / "a b'\"><script>", ["json", "html"])
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text("{")
    write(made_runs.hostile(), tmp_path / "hostile", ["json"])
    publish.publish(run(), tmp_path / "made-gate", ["json", "html"])
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert index.count("<script") == 1
    assert "is not strict JSON" in index
    assert 'href="./a%20b%27%22%3E%3Cscript%3E/index.html"' in index


# Comparison


def test_a_comparison_says_what_changed():
    before = run(0.91, status="passed")
    after = run(0.81, number=2, variants={"baseline": {"weights_sha256": "9" * 64}})
    results = (*after.results[:1], made_runs.result("latency[baseline]"))
    found = compare.compare(before, replace(after, results=results))
    assert found.verdicts == (("baseline", "approved", "blocked"),)
    assert {(c.case, c.kind) for c in found.changes} == {
        ("live-drop[baseline]", "worse"),
        ("latency[baseline]", "new"),
        ("schema[data]", "gone"),
    }
    assert [what for what, *_ in found.inputs] == ["variant baseline weights_sha256"]
    text = compare.text(found)
    assert "baseline: approved -> blocked" in text
    assert "live-drop[baseline]: passed -> failed" in text
    assert "1.0 pp [-0.2, 2.2] -> 11.0 pp [9.8, 12.2]" in text
    html = compare.render(found)
    assert 'value="0.010000000000000009"' in html
    assert 'value="0.10999999999999999"' in html


def test_a_variant_that_is_new_was_not_judged_before():
    before = replace(run(0.91, status="passed"), decisions={})
    html = compare.render(compare.compare(before, run(0.91, status="passed")))
    assert "not judged → <b>approved</b>" in html


def test_a_run_compared_with_itself_is_the_same():
    found = compare.compare(run(), run())
    assert {change.kind for change in found.changes} == {"same"}
    assert "the same" in compare.text(found)
    moved = compare.compare(run(0.81), run(0.80))
    assert [change.kind for change in moved.changes] == ["moved", "same"]


def test_hostile_texts_do_nothing_in_a_comparison():
    made = made_runs.hostile()
    changed = replace(made, results=made.results[1:], run_id="x", splits={})
    text = compare.text(compare.compare(made, changed))
    assert all(char.isprintable() or char == "\n" for char in text)
    html = compare.render(compare.compare(made, changed))
    assert html.count("<script") == 1
    assert "<img" not in html


# Picture, badge, summary


def test_the_key_plot_is_a_picture_of_its_own():
    made = made_runs.everything()
    image = Image.open(io.BytesIO(picture.png(made)))
    assert image.format == "PNG"
    assert image.getpixel((0, 0))[:3] == (255, 255, 255)
    root = ElementTree.fromstring(picture.svg(made))
    texts = " ".join(text for text in root.itertext())
    for name in (*made_runs.VARIANTS, "nothing lost", "5 pp lost"):
        assert name in texts
    assert picture.svg(made) == picture.svg(made)
    without = made_runs.run(made_runs.result("schema[data]"))
    assert (picture.png(without), picture.svg(without)) == (b"", "")


def test_a_summary_shows_the_picture_that_is_beside_it(tmp_path):
    write(run(), tmp_path, ["md", "png"])
    assert "(accuracy.png)" in (tmp_path / "summary.md").read_text()
    write(run(), tmp_path, ["md"])
    assert "accuracy.png" not in (tmp_path / "summary.md").read_text()
    write(made_runs.run(made_runs.result("schema[data]")), tmp_path / "b", FORMATS)
    assert not (tmp_path / "b" / "accuracy.png").exists()
    assert "accuracy.png" not in (tmp_path / "b" / "summary.md").read_text()
    assert "accuracy.png" not in markdown.render(run())


@pytest.mark.parametrize(
    ("results", "message", "color"),
    [
        ([("a[baseline]", "passed")], "1 approved", "brightgreen"),
        ([("a[baseline]", "failed")], "1 blocked", "red"),
        ([("a[baseline]", "inconclusive")], "1 undecided", "yellow"),
        ([], "1 undecided", "yellow"),
    ],
)
def test_a_badge_says_the_verdicts(results, message, color):
    made = made_runs.run(*(made_runs.result(*r) for r in results), names=("baseline",))
    assert json.loads(badge.render(made)) == {
        "schemaVersion": 1,
        "label": "made-gate",
        "message": message,
        "color": color,
    }


def test_a_badge_of_nothing_is_no_approval():
    told = json.loads(badge.render(made_runs.run(names=())))
    assert (told["message"], told["color"]) == ("nothing judged", "lightgrey")


def test_the_new_facts_of_a_suite_are_recorded_and_read_again(bench):
    from modelchecks import load_suite, run_suite

    path = bench.suite("- accuracy_drop: {max_drop: 5pp}\n- prediction_drift: {reference: offline}")
    made = run_suite(load_suite(path))
    again = record.from_json(json.loads(record.dumps(made)))
    assert again.suite["text"] == path.read_text()
    assert again.suite["about"]["accuracy_drop"].startswith("The variant's accuracy falls by no")
    drop = next(r for r in again.results if r.case == "accuracy_drop[bad]")
    # 2,000 rows of four classes: what the confusion matrices say, recomputed from the logs.
    import pyarrow.parquet as pq

    tables = {name: pq.read_table(bench.folder / f"{name}.parquet") for name in ("offline", "live")}
    for row in drop.details["per_class"]:
        for side, log in tables.items():
            label, said = log["label"].to_numpy(), log["bad"].to_numpy()
            of_class = label == int(row["name"])
            assert row[side]["n"] == of_class.sum()
            assert row[side]["value"] == pytest.approx((said == label)[of_class].mean())
        gap = row["offline"]["value"] - row["live"]["value"]
        assert row["drop"] == pytest.approx(gap)
    assert len(drop.details["confusions"]) == 16
    for cell in drop.details["confusions"]:
        for side, log in tables.items():
            label, said = log["label"].to_numpy(), log["bad"].to_numpy()
            share = (said[label == int(cell["label"])] == int(cell["predicted"])).mean()
            assert cell[side] == pytest.approx(share)
    path.write_text(path.read_text() + "# changed\n")
    shown = next(r for r in again.results if r.check == "prediction_drift")
    assert shown.details["splits"] == {"reference": "offline", "current": "live"}
