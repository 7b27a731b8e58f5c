"""The plan asks for exactly what the selected cases need, and its shards cover every row once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelchecks.errors import SuiteError
from modelchecks.load import load_suite
from modelchecks.plan import Case, all_cases, make_plan, shards
from modelchecks.suite import Suite
from tests.conftest import Bench

CHECKS = """\
- schema: {expectations: e.json, splits: [offline, live]}
- feature_drift: {reference: offline, features: [brightness]}
- feature_drift: {reference: offline, features: [contrast]}
- accuracy_floor: {min_accuracy: 90%}
- accuracy_drop: {max_drop: 5pp}
  id: drop
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    return load_suite(Bench(tmp_path_factory.mktemp("plan")).suite(CHECKS))


def test_there_is_a_case_for_each_check_and_variant_and_one_for_each_check_of_the_data(
    suite: Suite,
) -> None:
    plan = make_plan(suite)
    assert [case.id for case in plan.cases] == [
        "schema[data]",
        "feature_drift[data]",
        "feature_drift-2[data]",
        "accuracy_floor[good]",
        "accuracy_floor[bad]",
        "drop[good]",
        "drop[bad]",
    ]
    assert plan.declared == plan.cases == all_cases(suite)
    assert plan.variants == ("good", "bad")


def test_needs_are_the_union_over_all_cases(suite: Suite) -> None:
    plan = make_plan(suite)
    features = {"feature:brightness", "feature:contrast"}
    every = {"all:rows", "all:images", "all:columns"}
    facets = features | every | {"rows", "answers:good", "answers:bad"}
    assert {split.split: set(split.facets) for split in plan.splits} == {
        "offline": facets,
        "live": facets,
    }
    for split in plan.splits:
        assert [variant.name for variant in split.variants] == ["good", "bad"]
    assert [(probe.probe, probe.split, probe.files) for probe in plan.probes] == [
        ("expectations", "offline", ("e.json",)),
        ("expectations", "live", ("e.json",)),
    ]


def test_a_selection_drops_the_needs_of_what_it_leaves_out_but_not_its_declaration(
    suite: Suite,
) -> None:
    plan = make_plan(suite, select=lambda case: case.id == "accuracy_floor[bad]")
    assert [case.id for case in plan.cases] == ["accuracy_floor[bad]"]
    assert plan.declared == all_cases(suite)
    (split,) = plan.splits
    assert (split.split, set(split.facets)) == ("live", {"rows", "answers:bad"})
    assert [variant.name for variant in split.variants] == ["bad"]
    assert plan.probes == ()


def test_a_variant_answers_only_on_the_splits_where_it_is_asked(suite: Suite) -> None:
    chosen = {"accuracy_floor[good]", "drop[bad]"}
    plan = make_plan(suite, select=lambda case: case.id in chosen)
    asked = {split.split: [variant.name for variant in split.variants] for split in plan.splits}
    assert asked == {"offline": ["bad"], "live": ["good", "bad"]}


def test_selecting_nothing_needs_nothing(suite: Suite) -> None:
    plan = make_plan(suite, select=lambda case: False)
    assert (plan.cases, plan.splits, plan.probes) == ((), (), ())
    assert len(plan.declared) == 7


def test_named_variants_leave_the_others_out_and_keep_the_cases_of_the_data(suite: Suite) -> None:
    plan = make_plan(suite, ["bad"])
    assert plan.variants == ("bad",)
    assert {case.variant for case in plan.declared} == {None, "bad"}
    assert len(plan.cases) == 5
    assert all([v.name for v in split.variants] == ["bad"] for split in plan.splits)


def test_variants_are_planned_in_the_order_of_the_suite(suite: Suite) -> None:
    assert make_plan(suite, ["bad", "good", "bad"]) == make_plan(suite)
    assert make_plan(suite, []) == make_plan(suite)


def test_an_unknown_variant_is_a_problem_with_the_closest_name(suite: Suite) -> None:
    with pytest.raises(SuiteError) as raised:
        make_plan(suite, ["god", "bad", "zzz"])
    assert [problem.message for problem in raised.value.problems] == [
        "no variant is named 'god'; did you mean 'good'?",
        "no variant is named 'zzz'; known: bad, good",
    ]


@given(chosen=st.sets(st.integers(0, 6)))
def test_a_plan_needs_what_its_cases_need_and_no_more(suite: Suite, chosen: set[int]) -> None:
    cases = all_cases(suite)
    ids = {cases[number].id for number in chosen}

    def select(case: Case) -> bool:
        return case.id in ids

    plan = make_plan(suite, select=select)
    facets = {
        "labels": "rows",
        "images": "images",
        "columns": "columns",
        "predictions": "answers:{}",
    }
    wanted = {
        (split, facet)
        for case in plan.cases
        for split, kinds in case.declared.check.needs().splits.items()
        for facet in ("rows", *(facets.get(kind, kind).format(case.variant) for kind in kinds))
    }
    assert {(split.split, facet) for split in plan.splits for facet in split.facets} == wanted
    answers = {
        (split, case.variant)
        for case in plan.cases
        for split, kinds in case.declared.check.needs().splits.items()
        if "predictions" in kinds
    }
    assert {(split.split, v.name) for split in plan.splits for v in split.variants} == answers


@given(rows=st.integers(0, 5000), size=st.integers(1, 700))
def test_shards_cover_every_row_exactly_once_in_order(rows: int, size: int) -> None:
    cut = shards("live", rows, size)
    covered = [row for shard in cut for row in range(shard.start, shard.stop)]
    assert covered == list(range(rows))
    assert [shard.index for shard in cut] == list(range(len(cut)))
    assert all(shard.split == "live" for shard in cut)
    assert all(0 < shard.stop - shard.start <= size for shard in cut) or rows == 0
    assert len(cut) == max(1, -(-rows // size))
