"""GitHub's limits are kept, whatever a run holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from modelchecks.report import record
from modelchecks.report.github import (
    ANNOTATIONS,
    COMMENT_CHARACTERS,
    MARKER,
    SUMMARY_BYTES,
    commands,
    comment,
    summary,
    verdict,
)
from modelchecks.results import Decision, Run, Waived

GOLDEN = record.read(Path(__file__).parent / "golden" / "run-v1.json")


def failing(count: int, message: str = "told", variants: int = 1) -> Run:
    """A run with many failures, each with the message."""
    one = next(result for result in GOLDEN.results if result.status == "failed")
    results = [
        replace(one, case=f"c{number}[bad]", message=f"{message} {number}")
        for number in range(count)
    ]
    decisions = {
        f"v{number}": Decision(f"v{number}", "blocked", ("c0[bad]",)) for number in range(variants)
    }
    return replace(GOLDEN, results=tuple(results), decisions=decisions)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 500])
def test_at_most_ten_annotations_and_what_is_left_out_is_counted(count: int) -> None:
    lines = commands([failing(count)])
    assert len(lines) == min(count, ANNOTATIONS)
    if count > ANNOTATIONS:
        assert lines[-1] == (
            f"::notice title=modelchecks::{count - ANNOTATIONS + 1} more findings are in the report"
        )


def test_a_blocking_failure_comes_before_warnings_of_another_run() -> None:
    warns = failing(20)
    warns = replace(warns, results=tuple(replace(r, severity="warn") for r in warns.results))
    lines = commands([warns, failing(1)])
    assert lines[0].startswith("::error ")
    assert all(line.startswith("::warning ") for line in lines[1:-1])


def test_a_waived_failure_is_a_warning_that_says_so() -> None:
    run = failing(1)
    waived = replace(run.results[0], waived=Waived("anna", "told", "2026-12-10"))
    (line,) = commands([replace(run, results=(waived,))])
    assert line.startswith("::warning ")
    assert "failed%2C waived" in line


def test_foreign_text_stays_one_command() -> None:
    (line,) = commands([failing(1, "a\r\n::error::b %0A,:")])
    assert "\n" not in line
    assert line.count("::error ") == 1
    assert "%250A" in line


@pytest.mark.parametrize("sign", ["x", "ä", "✓", "𝄞"])
def test_a_summary_stays_below_the_size_at_which_it_is_dropped_whole(sign: str) -> None:
    text = summary([failing(4000, sign * 400)])
    assert len(text.encode()) < SUMMARY_BYTES
    assert text.endswith("_More than fits here was left out; the report has all of it._\n")
    assert "left out" not in summary([failing(3)])


@pytest.mark.parametrize(("count", "variants"), [(3, 1), (3000, 3), (1, 3000), (0, 0)])
def test_a_comment_can_be_posted_and_found_again(count: int, variants: int) -> None:
    text = comment([failing(count, "x" * 300, variants)])
    assert text.startswith(MARKER)
    assert len(text) <= COMMENT_CHARACTERS
    assert ("left out" in text) == (count > 3 or variants > 3)
    if variants == 0:
        assert "Nothing was judged" in text


def test_the_verdict_of_several_runs_is_the_worst_and_of_none_is_no_approval() -> None:
    def of(*verdicts: str) -> Run:
        made = {v: Decision(v, v, ()) for v in verdicts}  # type: ignore[arg-type]
        return replace(GOLDEN, decisions=made)

    assert verdict([of("approved")]) == "approved"
    assert verdict([of("approved"), of("undecided")]) == "undecided"
    assert verdict([of("approved", "blocked"), of("undecided")]) == "blocked"
    assert verdict([]) == verdict([of("approved"), of()]) == "undecided"
