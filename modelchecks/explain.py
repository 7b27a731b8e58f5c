"""The text of a check for people, made from its docstring and fields."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

from modelchecks import registry
from modelchecks.fields import fields_of, has_default


def explain(name: str | None, folder: Path) -> str:
    """Return what a check asks and how it decides; without a name, a line for each check."""
    if name is None:
        lines = []
        for known in registry.names("checks"):
            first = (registry.find("checks", known, folder).__doc__ or "").strip().split("\n")[0]
            lines.append(f"{known:18} {first}")
        return "\n".join([*lines, "", "modelchecks explain CHECK says more.", ""])
    check = registry.find("checks", name, folder)
    text = inspect.cleandoc(check.__doc__ or "")
    per = {"variant": "one case per variant", "data": "one case, about the data"}.get(
        # Of a class whose scope its parameters decide it is a property.
        check.scope if isinstance(check.scope, str) else "",
        "one case per variant or one about the data, as its parameters say",
    )
    lines = [name, "=" * len(name), text, "", f"Cases: {per}; severity {check.default_severity}."]
    return "\n".join([*lines, "", "Parameters:", *_parameters(check), ""])


def _parameters(check: type) -> list[str]:
    lines = []
    # What a check shares with others stands behind what is its own.
    own = inspect.get_annotations(check)
    for field in sorted(dataclasses.fields(check), key=lambda field: field.name not in own):
        default = "required" if not has_default(field) else f"default {_default(field)}"
        if (instead := field.metadata.get("unless")) is not None:
            default = f"required, or `{instead}`" if field.default is None else default
        help = field.metadata.get("help", "")
        lines.append(f"  {field.name}: {help} ({default})")
        inner = next(
            (
                option
                for option in getattr(fields_of(check)[field.name], "__args__", ())
                if dataclasses.is_dataclass(option) and isinstance(option, type)
            ),
            None,
        )
        if inner is not None:
            lines += [f"  {line}" for line in _parameters(inner)]
    return lines


def _default(field: dataclasses.Field[Any]) -> str:
    value = field.default
    if value is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, {}) else str(value)
