"""The Markdown summary: what a pull request or a step summary shows."""

from __future__ import annotations

import html
import re

from modelchecks.report.matrix import cell, matrix
from modelchecks.report.summary import GLYPHS, accuracy_rows, findings, sentence
from modelchecks.report.text import one_line
from modelchecks.results import Run

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~>@:$-])")
# GitHub looks for mentions, issues and addresses after it has removed the backslashes, so that
# only a (zero-width) space keeps a name from notifying a stranger or becoming a link.
_LINKED = re.compile(r"@(?=\w)|#(?=\w)|:(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
_NUMBERED = re.compile(r"^(\d+)\.")


def escape(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, HTML, link or mention, one line.

    >>> escape("a|b <script> *x*")
    'a\\\\|b &lt;script&gt; \\\\*x\\\\*'
    """
    flat = _LINKED.sub("\\g<0>\u200b", " ".join(one_line(text).split()))
    return _NUMBERED.sub(r"\1\\.", _SPECIAL.sub(r"\\\1", html.escape(flat, quote=False)))


def render(run: Run, picture: str | None = None) -> str:
    """Return the summary: verdicts, accuracies, findings, and where it all comes from.

    `picture` is a file of the key plot, beside the summary.
    """
    lines = [f"## modelchecks: {escape(str(run.suite.get('name', '')))}", ""]
    lines += [f"- {escape(sentence(run, decision))}" for decision in run.decisions.values()]
    lines += [
        "",
        "| variant | offline accuracy % | live accuracy % | drop pp | verdict |",
        "|---|---|---|---|---|",
    ]
    for row in accuracy_rows(run):
        waivers = " with waivers" if run.decisions[row.variant].approved_with_waivers else ""
        cells = (row.variant, row.offline, row.live, row.drop, row.verdict + waivers)
        lines.append("| " + " | ".join(escape(cell) for cell in cells) + " |")
    lines += ["", *_checks(run)]
    if picture is not None:
        lines += ["", f"![Live against offline accuracy of each variant]({picture})"]
    found = findings(run)
    if found:
        lines += ["", "### Findings", "", "| | case | severity | message | declared at |"]
        lines.append("|---|---|---|---|---|")
    for result in found:
        place = f"{result.location.path}:{result.location.line}"
        message = result.message
        if result.waived is not None:
            waived = result.waived
            message += f" (waived until {waived.until} by {waived.owner}: {waived.reason})"
        texts = (result.case, result.severity, message, place)
        row_text = " | ".join(escape(text) for text in texts)
        word = cell(result)
        lines.append(f"| {GLYPHS[word]} {escape(word)} | {row_text} |")
    passed = sum(result.status == "passed" for result in run.results)
    lines += ["", f"{passed} of {len(run.results)} cases passed.", ""]
    lines += [f"- {escape(note)}" for note in run.notes]
    lines += ["", f"Run {escape(run.run_id)}, {escape(run.finished)}.", ""]
    return "\n".join(lines)


def _checks(run: Run) -> list[str]:
    """Return checks as rows and variants as columns."""
    lines = ["| check | " + " | ".join(escape(variant) for variant in run.decisions) + " |"]
    lines.append("|---" * (len(run.decisions) + 1) + "|")
    for name, row in matrix(run):
        words = [f"{GLYPHS[cell(found)]} {escape(cell(found))}" for found in row]
        lines.append(f"| {escape(name)} | " + " | ".join(words) + " |")
    return lines
