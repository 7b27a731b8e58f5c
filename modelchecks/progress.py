"""Progress of long work on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Report = Callable[[str, int, int], None]

_PLAIN_EVERY = 10.0
"""Seconds between two plain lines about the same work."""


@contextmanager
def shown(*, quiet: bool) -> Iterator[Report]:
    """Yield a function that is called with (name, done, total) and shows how far the work is."""
    if quiet:
        yield lambda name, done, total: None
    elif sys.stderr.isatty():
        with _bars() as report:
            yield report
    else:
        yield _lines()


@contextmanager
def _bars() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    tasks: dict[str, TaskID] = {}
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        started: dict[str, float] = {}

        def report(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total, speed="")
                started[name] = time.monotonic()
            seconds = time.monotonic() - started[name]
            speed = f"{done / seconds:,.0f} rows/s" if seconds > 0.2 else ""
            progress.update(tasks[name], completed=done, speed=speed)

        yield report


def _lines() -> Report:
    started: dict[str, float] = {}
    told: dict[str, float] = {}

    def report(name: str, done: int, total: int) -> None:
        now = time.monotonic()
        started.setdefault(name, now)
        if done < total and now - told.get(name, started[name]) < _PLAIN_EVERY:
            return
        told[name] = now
        seconds = now - started[name]
        speed = f", {done / seconds:,.0f} rows/s" if seconds > 0.2 else ""
        # A closed or full standard error is no reason to have no verdict.
        with suppress(OSError, ValueError):
            print(
                f"{name}: {done:,} of {total:,} rows, {seconds:.1f} s{speed}",
                file=sys.stderr,
                flush=True,
            )

    return report
