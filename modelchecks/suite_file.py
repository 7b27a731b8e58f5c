"""The YAML tree of one suite file → Suite, part by part; every problem is kept with its place."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import yaml

from modelchecks import registry
from modelchecks.check import Check, Scope
from modelchecks.errors import did_you_mean
from modelchecks.fields import INVALID, Reader, fields_of, is_null, scalars, shown
from modelchecks.results import DATA, Location, Severity
from modelchecks.sources import Source
from modelchecks.suite import Compute, DeclaredCheck, Policy, Split, Suite, Variant
from modelchecks.variants import variant_faults

KEYS = (
    "suite",
    "description",
    "classes",
    "data",
    "variants",
    "champion",
    "checks",
    "policy",
    "compute",
)
_SPLIT_KEYS = ("source", "slices", "sampling", "assume_random", "group", "expected_labels")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class SuiteReader:
    """Reads the tree of one suite file, part by part."""

    def __init__(self, reader: Reader, path: Path, root: yaml.Node, sha256: str) -> None:
        self.reader, self.path, self.root, self.sha256 = reader, path, root, sha256
        self._variant_names: list[str] = []
        self._has_champion = False

    def read(self) -> Suite | None:
        """Return the suite, or None where the reader has problems."""
        reader = self.reader
        items = reader.mapping(self.root, "the suite")
        if not isinstance(self.root, yaml.MappingNode):
            return None
        for name, (key, _) in items.items():
            if name not in KEYS:
                reader.report(key, f"the suite has no key {name!r}{did_you_mean(name, KEYS)}")
        for name in ("suite", "data", "variants", "checks"):
            if name not in items:
                reader.report(self.root, f"the suite needs `{name}:`")

        def part(name: str, read: Callable[[yaml.Node], Any], default: Any) -> Any:
            return read(items[name][1]) if name in items else default

        name = part("suite", lambda node: reader.value(node, str, "`suite`"), "")
        description = part("description", lambda node: reader.value(node, str, "`description`"), "")
        classes = part("classes", self._classes, ())
        splits = part("data", self._splits, ())
        variants = part("variants", self._variants, ())
        champion = part("champion", self._champion, None)
        self._has_champion = "champion" in items and not is_null(items["champion"][1])
        checks = part("checks", self._checks, ())
        policy = part("policy", self._policy, Policy())
        compute = part("compute", self._compute, Compute())
        self._unused(checks)
        if reader.problems:
            return None
        return Suite(
            name=name,
            path=self.path,
            splits=splits,
            variants=variants,
            checks=checks,
            description=description,
            champion=champion,
            classes=classes,
            policy=policy,
            compute=compute,
            sha256=self.sha256,
        )

    def _location(self, node: yaml.Node) -> Location:
        return Location(str(self.path), node.start_mark.line + 1)

    def _name(self, key: yaml.Node, what: str) -> None:
        name = str(key.value)
        if not _NAME.fullmatch(name):
            self.reader.report(
                key, f"{what} name {name!r} may hold only letters, digits, '_', '-' and '.'"
            )

    def _classes(self, node: yaml.Node) -> Any:
        names = self.reader.value(node, tuple[str, ...], "`classes`")
        if names is not INVALID and len(set(names)) != len(names):
            return self.reader.report(node, "`classes` names a class twice")
        return names

    def _splits(self, node: yaml.Node) -> tuple[Split, ...]:
        items = self.reader.mapping(node, "`data`")
        if not items:
            self.reader.report(node, "`data` declares no split")
        self.reader.splits = {name: key for name, (key, _) in items.items()}
        found = [self._split(name, key, value) for name, (key, value) in items.items()]
        return tuple(split for split in found if split is not None)

    def _split(self, name: str, key: yaml.Node, node: yaml.Node) -> Split | None:
        reader, what = self.reader, f"split {name!r}"
        self._name(key, "split")
        items = reader.mapping(node, what)
        own = {key: items[key][1] for key in _SPLIT_KEYS if key in items}
        if "source" not in own:
            known = ", ".join(registry.names("sources"))
            reader.report(key, f"{what} needs `source:`; known: {known}")
            return None
        source = reader.value(own["source"], str, "`source`")
        if source is INVALID:
            return None
        cls = self._find("sources", source, own["source"])
        options = None
        if cls is not None:
            rest = [pair for name, pair in items.items() if name not in _SPLIT_KEYS]
            inner = yaml.MappingNode(node.tag, rest, node.start_mark, node.end_mark)
            options = reader.build(cls, inner, f"{what} (source {source})")
            if options is not INVALID and not isinstance(options, Source):
                reader.report(own["source"], f"{source!r} has no `fingerprint` and `open`")
        slices = reader.value(own["slices"], tuple[str, ...], "`slices`") if "slices" in own else ()
        sampling: Any = self._sampling(own["sampling"]) if "sampling" in own else "unknown"
        assumed = (
            reader.value(own["assume_random"], str | None, "`assume_random`")
            if "assume_random" in own
            else None
        )
        if isinstance(assumed, str) and not assumed.strip():
            reader.report(own["assume_random"], "`assume_random` must give a reason")
        group = reader.value(own["group"], str | None, "`group`") if "group" in own else None
        labels = self._expected_labels(own.get("expected_labels"))
        if options is None or INVALID in (options, slices, sampling, assumed, group, labels):
            return None
        values = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
        how, weights = sampling if isinstance(sampling, tuple) else (sampling, None)
        place = self._location(key)
        return Split(name, source, values, slices, how, weights, group, assumed, place, labels)

    def _expected_labels(self, node: yaml.Node | None) -> Any:
        if node is None:
            return None
        number = self.reader.value(node, int, "`expected_labels`")
        if number is not INVALID and number < 1:
            return self.reader.report(node, "`expected_labels` must be at least 1")
        return number

    def _sampling(self, node: yaml.Node) -> Any:
        """Return `random`, `unknown`, or `weights` with the column that holds them."""
        if isinstance(node, yaml.MappingNode):
            items = self.reader.mapping(node, "`sampling`")
            if set(items) == {"weights"}:
                column = self.reader.value(items["weights"][1], str, "`weights`")
                return column if column is INVALID else ("weights", column)
        value = self.reader.plain(node)
        if value in ("random", "unknown"):
            return value
        known = "random, unknown, {weights: COLUMN}"
        return self.reader.report(node, f"`sampling` is {shown(node)}; it must be one of {known}")

    def _find(self, group: registry.Group, name: str, node: yaml.Node) -> Any:
        try:
            found = registry.find(group, name, self.path.parent)
        except registry.UnknownNameError as error:
            self.reader.report(node, str(error))
            return None
        if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
            self.reader.report(node, f"{name!r} is not a dataclass, as every {group[:-1]} must be")
            return None
        try:
            fields_of(found)
        except Exception as error:
            said = f"the annotations of {name!r} cannot be read: {type(error).__name__}: {error}"
            self.reader.report(node, said)
            return None
        return found

    def _variants(self, node: yaml.Node) -> tuple[Variant, ...]:
        reader = self.reader
        items = reader.mapping(node, "`variants`")
        self._variant_names = list(items)
        if not items:
            reader.report(node, "`variants` declares no variant, so there is nothing to approve")
        found = []
        for name, (key, value) in items.items():
            self._name(key, "variant")
            if name == DATA:
                reader.report(key, f"the variant name {DATA!r} is reserved for cases of the data")
            given = {"name": name, "location": self._location(key)}
            variant = reader.build(Variant, value, f"variant {name!r}", given)
            if variant is INVALID:
                continue
            for said in variant_faults(variant):
                reader.report(key, said)
            found.append(variant)
        return tuple(found)

    def _champion(self, node: yaml.Node) -> Any:
        if is_null(node):
            return None
        name, known = self.reader.value(node, str, "`champion`"), self._variant_names
        if name is INVALID or name in known:
            return name
        return self.reader.report(
            node, f"champion {name!r} is not a variant{did_you_mean(name, known)}"
        )

    def _policy(self, node: yaml.Node) -> Any:
        policy = self.reader.build(Policy, node, "`policy`")
        if policy is not INVALID and policy.spending != "none" and policy.ledger is None:
            said = "`spending` needs `ledger:`, which counts the looks that it spends on"
            return self.reader.report(node, said)
        return policy

    def _compute(self, node: yaml.Node) -> Any:
        compute = self.reader.build(Compute, node, "`compute`")
        if compute is not INVALID:
            sizes = (compute.batch_size, compute.threads, compute.shard_rows, compute.max_rows)
            if min(size for size in sizes if size is not None) < 1:
                return self.reader.report(node, "`compute`: sizes must be at least 1")
        return compute

    def _checks(self, node: yaml.Node) -> tuple[DeclaredCheck, ...]:
        found: list[DeclaredCheck] = []
        taken: dict[str, int] = {}
        items = self.reader.sequence(node, "`checks`")
        if isinstance(node, yaml.SequenceNode) and not items:
            self.reader.report(node, "`checks` is empty; a suite that asks nothing cannot approve")
        for item in items:
            declared = self._check(item, taken)
            if declared is not None:
                found.append(declared)
            else:
                # It was reported; the splits that it names are not to be called unused on top.
                self.reader.used_splits |= scalars(item)
        return tuple(found)

    def _check(self, node: yaml.Node, taken: dict[str, int]) -> DeclaredCheck | None:
        reader = self.reader
        if isinstance(node, yaml.ScalarNode) and isinstance(reader.plain(node), str):
            # `- label_drift` alone is a check with all its defaults.
            empty = yaml.ScalarNode("tag:yaml.org,2002:null", "", node.start_mark, node.end_mark)
            items: dict[str, tuple[yaml.Node, yaml.Node]] = {node.value: (node, empty)}
        else:
            items = reader.mapping(node, "an item of `checks`")
            if not isinstance(node, yaml.MappingNode):
                return None
        names = [name for name in items if name not in ("severity", "id")]
        if len(names) != 1:
            known = list(registry.names("checks"))
            said = f"names {', '.join(names)}" if names else "names none"
            hint = ""
            unknown = [name for name in names if name not in known and ":" not in name]
            if len(names) > 1 and unknown:
                # Most often `severity` or `id` misspelt, or a parameter at the wrong depth.
                hint = did_you_mean(unknown[-1], ["severity", "id", *known])
            place = items[unknown[-1]][0] if len(names) > 1 and unknown else node
            reader.report(
                place, f"an item of `checks` must name exactly one check; this {said}{hint}"
            )
            return None
        name = names[0]
        key, value = items[name]
        cls = self._find("checks", name, key)
        check = reader.build(cls, value, f"check {name!r}") if cls is not None else INVALID
        if check is not INVALID:
            check = self._sound(check, name, key)
        severity: Any = getattr(cls, "default_severity", "block")
        if "severity" in items:
            severity = reader.value(items["severity"][1], Severity, "`severity`")
        base = name.replace(":", ".")
        case_id = base
        if "id" in items:
            case_id = reader.value(items["id"][1], str, "`id`")
            if case_id is not INVALID and not _NAME.fullmatch(case_id):
                reader.report(
                    items["id"][1],
                    f"`id` {case_id!r} may hold only letters, digits, '_', '-' and '.'",
                )
            if case_id in taken:
                reader.report(items["id"][1], f"`id` {case_id!r} is taken in line {taken[case_id]}")
        else:
            number = 1
            while case_id in taken:
                number += 1
                case_id = f"{base}-{number}"
        if INVALID in (severity, case_id):
            return None
        taken[case_id] = key.start_mark.line + 1
        if check is INVALID:
            return None
        return DeclaredCheck(name, case_id, check, severity, self._location(key))

    def _sound(self, check: Any, name: str, key: yaml.Node) -> Any:
        """Return the check if it is one that the rest can rely on, or INVALID."""
        if not isinstance(check, Check):
            return self.reader.report(key, f"{name!r} is no check: see modelchecks.check.Check")
        for fact, kind in (("default_severity", Severity), ("scope", Scope)):
            if (said := getattr(check, fact)) not in get_args(kind):
                known = ", ".join(get_args(kind))
                return self.reader.report(
                    key, f"check {name!r} has {fact} {said!r}; it must be one of {known}"
                )
        try:
            needs = check.needs()
            self.reader.used_splits |= set(needs.splits)
        except Exception as error:
            return self.reader.report(
                key, f"check {name!r}: needs() raised {type(error).__name__}: {error}"
            )
        if needs.whose == "champion" and not self._has_champion:
            said = f"check {name!r} compares with the champion; name one with `champion:`"
            return self.reader.report(key, said)
        return check

    def _unused(self, checks: tuple[DeclaredCheck, ...]) -> None:
        if checks:
            for name, key in self.reader.splits.items():
                if name not in self.reader.used_splits:
                    self.reader.report(key, f"no check uses split {name!r}; use it or remove it")
