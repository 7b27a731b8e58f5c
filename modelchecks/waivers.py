"""`NAME.waivers.yaml` beside `NAME.suite.yaml` → waivers, with every problem at its place.

```yaml
waivers:
  - case: accuracy_drop[curriculum]      # the case id, as every report prints it
    owner: anna@example.org              # who answers for it
    reason: camera B is replaced on 10 December, ticket 4711
    since: 2026-11-24                    # counts from here; without `until`, for 30 days
    until: 2026-12-10                    # the last day on which it counts
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import yaml

from modelchecks import SUITE_SUFFIXES
from modelchecks.errors import Problem, did_you_mean
from modelchecks.fields import INVALID, Reader, is_null, shown
from modelchecks.results import Location, Result, Severity
from modelchecks.suite import Suite, Waiver

SUFFIXES = (".waivers.yaml", ".waivers.yml")
DAYS = 30
"""How long a waiver counts that says since when and not until when."""
LONG = 90
"""A waiver that counts for more days than this, from today, is a decision in disguise."""
_KEYS = ("case", "owner", "reason", "since", "until")


def stem(suite: Path) -> str:
    """Return what the names of a suite file and of its waivers begin with.

    >>> stem(Path("suites/live.suite.yaml"))
    'live'
    """
    known = next((suffix for suffix in SUITE_SUFFIXES if suite.name.endswith(suffix)), None)
    return suite.stem if known is None else suite.name.removesuffix(known)


def waiver_file(suite: Path) -> Path | None:
    """Return the file that holds a suite's waivers, or None where there is none.

    Where both spellings of the name are there, the second is a problem that `read` reports.
    """
    paths = [suite.with_name(stem(suite) + suffix) for suffix in SUFFIXES]
    return next((path for path in paths if path.is_file()), None)


def read(reader: Reader, root: yaml.Node, cases: Mapping[str, Severity] | None) -> list[Waiver]:
    """Return the waivers of a file's tree; its problems are reported to the reader.

    `cases` are the suite's case ids with their severity; None where the suite is not known.
    """
    items = reader.mapping(root, "the file")
    for name, (key, _) in items.items():
        if name != "waivers":
            reader.report(key, f"the file has no key {name!r}; it has `waivers:`, a list")
    if "waivers" not in items:
        if isinstance(root, yaml.MappingNode):
            reader.report(root, "the file needs `waivers:`, a list")
        return []
    if is_null(items["waivers"][1]):
        return []
    found: dict[str, Waiver] = {}
    for node in reader.sequence(items["waivers"][1], "`waivers`"):
        waiver = _waiver(reader, node, cases)
        if waiver is None:
            continue
        if waiver.case in found:
            line = found[waiver.case].location.line
            reader.report(node, f"{waiver.case} is waived twice (first in line {line})")
        found.setdefault(waiver.case, waiver)
    return list(found.values())


def _waiver(reader: Reader, node: yaml.Node, cases: Mapping[str, Severity] | None) -> Waiver | None:
    before = len(reader.problems)
    items = reader.mapping(node, "a waiver")
    if not isinstance(node, yaml.MappingNode):
        return None
    for name, (key, _) in items.items():
        if name not in _KEYS:
            reader.report(key, f"a waiver has no key {name!r}{did_you_mean(name, _KEYS)}")
    texts = {}
    for name, why in (
        ("case", "which case it is for"),
        ("owner", "who answers for it"),
        ("reason", "why the failure may pass"),
    ):
        if name not in items:
            reader.report(node, f"a waiver needs `{name}:`, {why}")
            continue
        place = items[name][1]
        text = reader.value(place, str, f"`{name}`")
        if text is not INVALID and not text.strip():
            text = reader.report(place, f"`{name}` is empty; say {why}")
        texts[name] = text
    case = texts.get("case", INVALID)
    if case is not INVALID and cases is not None and case not in cases:
        hint = "" if not cases else did_you_mean(case, list(cases))
        reader.report(items["case"][1], f"no case of the suite is {case!r}{hint}")
    since, until = _days(reader, node, items)
    if until is None or len(reader.problems) > before:
        return None
    at = Location(reader.path, node.start_mark.line + 1)
    return Waiver(case, texts["owner"], texts["reason"], until, since, at)


def _days(
    reader: Reader, node: yaml.Node, items: Mapping[str, tuple[yaml.Node, yaml.Node]]
) -> tuple[date | None, date | None]:
    """Return the first day of a waiver, None where it is not given, and the last."""
    since = _date(reader, items["since"][1], "since") if "since" in items else None
    until = _date(reader, items["until"][1], "until") if "until" in items else None
    if "until" not in items:
        if "since" not in items:
            reader.report(
                node,
                "a waiver needs `until:`, its last day, or `since:`, from which it counts "
                f"{DAYS} days",
            )
        elif since is not None:
            until = since + min(timedelta(days=DAYS), date.max - since)
    elif since is not None and until is not None and until < since:
        reader.report(items["until"][1], f"`until` {until} lies before `since` {since}")
    return since, until


def _date(reader: Reader, node: yaml.Node, name: str) -> date | None:
    value = reader.plain(node)
    if type(value) is date:
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    reader.report(node, f"`{name}` is {shown(node)}; write a date as 2026-12-31")
    return None


def advice(suite: Suite, day: date) -> Iterator[Problem]:
    """Yield what is wrong with a suite's waivers on a day, though the file is sound.

    One that has ended is an error: it does not count, and stands there as if it did.
    """
    blocking = {declared.id for declared in suite.checks if declared.severity == "block"}
    for waiver in suite.waivers:
        path, line, case = waiver.location.path, waiver.location.line, waiver.case
        if day > waiver.until:
            text = f"the waiver of {case} ended on {waiver.until}; remove it, or mend the model"
            yield Problem(path, line, 1, text)
        elif waiver.since is not None and day < waiver.since:
            text = f"the waiver of {case} does not count before {waiver.since}"
            yield Problem(path, line, 1, text, "warning")
        elif (waiver.until - day).days > LONG:
            text = (
                f"the waiver of {case} counts until {waiver.until}, more than {LONG} days from "
                "now; what may fail for so long is better said in the suite"
            )
            yield Problem(path, line, 1, text, "warning")
        if case.rpartition("[")[0] not in blocking:
            text = f"{case} does not block, so its waiver changes nothing"
            yield Problem(path, line, 1, text, "warning")


def strays(folder: Path) -> Iterator[Problem]:
    """Yield a warning for each waiver file of a folder that no suite of it goes by."""
    suites = {stem(path) for path in folder.iterdir() if path.name.endswith(SUITE_SUFFIXES)}
    for path in sorted(folder.iterdir()):
        suffix = next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), None)
        if suffix is None or not path.is_file():
            continue
        name = path.name.removesuffix(suffix)
        twin = path.with_name(name + SUFFIXES[0])
        if name not in suites:
            text = f"no suite beside it is called {name}.suite.yaml, so nothing is waived by it"
            yield Problem(str(path), 1, 1, text, "warning")
        elif suffix != SUFFIXES[0] and twin.is_file():
            yield Problem(str(path), 1, 1, f"does not count, since {twin.name} does", "warning")


def notes(waivers: Sequence[Waiver], results: Sequence[Result]) -> Iterator[str]:
    """Yield what must be said of each waiver of a case that was asked, loudest where it is moot."""
    for waiver in waivers:
        case, place = waiver.case, f"{waiver.location.path}:{waiver.location.line}"
        for result in results:
            if result.case != case:
                continue
            if result.waived is not None:
                yield (
                    f"WAIVED: {case} failed and does not block until {waiver.until} "
                    f"({waiver.owner}: {waiver.reason})"
                )
            elif result.status == "passed":
                yield f"WAIVER NOT NEEDED: {case} passed; remove its waiver at {place}"
            elif result.severity != "block":
                yield f"the waiver of {case} at {place} changes nothing: the case does not block"
            elif result.status == "failed":
                since = "" if waiver.since is None else f"from {waiver.since} "
                yield (
                    f"the waiver of {case} at {place} does not count today (it is granted {since}"
                    f"until {waiver.until}), so its failure stands"
                )
            else:
                yield (
                    f"the waiver of {case} at {place} does not count: the case is {result.status}, "
                    "and only what failed can be waived"
                )
