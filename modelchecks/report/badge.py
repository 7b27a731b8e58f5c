"""A badge for a README: the endpoint JSON of shields.io."""

from __future__ import annotations

import json
from collections import Counter

from modelchecks.report.text import one_line
from modelchecks.results import Run


def render(run: Run) -> str:
    """Return the badge: how many variants are approved, blocked, undecided."""
    counts: Counter[str] = Counter(decision.verdict for decision in run.decisions.values())
    words = ("approved", "blocked", "undecided")
    message = ", ".join(f"{counts[word]} {word}" for word in words if counts[word])
    if not message:
        color = "lightgrey"
    elif counts["blocked"]:
        color = "red"
    else:
        color = "yellow" if counts["undecided"] else "brightgreen"
    badge = {
        "schemaVersion": 1,
        "label": one_line(str(run.suite.get("name", ""))) or "modelchecks",
        "message": message or "nothing judged",
        "color": color,
    }
    return json.dumps(badge, ensure_ascii=False, indent=2) + "\n"
