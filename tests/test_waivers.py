"""Waivers are read strictly, count for a while, and say loudly where they are moot."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from modelchecks import load_suite, run_suite
from modelchecks.errors import SuiteError
from modelchecks.load import read_suite
from modelchecks.report import record
from modelchecks.report.write import FORMATS, render
from modelchecks.results import Waived
from modelchecks.suite import Suite
from modelchecks.waivers import advice, strays
from tests.conftest import Bench

BAD = "accuracy_drop[bad]"
TWO = "- accuracy_drop: {max_drop: 5pp}\n- accuracy_floor: {split: live, min_accuracy: 50%}"
TODAY = date(2026, 11, 25)
GOLDEN = Path(__file__).parent / "golden" / "run-v1.json"


def grant(bench: Bench, *entries: str, name: str = "live.waivers.yaml") -> Path:
    items = "".join(f"  - {{{entry}}}\n" for entry in entries)
    path = bench.folder / name
    path.write_text(f"waivers:\n{items}", encoding="utf-8")
    return path


def entry(case: str = BAD, days: str = "until: 2999-12-31") -> str:
    return f"case: '{case}', owner: anna, reason: told, {days}"


def suite(bench: Bench, checks: str = TWO) -> Suite:
    return load_suite(bench.suite(checks))


# Reading.


def test_a_waiver_without_an_end_counts_thirty_days_from_its_first(bench: Bench) -> None:
    grant(bench, entry(days="since: 2026-11-24"), entry("accuracy_drop[good]", "until: 2026-12-01"))
    first, second = suite(bench).waivers
    assert (first.since, first.until) == (date(2026, 11, 24), date(2026, 12, 24))
    assert (second.since, second.until) == (None, date(2026, 12, 1))
    assert (first.case, first.owner, first.reason) == (BAD, "anna", "told")
    assert first.location.path.endswith("live.waivers.yaml")
    assert [found.location.line for found in (first, second)] == [2, 3]


def test_a_suite_without_waivers_has_none(bench: Bench) -> None:
    assert suite(bench).waivers == ()
    (bench.folder / "live.waivers.yaml").write_text("waivers:\n")
    assert suite(bench).waivers == ()


def test_a_python_suite_has_its_waivers_beside_it_as_well(bench: Bench) -> None:
    bench.suite(TWO, name="base")
    (bench.folder / "own.suite.py").write_text(
        f"from modelchecks import load_suite\nsuite = load_suite({str(bench.folder)!r} + "
        "'/base.suite.yaml')\n"
    )
    grant(bench, entry(), name="own.waivers.yml")
    found = load_suite(bench.folder / "own.suite.py")
    assert [waiver.case for waiver in found.waivers] == [BAD]


def test_every_mistake_of_suite_and_waivers_is_told_at_once(bench: Bench) -> None:
    grant(
        bench,
        "case: 'accuracy_drop[bda]', owner: anna, reason: told, until: 2026-12-01",
        f"case: '{BAD}', owner: ' ', reason: told, until: tomorrow",
        f"case: '{BAD}', onwer: anna, reason: told, until: 2026-12-01",
        f"case: '{BAD}', owner: anna, reason: told",
        f"case: '{BAD}', owner: anna, reason: 7, since: 2026-12-02, until: 2026-12-01",
        entry(),
        entry(),
    )
    found, problems = read_suite(bench.suite(TWO))
    assert found is None
    told = [(problem.line, problem.message) for problem in problems]
    wanted = [
        (2, "no case of the suite is 'accuracy_drop[bda]'; did you mean 'accuracy_drop[bad]'?"),
        (3, "`owner` is empty; say who answers for it"),
        (3, "`until` is 'tomorrow'; write a date as 2026-12-31"),
        (4, "a waiver needs `owner:`, who answers for it"),
        (4, "a waiver has no key 'onwer'; did you mean 'owner'?"),
        (5, "a waiver needs `until:`, its last day, or `since:`, from which it counts 30 days"),
        (6, "`reason` must be text, not '7'; quote it if meant"),
        (6, "`until` 2026-12-01 lies before `since` 2026-12-02"),
        (8, "accuracy_drop[bad] is waived twice (first in line 7)"),
    ]
    assert told == wanted
    # A suite that cannot be read does not hide them, but for what only a suite tells.
    found, problems = read_suite(bench.suite("- accuracy_dorp"))
    assert found is None
    assert len(problems) == len(wanted)
    assert "accuracy_dorp" in problems[0].message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", None),
        ("[", "is not YAML"),
        ("- 1", "the file must be a mapping"),
        ("waiver: []", "the file has no key 'waiver'"),
        ("waivers: all", "`waivers` must be a list"),
        ("waivers: [all]", "a waiver must be a mapping"),
        ("waivers: &a [*a]", "nests more than"),
        ("waivers: [{case: 1}]", "`case` must be text"),
        (
            "waivers: [{case: 'accuracy_drop[bad]', owner: a, until: 2026-12-01T10:00:00}]",
            "write a date",
        ),
    ],
)
def test_a_file_that_is_no_list_of_waivers_makes_the_suite_unusable(
    bench: Bench, text: str, told: str | None
) -> None:
    (bench.folder / "live.waivers.yaml").write_text(text)
    found, problems = read_suite(bench.suite(TWO))
    if told is None:
        assert found is not None
        assert not problems
    else:
        assert found is None
        assert any(told in problem.message for problem in problems)


def test_a_file_that_is_no_text_makes_the_suite_unusable(bench: Bench) -> None:
    (bench.folder / "live.waivers.yaml").write_bytes(b"waivers: \xff")
    with pytest.raises(SuiteError, match="is not UTF-8 text"):
        suite(bench)


# What is said of a sound file.


@pytest.mark.parametrize(
    ("days", "severity", "told"),
    [
        ("until: 2026-11-24", "error", "ended on 2026-11-24"),
        ("until: 2026-11-25", None, ""),
        ("since: 2026-11-26, until: 2026-12-01", "warning", "does not count before 2026-11-26"),
        ("until: 2027-02-23", None, ""),
        ("until: 2027-02-24", "warning", "more than 90 days"),
        ("since: 9999-12-30", "warning", "does not count before"),
    ],
)
def test_a_waiver_that_has_ended_is_an_error(
    bench: Bench, days: str, severity: str | None, told: str
) -> None:
    grant(bench, entry(days=days))
    found = list(advice(suite(bench), TODAY))
    assert [problem.severity for problem in found] == ([] if severity is None else [severity])
    assert all(told in problem.message and problem.line == 2 for problem in found)


def test_a_waiver_of_what_does_not_block_is_warned_of(bench: Bench) -> None:
    grant(bench, entry(days="until: 2026-12-01"))
    found = list(advice(suite(bench, "- accuracy_drop: {max_drop: 5pp}\n  severity: warn"), TODAY))
    assert [problem.message for problem in found] == [
        "accuracy_drop[bad] does not block, so its waiver changes nothing"
    ]


def test_a_waiver_file_that_no_suite_goes_by_is_warned_of(bench: Bench) -> None:
    bench.suite()
    for name in ("live.waivers.yaml", "live.waivers.yml", "lvie.waivers.yaml"):
        grant(bench, name=name)
    told = {Path(p.path).name: p.message for p in strays(bench.folder)}
    assert told == {
        "live.waivers.yml": "does not count, since live.waivers.yaml does",
        "lvie.waivers.yaml": (
            "no suite beside it is called lvie.suite.yaml, so nothing is waived by it"
        ),
    }


# Judging.


def test_a_waived_failure_is_approved_by_name_and_stays_a_failure_everywhere(bench: Bench) -> None:
    grant(bench, entry())
    run = run_suite(suite(bench))
    assert {v: d.verdict for v, d in run.decisions.items()} == {
        "good": "approved",
        "bad": "approved",
    }
    assert run.decisions["bad"].approved_with_waivers == (BAD,)
    assert run.decisions["good"].approved_with_waivers == ()
    (found,) = [result for result in run.results if result.case == BAD]
    assert found.status == "failed"
    assert found.waived == Waived("anna", "told", "2999-12-31")
    assert any(note.startswith(f"WAIVED: {BAD} failed") for note in run.notes)
    assert record.from_json(record.to_json(run)) == run
    written = record.to_json(run)
    assert written["schema_version"] == 1
    assert written["decisions"]["bad"]["approved_with_waivers"] == [BAD]
    waived = next(result["waived"] for result in written["results"] if result["case"] == BAD)
    assert waived == {"owner": "anna", "reason": "told", "until": "2999-12-31"}
    for name in FORMATS:
        if name in ("png", "svg", "badge"):
            # The picture is of accuracies; the badge is below.
            continue
        text = render(run, name).replace("\\", "")
        assert "waived" in text.lower()
        assert "2999-12-31" in text
        assert "anna" in text


def test_a_waiver_that_has_ended_changes_nothing(bench: Bench) -> None:
    grant(bench, entry(days="until: 2026-01-01"))
    run = run_suite(suite(bench))
    assert run.decisions["bad"].verdict == "blocked"
    assert all(result.waived is None for result in run.results)
    assert any("so its failure stands" in note and BAD in note for note in run.notes)


def test_a_waived_case_that_passes_is_told_loudly(bench: Bench) -> None:
    grant(bench, entry("accuracy_drop[good]"))
    run = run_suite(suite(bench))
    assert run.decisions["good"].verdict == "approved"
    assert run.decisions["good"].approved_with_waivers == ()
    assert any(note.startswith("WAIVER NOT NEEDED: accuracy_drop[good]") for note in run.notes)


def test_what_errored_cannot_be_waived(bench: Bench) -> None:
    (bench.folder / "live.parquet").unlink()
    grant(bench, entry(), entry("accuracy_floor[bad]"))
    run = run_suite(suite(bench))
    assert run.decisions["bad"].verdict == "undecided"
    assert sum("only what failed can be waived" in note for note in run.notes) == 2


def test_a_variant_of_which_only_waived_cases_are_left_is_undecided(bench: Bench) -> None:
    grant(bench, entry())
    run = run_suite(suite(bench, "- accuracy_drop: {max_drop: 5pp}"))
    assert run.decisions["bad"].verdict == "undecided"


def test_records_of_before_there_were_waivers_are_read() -> None:
    old = record.read(GOLDEN)
    assert all(decision.approved_with_waivers == () for decision in old.decisions.values())
    assert all(result.waived is None for result in old.results)
    assert "waived" not in GOLDEN.read_text()
    assert record.from_json(record.to_json(old)) == old


@pytest.mark.parametrize(
    "waived", [{"owner": "anna"}, "anna", {"owner": 1, "reason": "", "until": ""}]
)
def test_a_record_with_half_a_waiver_is_damaged(waived: object) -> None:
    value = record.to_json(record.read(GOLDEN))
    value["results"][0]["waived"] = waived
    with pytest.raises(record.RecordError, match="is damaged"):
        record.from_json(value)


def test_a_suite_built_in_python_may_bring_its_own(bench: Bench) -> None:
    grant(bench, entry())
    granted = suite(bench)
    (bench.folder / "live.waivers.yaml").unlink()
    run = run_suite(replace(suite(bench), waivers=granted.waivers))
    assert run.decisions["bad"].approved_with_waivers == (BAD,)
