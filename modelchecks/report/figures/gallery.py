"""Figures: each a picture and the same numbers as a table, as many as one page holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from modelchecks.report.figures.draw import CannotDrawError, svg
from modelchecks.report.figures.grammar import Spec
from modelchecks.report.numbers import NONE, Unit
from modelchecks.report.pictures import Image
from modelchecks.report.shapes import Point
from modelchecks.results import Result

MOST_FIGURES, MOST_ROWS, MOST_POINTS = 120, 20, 200
"""What one page holds; what is beyond it is told, and stands in run.json."""
MOST_TEXT, MOST_IMAGE_TEXT = 650_000, 350_000
"""Characters of figures with their tables, and of base64, that one page holds."""
_CELL = 60
"""Characters of a cell's markup."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A text of a table and, where it is one, the number that it stands for."""

    text: str
    value: float | int | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture (None where it could not be drawn), its title and its numbers."""

    title: str
    check: str
    svg: str | None
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    images: tuple[Image, ...] = ()
    drawn: bool = True
    """False where there is a table alone."""


@dataclass(frozen=True, slots=True)
class Section:
    """Figures of one kind, with what they show."""

    key: str
    title: str
    intro: str
    figures: tuple[Figure, ...]


@dataclass(slots=True)
class Gallery:
    """Draws figures until a page is full, and counts what is left out."""

    drawn: int = 0
    text: int = 0
    left_out: int = 0
    base64: int = 0

    def picture(self, spec: Spec, label: str) -> str | None:
        """Return a picture with inner ids of its own, or None where it cannot be drawn."""
        self.drawn += 1
        try:
            picture = svg(spec, f"p{self.drawn}", label)
        except CannotDrawError:
            return None
        self.text += len(picture)
        return picture

    def figure(
        self,
        title: str,
        result: Result,
        spec: Spec,
        head: Sequence[str],
        rows: Iterable[Sequence[Cell]],
        note: str = "",
    ) -> list[Figure]:
        """Return the figure, or nothing where the page is full."""
        if self.drawn >= MOST_FIGURES or self.text >= MOST_TEXT:
            self.left_out += 1
            return []
        drawn = self.picture(spec, title)
        table = tuple(tuple(row) for row in rows)
        self.text += sum(_CELL + len(cell.text) for row in table for cell in row)
        return [Figure(title, declared(result), drawn, tuple(head), table, note)]

    def images(self, found: Sequence[Image]) -> tuple[Image, ...]:
        """Return as many of the images as the page has room for."""
        kept = []
        for image in found:
            size = len(image.png) + len(image.before or "")
            if self.base64 + size > MOST_IMAGE_TEXT:
                break
            self.base64 += size
            kept.append(image)
        return tuple(kept)


def declared(result: Result) -> str:
    """Return the id under which the suite declares a result's check."""
    return result.case.rpartition("[")[0] or result.case


def of_whom(result: Result) -> str:
    """Return the variant that a result is about, or `data`."""
    return result.variant or "data"


def by_check(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Return the results of each declared check, in the order of the suite."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(declared(result), []).append(result)
    return found


def place(axis: str, point: Point, unit: Unit) -> dict[str, float]:
    """Return a value and the ends of its interval, as an axis shows them."""
    low, high = (point.value if end is None else end for end in (point.low, point.high))
    values = {axis: point.value, f"{axis}1": low, f"{axis}2": high}
    return {key: unit.scaled(value) for key, value in values.items()}


def full(point: Point, unit: Unit) -> str:
    """Return a point in words: '15.2 pp [14.3, 16.1] (n 10,000)'."""
    rows = f"(n {point.n:,})" if point.n else ""
    return " ".join(
        filter(None, [unit.full(point.value), unit.interval(point.low, point.high), rows])
    )


def told(point: Point | None, unit: Unit) -> Cell:
    """Return a point without its unit, which the head of its column names."""
    if point is None:
        return Cell(NONE)
    return Cell(
        f"{unit.bare(point.value)} {unit.interval(point.low, point.high)}".strip(), point.value
    )


def count(point: Point | None) -> Cell:
    """Return the number of rows behind a point."""
    return Cell(NONE) if point is None or point.n is None else Cell(f"{point.n:,}", point.n)


def cut(found: Sequence[Any], what: str) -> tuple[Sequence[Any], str]:
    """Return as many as a picture has room for, and how many there are."""
    if len(found) <= MOST_ROWS:
        return found, ""
    return found[:MOST_ROWS], f"the first {MOST_ROWS} of {len(found):,} {what}"
