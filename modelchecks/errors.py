"""What can be wrong with a user's files, said so that the user can mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal
from unicodedata import east_asian_width


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a suite file, with its place (1-based line and column) and the line itself."""

    path: str
    line: int
    column: int
    message: str
    severity: Literal["error", "warning"] = "error"
    source: str = ""

    def __str__(self) -> str:
        mark = "" if self.severity == "error" else "warning: "
        text = f"{self.path}:{self.line}:{self.column}: {mark}{self.message}"
        if self.source.strip():
            # One blank for each character, tabs included, so that the caret stands under the right
            # one; a wide blank where a terminal shows the character wide.
            before = self.source[: self.column - 1].ljust(self.column - 1)
            blanks = "".join("\u3000" if east_asian_width(c) in "WF" else " " for c in before)
            text += f"\n    {self.source.replace(chr(9), ' ').rstrip()}\n    {blanks}^"
        return text


class ModelchecksError(Exception):
    """Base of the errors that carry a message for the user rather than a bug of ours."""


class SuiteError(ModelchecksError):
    """A suite file cannot be used; `problems` holds every fault found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class EvidenceError(ModelchecksError):
    """Evidence that a case needs cannot be had; the case is `errored` and cannot approve."""


class UnexpectedError(EvidenceError):
    """Something raised what it should not; its traceback (`__cause__`) goes with the case."""


class RecordError(ModelchecksError):
    """A run record cannot be read or is of an unknown version."""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return '; did you mean ...?' for the closest known word, else the list of known words.

    >>> did_you_mean("accurcy_drop", ["accuracy_drop", "schema"])
    "; did you mean 'accuracy_drop'?"
    >>> did_you_mean("zzz", ["accuracy_drop", "schema"])
    '; known: accuracy_drop, schema'
    """
    close = get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(sorted(known))}" if known else ""
