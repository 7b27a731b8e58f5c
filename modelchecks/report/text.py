"""Foreign text made harmless to its medium; every name and message of a run is foreign text."""

from __future__ import annotations

import re

# What XML 1.0 and HTML cannot hold, even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
