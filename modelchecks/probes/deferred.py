"""A package that is slow to import and hardly ever asked is loaded when it is asked."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def defer(package: str, function: str) -> None:
    """Let `from package import function` cost nothing until the function is called.

    What stands in for the package loads it on the first call of `function`, or when any other of
    its names is asked for, and answers as it would have. Nothing happens where the package is
    loaded already or not installed.
    """
    if package in sys.modules or (spec := find_spec(package)) is None:
        return
    stand_in = ModuleType(package)

    def loaded() -> ModuleType:
        if sys.modules.get(package) is stand_in:
            del sys.modules[package]
        return import_module(package)

    def call(*given: Any, **named: Any) -> Any:
        return getattr(loaded(), function)(*given, **named)

    stand_in.__spec__, stand_in.__path__ = spec, list(spec.submodule_search_locations or ())
    setattr(stand_in, function, call)
    stand_in.__getattr__ = lambda name: getattr(loaded(), name)  # type: ignore[method-assign]
    sys.modules[package] = stand_in
