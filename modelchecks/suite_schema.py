"""The JSON Schema of suite files, for editors, made from the same annotations that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from modelchecks import registry
from modelchecks.fields import class_schema
from modelchecks.results import Severity
from modelchecks.suite import Compute, Policy, Variant


def suite_schema() -> dict[str, Any]:
    """Return the JSON Schema of suite files, with every registered check and source."""
    folder = Path()
    checks = {
        name: class_schema(registry.find("checks", name, folder))
        for name in registry.names("checks")
    }
    sources = []
    for name in registry.names("sources"):
        source = class_schema(registry.find("sources", name, folder))
        source["properties"] |= {
            "source": {"const": name},
            "slices": {"type": "array", "items": {"type": "string"}},
            "sampling": {
                "anyOf": [
                    {"enum": ["random", "unknown"]},
                    {
                        "type": "object",
                        "properties": {"weights": {"type": "string"}},
                        "required": ["weights"],
                        "additionalProperties": False,
                    },
                ]
            },
            "assume_random": {"type": ["string", "null"]},
            "group": {"type": ["string", "null"]},
            "expected_labels": {"type": "integer", "minimum": 1},
        }
        source["required"].append("source")
        sources.append(source)
    own = {
        "type": "object",
        "required": ["source"],
        "properties": {"source": {"type": "string", "pattern": ":"}},
    }
    item = {
        "type": "object",
        "properties": {
            **checks,
            "severity": {"enum": list(get_args(Severity))},
            "id": {"type": "string"},
        },
        "patternProperties": {":": {}},
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "modelchecks suite",
        "type": "object",
        "required": ["suite", "data", "variants", "checks"],
        "additionalProperties": False,
        "properties": {
            "suite": {"type": "string"},
            "description": {"type": "string"},
            "classes": {"type": "array", "items": {"type": "string"}},
            "data": {"type": "object", "additionalProperties": {"anyOf": [*sources, own]}},
            "variants": {
                "type": "object",
                "additionalProperties": class_schema(Variant, leave_out=("name", "location")),
            },
            "champion": {"type": ["string", "null"]},
            "checks": {
                "type": "array",
                "items": {
                    "anyOf": [item, {"enum": list(checks)}, {"type": "string", "pattern": ":"}]
                },
                "minItems": 1,
            },
            "policy": class_schema(Policy),
            "compute": class_schema(Compute),
        },
    }
