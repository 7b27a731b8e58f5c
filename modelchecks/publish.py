"""A run's reports: remembered in the history, written into their folder, listed in the index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from threading import Thread

from modelchecks import archive
from modelchecks.archive import PastRun
from modelchecks.errors import EvidenceError, RecordError
from modelchecks.facets import REPORT
from modelchecks.identity import digest, installed
from modelchecks.report import record
from modelchecks.report.figures import charts, draw
from modelchecks.report.figures.draw import remembering
from modelchecks.report.figures.grammar import PAGE, Axis
from modelchecks.report.trends import RUNS
from modelchecks.report.write import Format, write
from modelchecks.results import Run
from modelchecks.store import Store, default_folder

INDEX = "index.html"
WAIT_S = 30.0
"""How long to wait for another gate that writes the same index."""


def publish(
    run: Run, folder: Path, formats: Sequence[Format], history: Path | None = None
) -> tuple[dict[Format, Path], list[str]]:
    """Write the reports of a run and return their paths, and what went wrong beside them.

    The history is at `history`, where the suite's policy says, or in the folder above `folder`. It
    is no part of the verdict: a history or index that cannot be written is told, and that is all.
    Raises OSError where a report itself cannot be written.
    """
    place = history or policy_path(run.suite) or folder.parent / archive.FILE
    past, problems = _remember(place, run)
    with _pictures(run.suite) if "html" in formats else nullcontext():
        paths = write(run, folder, formats, past)
    if "html" in paths:
        problems += _index(folder.parent, place)
    return paths, problems


def warm_up(formats: Sequence[str]) -> Thread | None:
    """Start what draws, by pictures for nobody, while all else is loaded and gathered.

    It takes a quarter of a second that needs hardly any Python, once in a process. Returns the
    thread, which nobody need wait for, None where no format has pictures.
    """
    return _started() if "html" in formats else None


@cache
def _started() -> Thread:
    thread = Thread(target=_draw_for_nobody, name="warm-up", daemon=True)
    thread.start()
    return thread


def _draw_for_nobody() -> None:
    rows = [
        {"side": side, "x": place, "y": 0.1 * place, "y1": 0, "y2": 1, "told": side}
        for side in "ab"
        for place in range(5)
    ]
    axis = Axis("x", percent=True)
    with suppress(draw.CannotDrawError):
        # Twice: the engine compiles what it meets again.
        for _ in range(2):
            draw.svg(charts.overlay(PAGE, rows, ("a", "b"), "x"), "p0", "")
            draw.svg(charts.lines(PAGE, rows, ("a", "b"), axis, axis, limit=0.5), "p0", "")


@contextmanager
def _pictures(suite: Mapping[str, object]) -> Iterator[None]:
    """Draw only what the last report of this suite had not: its pictures lie in the store."""
    store = Store(default_folder(Path(str(suite.get("path"))).parent))
    key = digest(["pictures", suite.get("name"), installed("vl-convert-python")])
    known = store.outcome(key) or {}
    with remembering(known) as used:
        yield
    # A store that is not there, or is for reading alone, remembers nothing.
    with suppress(EvidenceError, OSError):
        if used != known and store.folder.is_dir():
            store.save_outcome(key, used, {"split": REPORT, "facet": "pictures"})


def policy_path(suite: Mapping[str, object]) -> Path | None:
    """Return where a suite's policy keeps the history, relative to the suite file."""
    policy, path = suite.get("policy"), suite.get("path")
    named = policy.get("history") if isinstance(policy, Mapping) else None
    return Path(str(path)).parent / str(named) if named else None


def _remember(place: Path, run: Run) -> tuple[list[PastRun], list[str]]:
    try:
        archive.add(place, run)
        return archive.past(place, str(run.suite.get("name", "")), RUNS), []
    except (RecordError, OSError) as error:
        return [], [f"this run is not in the history: {error}"]


def _index(base: Path, place: Path) -> list[str]:
    """Write the index over all runs in a folder, one gate at a time so that none is left out."""
    from filelock import FileLock, Timeout

    from modelchecks.report import overview

    try:
        with FileLock(base / ".index.lock", timeout=WAIT_S):
            past: dict[str, list[PastRun]] = {}
            try:
                for run in archive.past(place):
                    past.setdefault(run.suite, []).append(run)
            except RecordError:
                pass  # told already
            record.write(base / INDEX, overview.render(base, past))
    except (OSError, Timeout) as error:
        return [f"{base / INDEX} cannot be written: {error}"]
    return []
