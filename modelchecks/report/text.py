"""Foreign text made harmless to its medium; every name and message of a run is foreign text."""

from __future__ import annotations

import re

# What XML 1.0 and HTML cannot hold, even escaped, and what turns the order of signs around beyond
# its own text: a name could make a line say the opposite.
_FORBIDDEN = re.compile(
    "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]"
)


def clean(text: str) -> str:
    """Return text that XML and HTML can hold; each character that they cannot is a \ufffd.

    >>> clean("a\\x00b")
    'a\ufffdb'
    """
    return _FORBIDDEN.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Return text as one line without control characters, which could rewrite a terminal.

    >>> one_line("a\\r\\x1b[2Kb")
    'a  [2Kb'
    """
    return "".join(char if char.isprintable() else " " for char in text)


def coded(text: str) -> list[tuple[bool, str]]:
    """Return the parts of a text as (whether it stands in backticks, part).

    >>> coded("raise `max_rows`, then")
    [(False, 'raise '), (True, 'max_rows'), (False, ', then')]
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return [(False, text)]
    return [(place % 2 == 1, part) for place, part in enumerate(parts) if part]
