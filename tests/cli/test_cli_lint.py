"""`modelchecks lint`: everything at once, thresholds that cannot be decided, waivers."""

from __future__ import annotations

import re

import pytest

EIGHT = """\
suite: eight
descripton: one
data:
  offline: {source: parqet, path: offline.parquet, label: label}
  live:    {source: parquet, path: live.parquet, labl: label}
  spare:   {source: parquet, path: spare.parquet}
variants:
  good: {model: "m:build"}
checks:
  - accuracy_dorp: {max_drop: 5pp}
  - accuracy_floor: {split: live, min_accuracy: 50}
    severity: blok
  - label_drift: {reference: offline, current: lvie}
  - prediction_drift: {reference: offline, current: live}
"""


def test_eight_mistakes_are_told_at_once_with_place_and_advice(bench, forked):
    (bench.folder / "eight.suite.yaml").write_text(EIGHT)
    done = forked("lint", "eight.suite.yaml", code=2)
    told = re.findall(r"^eight\.suite\.yaml:(\d+):(\d+): (.*)$", done.stdout, re.MULTILINE)
    wanted = [
        (2, 1, "did you mean 'description'?"),
        (4, 21, "did you mean 'parquet'?"),
        (5, 50, "did you mean 'label'?"),
        (6, 3, "no check uses split 'spare'; use it or remove it"),
        (8, 3, "needs `weights`"),
        (10, 5, "did you mean 'accuracy_drop'?"),
        (11, 49, "did you mean 50pp?"),
        (12, 15, "must be one of block, warn, info"),
        (13, 48, "did you mean 'live'?"),
    ]
    assert [(int(line), int(column)) for line, column, _ in told] == [w[:2] for w in wanted]
    for (_, _, message), (_, _, advice) in zip(told, wanted, strict=True):
        assert advice in message
    # Each shows its line, with a caret under the column.
    assert done.stdout.count("^\n") == len(wanted)
    assert done.stdout.endswith("eight.suite.yaml: 9 errors\n")
    assert done.stderr == ""


# Thresholds.


def expecting(bench, checks, offline="", live=""):
    path = bench.suite(checks)
    text = path.read_text()
    for name, number in (("offline", offline), ("live", live)):
        if number:
            text = re.sub(
                rf"(  {name}: {{.*)}}", rf"\1, expected_labels: {number}}}", text, count=1
            )
    path.write_text(text)


@pytest.mark.parametrize(
    ("checks", "offline", "live", "told"),
    [
        ("- accuracy_drop: {max_drop: 5pp}", 10000, 2000, None),
        (
            "- accuracy_drop: {max_drop: 5pp}",
            10000,
            100,
            r"accuracy_drop: a drop of at most 5 pp can hardly be shown with 100 labelled rows of "
            r"'live': a variant that loses nothing passes in \d+ % of such samples "
            r"\(accuracy 90 %\). About \d\d\d labelled rows of 'live' are needed",
        ),
        ("- accuracy_drop: {max_drop: 1pp}", "", 5, "a drop of at most 1 pp cannot be shown"),
        ("- accuracy_drop: {max_drop: 0}", 10000, 2000, "No practical number of rows of 'live'"),
        ("- accuracy_drop: {max_drop: 5pp}", 50, 100000, "more rows of 'offline' or a wider"),
        (
            "- accuracy_floor: {split: live, min_accuracy: 95%}",
            "",
            50,
            r"an accuracy of 95 % cannot be shown with 50 labelled rows: 50 right of 50 show "
            r"94.2 %. About \d+ labelled rows of 'live' are needed",
        ),
        (
            "- accuracy_floor: {split: live, min_accuracy: 90%}",
            "",
            100,
            r"an accuracy of 90 % can hardly be shown with 100 labelled rows, if the variant is "
            r"right in 95.0 % of them. About \d+ labelled rows",
        ),
        ("- accuracy_floor: {split: live, min_accuracy: 90%}", "", 1000, None),
        (
            "- accuracy_floor: {split: live, min_accuracy: 100%}",
            "",
            1000,
            "No practical number of rows of 'live' would do",
        ),
    ],
)
def test_a_threshold_that_the_expected_rows_can_hardly_decide(
    bench, forked, checks, offline, live, told
):
    rest = "\n- label_drift: {reference: offline, current: live}"
    expecting(bench, checks + rest, offline, live)
    done = forked("lint", "live.suite.yaml", code=0)
    assert done.stdout.endswith("live.suite.yaml: a valid suite, 2 checks\n")
    if told is None:
        assert "warning" not in done.stdout
    else:
        assert re.search(rf"^live\.suite\.yaml:9:3: warning: .*{told}", done.stdout, re.MULTILINE)


