"""JUnit XML of a run, for CI systems that read no pytest: one test case per case.

A passed case is a test case without children. Of what did not pass, a structural
`not_applicable` and a waived failure are skipped, a case that does not block says so in its output,
`errored` is an error, and anything else a failure. A case that a decision misses is an error of its
own, so that no file of a run without an approval is green because something was not asked.

What was measured stands in properties of the test suite, named `CASE.estimate` and so on: the
schema that pytest tests its own files against knows properties of a suite only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree

from modelchecks.report.text import clean
from modelchecks.results import Result, Run


def render(run: Run) -> str:
    """Return the run as JUnit XML; what is not passed and not structural is a failure or error."""
    name = clean(str(run.suite.get("name", "")))
    suite = ElementTree.Element("testsuite", name=name, timestamp=clean(run.started))
    tallies = Counter({"tests": 0, "failures": 0, "errors": 0, "skipped": 0})

    def case(check: str, case_id: str) -> ElementTree.Element:
        tallies["tests"] += 1
        return ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"{name}.{clean(check)}",
            name=clean(case_id),
            time="0",
        )

    measured = [pair for result in run.results for pair in properties(result)]
    if measured:
        holder = ElementTree.SubElement(suite, "properties")
        for key, value in measured:
            ElementTree.SubElement(holder, "property", name=clean(key), value=clean(value))
    for result in run.results:
        _tell(result, case(result.check, result.case), tallies)
    for case_id, message in _missing(run):
        tallies["errors"] += 1
        element = case("missing", case_id)
        ElementTree.SubElement(element, "error", message=clean(message), type="missing")
    root = ElementTree.Element("testsuites")
    root.append(suite)
    for element in (suite, root):
        for key, count in tallies.items():
            element.set(key, str(count))
    del root.attrib["skipped"]  # the schema knows it of a suite only
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def properties(result: Result) -> list[tuple[str, str]]:
    """Return what a case measured, as (name, value) texts: estimate, interval, n and threshold.

    The interval is the two-sided 95 % one; interval and threshold are JSON.
    """
    found: dict[str, object] = {"status": result.status}
    if result.estimate is not None:
        seen = result.estimate
        found |= {"estimate": seen.value, "interval": [seen.low, seen.high], "n": seen.n}
        found["method"] = seen.method
    if result.threshold:
        found["threshold"] = dict(result.threshold)
    return [
        (f"{result.case}.{key}", value if isinstance(value, str) else json.dumps(value))
        for key, value in found.items()
    ]


def _tell(result: Result, case: ElementTree.Element, tallies: Counter[str]) -> None:
    message = clean(result.message)
    if result.status == "passed":
        return
    if result.status == "not_applicable" and result.structural:
        tallies["skipped"] += 1
        ElementTree.SubElement(case, "skipped", message=message)
        return
    if result.waived is not None:
        tallies["skipped"] += 1
        waived = result.waived
        said = f"failed, waived until {waived.until} by {waived.owner}: {waived.reason}. {message}"
        ElementTree.SubElement(case, "skipped", message=clean(said), type="waived")
        return
    place = clean(f"declared at {result.location.path}:{result.location.line}")
    if result.severity != "block":
        # A warning is no failure; it stays readable in the case's output.
        out = ElementTree.SubElement(case, "system-out")
        out.text = f"{result.severity}: {result.status}: {message}\n{place}"
        return
    tag, tally = ("error", "errors") if result.status == "errored" else ("failure", "failures")
    tallies[tally] += 1
    found = ElementTree.SubElement(case, tag, message=message, type=result.status)
    found.text = f"{message}\n{place}"


def _missing(run: Run) -> Iterator[tuple[str, str]]:
    """Yield (case id, message) of what decisions miss, once each."""
    found = {result.case for result in run.results}
    reasons = dict.fromkeys(case for d in run.decisions.values() for case in d.reasons)
    for case_id in reasons:
        if case_id not in found:
            yield case_id, "was not asked, so nothing that it blocks can be approved"
    for decision in run.decisions.values():
        if decision.verdict != "approved" and not decision.reasons:
            yield f"decision[{decision.variant}]", "no blocking check passed"
