"""Runs as GitHub shows them: annotations at lines, a step summary, a comment, outputs of a step.

Every limit here is GitHub's: a step summary above 1 MiB is dropped whole, a comment ends at 65,536
characters, a step shows 10 annotations of a kind. Where something is left out, the text says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelchecks.report.markdown import escape, render
from modelchecks.report.summary import findings, sentence
from modelchecks.report.text import one_line
from modelchecks.results import Result, Run

SUMMARY_BYTES = 1024 * 1024
COMMENT_CHARACTERS = 65_536
ANNOTATIONS = 10
MARKER = "<!-- modelchecks -->"
"""Hidden in a comment, so that the next one takes its place."""
_LEFT_OUT = "\n\n_More than fits here was left out; the report has all of it._\n"


def commands(runs: Sequence[Run]) -> list[str]:
    """Return workflow commands for what did not pass, worst first, each at its suite's line."""
    found = [(result, run) for run in runs for result in findings(run) if not result.structural]
    # findings() puts the worst of a run first; of several runs, the blocking ones come first.
    found.sort(key=lambda pair: (pair[0].severity != "block", pair[0].waived is not None))
    lines = [_command(result) for result, _ in found[:ANNOTATIONS]]
    if len(found) > ANNOTATIONS:
        more = f"{len(found) - ANNOTATIONS + 1} more findings are in the report"
        lines[-1] = f"::notice title=modelchecks::{more}"
    return lines


def _command(result: Result) -> str:
    level = "error" if result.severity == "block" and result.waived is None else "warning"
    if result.severity == "info":
        level = "notice"
    place = f"file={_value(result.location.path)},line={result.location.line}"
    title = _value(f"{result.case} {result.status}{', waived' if result.waived else ''}")
    return f"::{level} {place},title={title}::{_data(result.message)}"


def _data(text: str) -> str:
    return one_line(text).replace("%", "%25")


def _value(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(runs: Iterable[Run], limit: int = SUMMARY_BYTES) -> str:
    """Return the Markdown of all runs, in less than `limit` bytes."""
    text = "\n".join(map(render, runs))
    if len(text.encode()) < limit:
        return text
    room = limit - len(_LEFT_OUT.encode()) - 1
    # Whole lines only: half a row of a table would spoil it, half a character the text.
    kept = text.encode()[:room].decode(errors="ignore").rpartition("\n")[0]
    return kept + _LEFT_OUT


def comment(runs: Sequence[Run]) -> str:
    """Return the one comment on a pull request: verdicts first, and the marker that finds it."""
    heads = [
        f"- **{escape(str(run.suite.get('name', '')))}**: {escape(sentence(run, decision))}"
        for run in runs
        for decision in run.decisions.values()
    ]
    body = "\n".join([MARKER, "## May it go live?", "", *(heads or ["- Nothing was judged."]), ""])
    room = COMMENT_CHARACTERS - len(body) - len(_LEFT_OUT) - 100
    if room < 0:
        # Verdicts of hundreds of variants: the report has them.
        return body[: COMMENT_CHARACTERS - len(_LEFT_OUT)].rpartition("\n")[0] + _LEFT_OUT
    text = "\n".join(map(render, runs))
    if len(text) > room:
        text = text[:room].rpartition("\n")[0] + _LEFT_OUT
    return f"{body}\n<details><summary>Details</summary>\n\n{text}\n</details>\n"


def verdict(runs: Sequence[Run]) -> str:
    """Return the worst verdict of all runs in one word; `undecided` where there is none."""
    seen = {decision.verdict for run in runs for decision in run.decisions.values()}
    if not runs or any(not run.decisions for run in runs):
        seen.add("undecided")
    return next(word for word in ("blocked", "undecided", "approved") if word in seen)
