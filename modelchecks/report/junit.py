"""JUnit XML of a run, for CI systems that read no pytest: one test case per case."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from modelchecks.results import Run

# What XML 1.0 cannot hold, even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(run: Run) -> str:
    """Return the run as JUnit XML; what is not passed and not structural is a failure or error."""
    suite = ElementTree.Element("testsuite", name=_clean(str(run.suite.get("name", ""))))
    tallies = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for result in run.results:
        tallies["tests"] += 1
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=_clean(f"{run.suite.get('name', '')}.{result.check}"),
            name=_clean(result.case),
            time="0",
        )
        message = _clean(result.message)
        if result.status == "passed":
            continue
        if result.status == "not_applicable":
            tallies["skipped"] += 1
            ElementTree.SubElement(case, "skipped", message=message)
        elif result.severity != "block":
            # A warning is no failure; it stays readable in the case's output.
            out = ElementTree.SubElement(case, "system-out")
            out.text = f"{result.severity}: {result.status}: {message}"
        elif result.status == "errored":
            tallies["errors"] += 1
            ElementTree.SubElement(case, "error", message=message, type=result.status)
        else:
            tallies["failures"] += 1
            ElementTree.SubElement(case, "failure", message=message, type=result.status)
    for key, count in tallies.items():
        suite.set(key, str(count))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