def test_the_number_that_is_advised_is_the_first_that_is_enough(bench, forked):
    def warned(rows):
        checks = "- accuracy_drop: {max_drop: 5pp}"
        expecting(bench, checks, offline=10000, live=rows)
        return forked("lint", "live.suite.yaml", code=0).stdout

    needed = int(re.search(r"About ([\d,]+) labelled", warned(50))[1].replace(",", ""))
    assert "warning" in warned(needed // 2)
    assert "warning" not in warned(needed)


@pytest.mark.parametrize("number", ["0", "many", "-5", "1.5"])
def test_a_number_of_rows_must_be_one(bench, forked, number):
    expecting(bench, "- accuracy_drop: {max_drop: 5pp}", live=number)
    assert "`expected_labels` must be" in forked("lint", "live.suite.yaml", code=2).stdout


# Waivers.


def test_a_waiver_that_has_ended_is_an_error_to_lint_and_no_obstacle_to_the_gate(bench, forked):
    bench.suite()
    (bench.folder / "live.waivers.yaml").write_text(
        "waivers:\n  - {case: 'accuracy_drop[bad]', owner: a, reason: b, until: 2026-01-01}\n"
    )
    (bench.folder / "lvie.waivers.yaml").write_text("waivers:\n")
    done = forked("lint", "live.waivers.yaml", code=2)
    assert done.stdout.splitlines() == [
        "live.waivers.yaml:2:3: the waiver of accuracy_drop[bad] ended on 2026-01-01; remove it, "
        "or mend the model",
        "      - {case: 'accuracy_drop[bad]', owner: a, reason: b, until: 2026-01-01}",
        "      ^",
        "live.suite.yaml: 1 error",
        "lvie.waivers.yaml:1:1: warning: no suite beside it is called lvie.suite.yaml, so nothing "
        "is waived by it",
    ]
    gate = forked("gate", "-q", "live.suite.yaml", code=1)
    assert "does not count today" in " ".join(gate.stdout.split())


def test_waive_writes_what_lint_accepts_and_the_gate_honours(bench, forked):
    bench.suite("- accuracy_drop: {max_drop: 5pp}\n- accuracy_floor: {min_accuracy: 50%}")
    forked("gate", "-q", "live.suite.yaml", code=1)
    asked = ("waive", "live.suite.yaml", "accuracy_drop[bad]", "--owner", "anna")
    done = forked(*asked, "--reason", "camera: new, #4711", code=0)
    assert "commit live.waivers.yaml" in done.stdout
    assert "1 waiver" in forked("lint", "live.suite.yaml", code=0).stdout
    gate = forked("gate", "-q", "live.suite.yaml", code=0)
    assert "bad may go live WITH WAIVERS" in gate.stdout
    assert "camera: new, #4711" in gate.stdout
    again = forked(*asked, "--reason", "more", code=2)
    assert "is waived already until" in again.stderr

    more = ("waive", "live.suite.yaml", "accuracy_drop[good]", "--owner", "b", "--reason", "c")
    forked(*more, "--until", "2999-12-31", code=0)
    text = (bench.folder / "live.waivers.yaml").read_text()
    assert text.count("- case:") == 2
    assert "until: 2999-12-31" in text
    assert "2 waivers" in forked("lint", "live.suite.yaml", code=0).stdout


@pytest.mark.parametrize(
    ("case", "rest", "told"),
    [
        ("accuracy_drop[bda]", [], "did you mean 'accuracy_drop[bad]'?"),
        ("label_drift[data]", [], "has severity warn and blocks nothing"),
        ("accuracy_drop[bad]", ["--until", "2020-01-01"], "lies in the past"),
        ("accuracy_drop[bad]", ["--until", "soon"], "'soon' does not match"),
    ],
)
def test_waive_refuses_what_would_not_count(bench, forked, case, rest, told):
    checks = "- accuracy_drop: {max_drop: 5pp}\n- label_drift: {reference: offline}"
    bench.suite(checks)
    asked = ("waive", "live.suite.yaml", case, "--owner", "anna", "--reason", "told", *rest)
    assert told in forked(*asked, code=2).stderr
    assert not (bench.folder / "live.waivers.yaml").exists()


def test_waive_leaves_a_file_alone_that_it_cannot_add_to(bench, forked):
    bench.suite()
    file = bench.folder / "live.waivers.yaml"
    before = "waivers: [{case: 'accuracy_drop[good]', owner: a, reason: b, until: 2999-12-31}]\n"
    file.write_text(before)
    asked = ("waive", "live.suite.yaml", "accuracy_drop[bad]", "--owner", "a", "--reason", "b")
    assert "by hand, under `waivers:`" in forked(*asked, code=2).stderr
    assert file.read_text() == before
