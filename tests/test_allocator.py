"""Freed memory is kept for the next layer, where nobody set it otherwise."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from modelchecks.allocator import _SETTINGS as SETTINGS
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


LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
@pytest.mark.skipif(
    LARGE_PAGES.is_file() and "[always]" in LARGE_PAGES.read_text(),
    reason="of large pages there are few faults to count",
)
def test_a_large_array_gets_the_memory_of_the_one_before():
    plain = {name: value for name, value in os.environ.items() if name not in SETTINGS}
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
def bare(monkeypatch):
    """No setting in the environment."""
    for name in SETTINGS & os.environ.keys():
        monkeypatch.delenv(name)
    return monkeypatch


def library(monkeypatch, most):
    """Put a C library in place that refuses thresholds over `most`; return what it is told."""
    told = []

    def mallopt(name, value):
        told.append((name, value))
        return int(name != -3 or value <= most)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    return told


@pytest.mark.parametrize(
    ("most", "told"),
    [
        (2**30, [(-3, 2**28), (-1, 2**29)]),
        # As glibc before 2.3x: the largest that it takes is 32 MiB.
        (2**25, [(-3, 2**28), (-3, 2**25), (-1, 2**26)]),
        # The other alone would be worse than nothing.
        (2**20, [(-3, 2**28), (-3, 2**25)]),
    ],
)
def test_what_a_library_refuses_is_asked_of_it_in_a_smaller_size(bare, most, told):
    found = library(bare, most)
    keep_freed_memory.__wrapped__()
    assert found == told


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_what_somebody_set_stays(bare, name):
    found = library(bare, 2**30)
    bare.setenv(name, "131072")
    keep_freed_memory.__wrapped__()
    assert not found


@pytest.mark.parametrize("lacks", [AttributeError, OSError, TypeError])
def test_another_library_is_left_alone(bare, lacks):
    asked = []

    def no_library(name):
        asked.append(name)
        raise lacks("not here")

    bare.setattr(ctypes, "CDLL", no_library)
    keep_freed_memory.__wrapped__()
    assert asked == [None]
