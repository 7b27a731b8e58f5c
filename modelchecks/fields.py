"""One dataclass field, read two ways: its YAML value is checked, and its JSON Schema written.

A check, source or part of the suite is a dataclass; its annotations are the whole declaration.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from modelchecks.errors import Problem, did_you_mean

INVALID: Any = object()
"""Stands for a value that was reported as a problem."""

_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_MERGE = "tag:yaml.org,2002:merge"
_NUMBER = r"\s*[+-]?[0-9._]+([eE][+-]?[0-9]+)?\s*"
_KINDS = {"null": "nothing", "str": "text", "int": "a whole number", "bool": "true or false"}


class Reader:
    """Reads nodes of one suite file and keeps every problem found, with its place."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self.splits: dict[str, yaml.Node] = {}
        self.used_splits: set[str] = set()
        self._lines = text.splitlines()

    def report(self, at: yaml.Node | yaml.Mark, message: str) -> Any:
        """Record a problem at a node and return INVALID."""
        mark = at if isinstance(at, yaml.Mark) else at.start_mark
        line = self._lines[mark.line] if mark.line < len(self._lines) else ""
        self.problems.append(
            Problem(self.path, mark.line + 1, mark.column + 1, message, source=line)
        )
        return INVALID

    def mapping(self, node: yaml.Node, what: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Return key -> (key node, value node); duplicate and odd keys are problems.

        A merge key (`<<: *defaults`, or a list of them) adds what is not given here; of two merged
        mappings the earlier one wins.
        """
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        if not isinstance(node, yaml.MappingNode):
            self.report(node, f"{what} must be a mapping of keys to values, not {kind(node)}")
            return found
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.report(key, f"a key of {what} must be a plain word")
            elif key.value in found:
                first = found[key.value][0].start_mark.line + 1
                self.report(key, f"{key.value!r} is given twice in {what} (first in line {first})")
            else:
                found[key.value] = (key, value)
        if "<<" in found and found["<<"][0].tag == _MERGE:
            _, merged = found.pop("<<")
            for other in merged.value if _is_list(merged) else [merged]:
                found = self.mapping(other, "what `<<` names") | found
        return found

    def sequence(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """Return the items of a list; anything else is a problem."""
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self.report(node, f"{what} must be a list, not {kind(node)}")
        return []

    def build(
        self, cls: type, node: yaml.Node, what: str, given: Mapping[str, Any] | None = None
    ) -> Any:
        """Return an instance of dataclass `cls` from a mapping node, or INVALID.

        `given` holds fields that do not come from the node. A ValueError of `__post_init__` whose
        text starts with `field:` is reported at that field.
        """
        given = dict(given or {})
        hints = fields_of(cls)
        values, nodes, sound = dict(given), {}, True
        if is_null(node):
            items: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        else:
            before = len(self.problems)
            items = self.mapping(node, what)
            sound = len(self.problems) == before
        for name, (key, value) in items.items():
            if name not in hints or name in given:
                known = [hint for hint in hints if hint not in given]
                self.report(key, f"{what} has no key {name!r}{did_you_mean(name, known)}")
                sound = False
                continue
            nodes[name] = value
            values[name] = self.value(value, hints[name], f"`{name}`")
            sound = sound and values[name] is not INVALID
        for field in dataclasses.fields(cls):
            name, instead = field.name, field.metadata.get("unless")
            if name in items or name in given or instead in items:
                continue
            if not has_default(field) or (instead is not None and field.default is None):
                help = field.metadata.get("help", "")
                self.report(node, f"{what} needs `{name}`" + (f" ({help})" if help else ""))
                sound = False
            elif "split" in markers(hints[name]) and field.default is not None:
                # A split that a default names is used as well, and must be there.
                self._split_name(node, str(field.default), f"`{name}` of {what} (by default)")
        if not sound:
            return INVALID
        try:
            return cls(**values)
        except (ValueError, TypeError) as error:
            field_name, _, rest = str(error).partition(":")
            place = nodes.get(field_name.strip())
            text = f"`{field_name}`{rest}" if place is not None else f"{what}: {error}"
            return self.report(place or node, text)
        except Exception as error:
            return self.report(node, f"{what} raised {type(error).__name__}: {error}")

    def value(self, node: yaml.Node, hint: Any, what: str) -> Any:
        """Return the Python value of a node as the annotation asks, or INVALID."""
        origin, args = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self._marked(node, args[0], args[1:], what)
        if origin in (Union, types.UnionType):
            if type(None) in args and is_null(node):
                return None
            options = [arg for arg in args if arg is not type(None)]
            return self.value(node, options[0], what) if len(options) == 1 else self.plain(node)
        if origin is Literal:
            value = self.plain(node)
            if value in args:
                return value
            choices = [str(arg) for arg in args]
            return self.report(
                node, f"{what} is {shown(node)}; it must be one of {', '.join(choices)}"
            )
        if origin is tuple:
            each = f"an item of {what}"
            items = [self.value(item, args[0], each) for item in self.sequence(node, what)]
            return INVALID if not _is_list(node) or INVALID in items else tuple(items)
        if origin is Mapping:
            return self._plain_mapping(node, what)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            return self.build(hint, node, what)
        return self._scalar(node, hint, what)

    def plain(self, node: yaml.Node) -> Any:
        """Return a node as plain Python values."""
        if isinstance(node, yaml.MappingNode):
            return self._plain_mapping(node, "this mapping")
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item) for item in node.value]
        try:
            return _CONSTRUCTOR.construct_object(node)
        except Exception:
            # PyYAML raises anything for a value that is not what its tag says, as in `!!int ""`.
            return node.value

    def _plain_mapping(self, node: yaml.Node, what: str) -> Any:
        before = len(self.problems)
        items = self.mapping(node, what)
        if len(self.problems) > before:
            return INVALID
        return {name: self.plain(value) for name, (_, value) in items.items()}

    def _scalar(self, node: yaml.Node, hint: Any, what: str) -> Any:
        value = self.plain(node)
        if hint is str:
            if isinstance(value, str):
                return value
            return self.report(node, f"{what} must be text, not {shown(node)}; quote it if meant")
        if hint is bool:
            if isinstance(value, bool):
                return value
            return self.report(node, f"{what} must be true or false, not {shown(node)}")
        if hint is int:
            if isinstance(value, int) and not isinstance(value, bool):
                return value
            return self.report(node, f"{what} must be a whole number, not {shown(node)}")
        if hint is float:
            number = _number(value)
            if number is not None:
                return number
            return self.report(node, f"{what} must be a number, not {shown(node)}")
        return value

    def _marked(self, node: yaml.Node, hint: Any, marks: tuple[Any, ...], what: str) -> Any:
        if "share" in marks:
            return self._share(node, what)
        value = self.value(node, hint, what)
        if "split" in marks and value is not INVALID:
            return self._split_name(node, value, what)
        return value

    def _split_name(self, node: yaml.Node, name: str, what: str) -> Any:
        self.used_splits.add(name)
        if name in self.splits:
            return name
        return self.report(
            node, f"{what}: no split is named {name!r}{did_you_mean(name, list(self.splits))}"
        )

    def _share(self, node: yaml.Node, what: str) -> Any:
        value = self.plain(node)
        text = value.strip() if isinstance(value, str) else ""
        unit = next((unit for unit in ("pp", "%") if text.endswith(unit)), "")
        number = _number(text.removesuffix(unit).strip() if unit else value)
        if number is None:
            return self.report(node, f"{what} must be written 5pp, 5% or 0.05, not {shown(node)}")
        share = number / 100 if unit else number
        if str(value).strip() == "1":
            said = f"{what} is 1, which may be 1 % or all of it; write 1pp, 1%, or 100%"
            return self.report(node, said)
        if 0 <= share <= 1:
            return share
        hint = f"; did you mean {number:g}pp?" if not unit and 1 < number <= 100 else ""
        return self.report(node, f"{what} is {shown(node)}, which is not between 0 and 1{hint}")


def _number(value: Any) -> float | None:
    """Return a finite float; YAML 1.1 reads 1e-3 as text, so text is tried as well."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


def fields_of(cls: type) -> dict[str, Any]:
    """Return the annotations of a dataclass's fields, ClassVars left out."""
    hints = get_type_hints(cls, include_extras=True)
    return {
        field.name: hints[field.name]
        for field in dataclasses.fields(cls)
        if get_origin(hints[field.name]) is not ClassVar
    }


def has_default(field: dataclasses.Field[Any]) -> bool:
    """Return whether a field may be left out."""
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def markers(hint: Any) -> tuple[Any, ...]:
    """Return what an Annotated hint, or one that may also be None, is marked with."""
    if get_origin(hint) is Annotated:
        return get_args(hint)[1:]
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(mark for option in get_args(hint) for mark in markers(option))
    return ()


def scalars(node: yaml.Node) -> set[str]:
    """Return the text of every scalar below a node."""
    if isinstance(node, yaml.ScalarNode):
        return {node.value}
    pairs = isinstance(node, yaml.MappingNode)
    inner = [one for pair in node.value for one in pair] if pairs else node.value
    return set().union(*map(scalars, inner))


def is_null(node: yaml.Node) -> bool:
    """Return whether a node is empty or null."""
    return bool(node.tag == "tag:yaml.org,2002:null")


def kind(node: yaml.Node) -> str:
    """Return what a node is, in a reader's words."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return _KINDS.get(node.tag.rpartition(":")[2], "a number")


def shown(node: yaml.Node) -> str:
    """Return a node's value for a message."""
    return repr(node.value) if isinstance(node, yaml.ScalarNode) else kind(node)


def _is_list(node: yaml.Node) -> bool:
    return isinstance(node, yaml.SequenceNode)


def json_schema(hint: Any) -> dict[str, Any]:
    """Return the JSON Schema of an annotation."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        if "share" in args[1:]:
            text = {"type": "string", "pattern": f"^{_NUMBER}(pp|%)?\\s*$"}
            return {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, text]}
        return json_schema(args[0])
    if origin in (Union, types.UnionType):
        return {
            "anyOf": [{"type": "null"} if arg is type(None) else json_schema(arg) for arg in args]
        }
    if origin is Literal:
        return {"enum": list(args)}
    if origin is tuple:
        return {"type": "array", "items": json_schema(args[0])}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return class_schema(hint)
    if origin is Mapping:
        return {"type": "object"}
    if hint is float:
        # An editor of YAML 1.1 reads 1e-3 as text, as the loader does.
        return {"type": ["number", "string"], "pattern": f"^{_NUMBER}$"}
    simple = {str: "string", bool: "boolean", int: "integer"}
    return {"type": simple[hint]} if hint in simple else {}


def class_schema(cls: type, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the JSON Schema of a dataclass, descriptions from the fields' help texts."""
    hints = fields_of(cls)
    properties, required = {}, []
    for field in dataclasses.fields(cls):
        if field.name in leave_out:
            continue
        schema = json_schema(hints[field.name])
        if "help" in field.metadata:
            schema["description"] = field.metadata["help"]
        if has_default(field):
            default = field.default
            if isinstance(default, str | int | float | bool):
                schema["default"] = default
        else:
            required.append(field.name)
        properties[field.name] = schema
    return {
        # A mapping without any entry is written as nothing: `- label_drift:`.
        "type": "object" if required else ["object", "null"],
        "description": (cls.__doc__ or "").strip().split("\n")[0],
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
