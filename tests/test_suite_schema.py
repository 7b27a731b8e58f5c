"""The JSON Schema that editors use is valid and agrees with the loader."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from modelchecks import registry
from modelchecks.load import read_suite
from modelchecks.suite_schema import suite_schema
from tests.test_load import EXAMPLE, ROOT

SCHEMA = suite_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def accepts(text: str) -> bool:
    return VALIDATOR.is_valid(yaml.safe_load(text))


def test_the_schema_is_a_valid_json_schema_of_every_registered_check_and_source() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(registry.names("checks")) <= set(
        SCHEMA["properties"]["checks"]["items"]["anyOf"][0]["properties"]
    )
    splits = SCHEMA["properties"]["data"]["additionalProperties"]["anyOf"]
    named = {split["properties"]["source"].get("const") for split in splits}
    assert set(registry.names("sources")) <= named


def test_every_key_of_a_check_carries_its_help_text() -> None:
    checks = SCHEMA["properties"]["checks"]["items"]["anyOf"][0]["properties"]
    for name in registry.names("checks"):
        assert checks[name]["description"]
        for key, schema in checks[name]["properties"].items():
            assert schema["description"], f"{name}.{key}"


def test_it_accepts_the_example_of_the_interface_and_the_suite_of_the_case_study() -> None:
    assert accepts(EXAMPLE)
    assert accepts((ROOT / "suites" / "fashion.suite.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("champion:", "chmapion:"),
        ("slices:", "slice:"),
        ("weights: runs/baseline", "weihgts: runs/baseline"),
        ("max_drop: 5pp", "max_dorp: 5pp"),
        ("max_drop: 5pp", "max_drop: 5"),
        ("max_drop: 5pp", "max_drop: five"),
        ("max_drop: 5pp", "max_drop: true"),
        ("severity: block ", "severity: blok "),
        ("sampling: random", "sampling: {weights: 5}"),
        ("sampling: random", "sampling: {weight: w}"),
        ("inconclusive: fail", "inconclusive: never"),
        ("- schema:", "- shcema:"),
        ("source: parquet", "source: parqet"),
        ("group: null", "group: [session]"),
        ("split: train", "split: trian"),
        ("suite: fashion", "siute: fashion"),
        ("splits: [train, offline, live]", "splits: live"),
    ],
)
def test_it_refuses_what_the_loader_refuses(tmp_path: Path, was: str, becomes: str) -> None:
    text = EXAMPLE.replace(was, becomes, 1)
    assert text != EXAMPLE
    assert not accepts(text)
    path = tmp_path / "x.suite.yaml"
    path.write_text(text)
    assert read_suite(path)[0] is None


def optional(required: dict[str, Any], extra: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(required, optional=extra)


names = st.from_regex(r"[a-z][a-z0-9_.-]{0,6}", fullmatch=True).filter(lambda name: name != "data")
words = st.text(st.characters(codec="ascii", categories=["L", "P"]), min_size=1, max_size=8)
shares = st.floats(0, 1) | st.sampled_from(
    ["5pp", "5 pp", "0.5%", " 95 % ", "1e-3", "0.05", "5e-1%", ".5", "+5pp"]
)
confidences = st.floats(0.51, 0.99) | st.sampled_from(["95%", "99 pp", "9.5e-1"])
nothing = st.none()
SPLITS = {
    "parquet": optional(
        {"source": st.just("parquet"), "path": words},
        {"image": words | nothing, "label": words, "id": words, "max_pixels": st.integers(1)},
    ),
    "fashion_mnist": optional(
        {"source": st.just("fashion_mnist"), "split": st.sampled_from(["train", "live_pool"])},
        {"folder": words | nothing},
    ),
}
COMMON = optional(
    {},
    {
        "slices": st.lists(words, max_size=3),
        "sampling": st.sampled_from(["random", "unknown"]),
        "assume_random": words | nothing,
        "group": nothing,
    },
)
splits = st.builds(lambda split, common: {**split, **common}, st.one_of(*SPLITS.values()), COMMON)
variants = st.one_of(
    optional({"logged": words}, {"history": words}),
    optional(
        {"model": words.map("m:{}".format), "weights": words.map("{}.pt".format)},
        {
            "transform": words | nothing,
            "trusted": st.booleans(),
            "runs": st.lists(
                st.builds(lambda tags: {**tags, "weights": "w"}, st.dictionaries(words, words))
            ),
        },
    ),
)
image = {
    "shape": st.lists(st.integers(1, 64), min_size=3, max_size=3),
    "dtype": st.just("uint8"),
    "range": st.tuples(st.floats(-9, 0), st.floats(1, 9) | st.just("1e3")).map(list),
}
drift = {"max_effect": shares, "confidence": confidences}
CHECKS: list[tuple[str, st.SearchStrategy[Any]]] = [
    ("accuracy_drop", optional({"max_drop": shares}, {"confidence": confidences})),
    ("accuracy_floor", optional({"min_accuracy": shares}, {"split": st.just("offline")})),
    ("feature_drift", optional({}, {**drift, "features": st.lists(words, min_size=1)}) | nothing),
    ("label_drift", optional({}, drift) | nothing),
    ("prediction_drift", optional({}, drift) | nothing),
    ("schema", optional({"splits": st.just(["live"]), "expectations": words}, {"image": nothing})),
    ("schema", st.fixed_dictionaries({"splits": st.just(["train"]), "image": optional(
        {"dtype": st.just("uint8")}, {key: image[key] for key in ("shape", "range")})})),
]  # fmt: skip
extras = optional({}, {"severity": st.sampled_from(["block", "warn", "info"])})
items = st.one_of(
    *(
        st.builds(lambda value, extra, name=name: {name: value, **extra}, values, extras)
        for name, values in CHECKS
    ),
    st.sampled_from(["label_drift", "prediction_drift", "feature_drift"]),
)
suites = st.builds(
    lambda required, extra: {**required, **extra},
    st.fixed_dictionaries(
        {
            "suite": words,
            "data": st.fixed_dictionaries(dict.fromkeys(["train", "offline", "live"], splits)),
            "variants": st.dictionaries(names, variants, min_size=1, max_size=3),
            "checks": st.lists(items, max_size=4).map(
                # So that every split is used.
                lambda checks: [*checks, "feature_drift", {"accuracy_drop": {"max_drop": "1pp"}}]
            ),
        }
    ),
    optional(
        {},
        {
            "description": words,
            "champion": nothing,
            "classes": st.lists(words, unique=True),
            "policy": nothing
            | optional({}, {"mode": st.just("observe"), "ledger": words | nothing}),
            "compute": nothing | optional({}, {"seed": st.integers(), "batch_size": st.just(7)}),
        },
    ),
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(suite=suites)
def test_what_the_loader_accepts_the_schema_accepts(tmp_path: Path, suite: Any) -> None:
    text = yaml.safe_dump(suite, sort_keys=False)
    path = tmp_path / "x.suite.yaml"
    path.write_text(text)
    loaded, problems = read_suite(path)
    assert loaded is not None, "\n".join(map(str, problems))
    VALIDATOR.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "at",
    [
        lambda suite: suite,
        lambda suite: suite["data"]["live"],
        lambda suite: suite["variants"]["baseline"],
        lambda suite: suite["checks"][0],
        lambda suite: suite["checks"][0]["schema"],
        lambda suite: suite["checks"][3]["accuracy_drop"],
        lambda suite: suite["policy"],
    ],
)
def test_an_unknown_key_is_refused_at_every_depth(at: Callable[[Any], Any]) -> None:
    suite = copy.deepcopy(yaml.safe_load(EXAMPLE))
    at(suite)["unknown"] = 1
    assert not VALIDATOR.is_valid(suite)


def test_checks_and_sources_beside_the_suite_are_left_to_the_loader() -> None:
    suite = yaml.safe_load(EXAMPLE)
    suite["checks"] += [{"mine:Check": {"anything": 1}, "id": "x"}, "mine:Check"]
    suite["data"]["mine"] = {"source": "mine:Source", "anything": 1}
    VALIDATOR.validate(suite)
