"""Freed memory is kept for the next layer, where nobody set it otherwise."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from modelchecks.allocator import keep_freed_memory

FAULTS = """
import resource, sys
import numpy as np
from modelchecks.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(2**23)
before = faults()
for _ in range(10):
    np.ones(2**23)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_a_large_array_gets_the_memory_of_the_one_before():
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    # Small pages: with large ones there are few faults to count.
    plain |= {"NUMPY_MADVISE_HUGEPAGE": "0"}
    kept, given_back = (
        int(
            subprocess.run(
                [sys.executable, "-c", FAULTS, how], env=plain, capture_output=True, check=True
            ).stdout
        )
        for how in ("kept", "as it comes")
    )
    assert given_back > 10_000
    assert kept < given_back / 10


@pytest.fixture
def tuned(monkeypatch):
    """What the C library is told, the name of each setting and its value."""
    told = []
    library = SimpleNamespace(mallopt=lambda *setting: told.append(setting))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    for name in list(os.environ):
        if name.startswith(("MALLOC_", "GLIBC_TUNABLES")):
            monkeypatch.delenv(name)
    return told


def test_what_somebody_set_stays(tuned, monkeypatch):
    keep_freed_memory.__wrapped__()
    assert [name for name, _ in tuned] == [-3, -1]
    tuned.clear()
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    keep_freed_memory.__wrapped__()
    assert not tuned


@pytest.mark.parametrize("lacks", [AttributeError, OSError, TypeError])
def test_another_library_is_left_alone(monkeypatch, lacks):
    def no_library(name):
        raise lacks("not here")

    monkeypatch.setattr(ctypes, "CDLL", no_library)
    keep_freed_memory.__wrapped__()
