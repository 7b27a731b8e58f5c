"""What the C library does with freed memory while models answer."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Their numbers in glibc's malloc.h."""
_LARGEST = 2**28
"""How many bytes one layer's answers may take to be kept."""
_SETTINGS = ("MALLOC_", "GLIBC_TUNABLES")


@cache
def keep_freed_memory() -> None:
    """Have glibc keep what one layer frees for the next, where nobody set it otherwise.

    As it comes, it gives large arrays back to the kernel at once, which fills each page with zeros
    when the next layer asks for it: a third of the time of a small network's forward. Only what was
    freed is kept, so the peak stays that of what is in use. Does nothing on other C libraries.
    """
    if any(name.startswith(_SETTINGS) for name in os.environ):
        return
    # No such library on Windows, no such function on macOS.
    with suppress(AttributeError, OSError, TypeError):
        tune = ctypes.CDLL(None).mallopt
        tune(_MMAP_THRESHOLD, _LARGEST)
        tune(_TRIM_THRESHOLD, 2 * _LARGEST)
