"""What the C library does with freed memory once a model is loaded."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Their numbers in glibc's malloc.h."""
_LARGEST = (2**28, 2**25)
"""Up to how many bytes an array's memory is kept: the second where glibc refuses the first."""
_SETTINGS = frozenset(
    {"GLIBC_TUNABLES", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}
)


@cache
def keep_freed_memory() -> None:
    """Have glibc keep what one layer frees for the next, unless the environment sets how.

    As it comes, it gives large arrays back to the kernel at once, which fills each page with zeros
    when the next layer asks for it: a third of the time of a small network's forward. It stays so
    for the life of the process, which may hold up to half a gigabyte that it no longer uses. Does
    nothing with other C libraries.
    """
    if _SETTINGS & os.environ.keys():
        return
    # No such library on Windows, no such function on macOS.
    with suppress(AttributeError, OSError, TypeError):
        tune = ctypes.CDLL(None).mallopt
        tune.argtypes, tune.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
        for size in _LARGEST:
            # Each setting alone would end glibc's own way of raising the other.
            if tune(_MMAP_THRESHOLD, size):
                tune(_TRIM_THRESHOLD, 2 * size)
                break
