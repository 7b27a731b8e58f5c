"""The schema check on real tables, through the real Great Expectations."""

from __future__ import annotations

import base64
import io
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from casestudy.live import png
from modelchecks import load_suite, run_suite
from modelchecks.checks.schema import ImageSchema, Schema

ROWS = 40


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A log of forty grey 6 x 4 images with an expectation suite beside it."""
    monkeypatch.delenv("MODELCHECKS_CACHE", raising=False)
    draw = np.random.default_rng(0)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    table = pa.table(
        {
            "image": [png(draw.integers(0, 200, (6, 4), dtype=np.uint8)) for _ in range(ROWS)],
            "label": [i % 3 for i in range(ROWS)],
            "id": [f"r{i:02d}" for i in range(ROWS)],
            "camera": ["A", "B"] * (ROWS // 2),
            "latency": draw.exponential(30, ROWS),
            "time": pa.array([start + timedelta(hours=i) for i in range(ROWS)]),
            "answer": [i % 3 for i in range(ROWS)],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    return tmp_path


def judge(folder, expectations=None, image="", more="", rest="", **columns):
    (result,) = cases(folder, expectations, image, more, rest, **columns)
    return result


def cases(folder, expectations=None, image="", more="", rest="", **columns):
    table = pq.read_table(folder / "a.parquet")
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    pq.write_table(table, folder / "a.parquet")
    parts = []
    if expectations is not None:
        content = {"name": "rows", "expectations": expectations}
        (folder / "e.json").write_text(json.dumps(content))
        parts.append("expectations: e.json")
    if image:
        parts.append(f"image: {{{image}}}")
    if more:
        parts.append(more)
    (folder / "s.suite.yaml").write_text(
        "suite: s\n"
        "data: {a: {source: parquet, path: a.parquet, image: image, label: label, id: id}}\n"
        "variants: {v: {logged: answer}}\n"
        f"checks: [schema: {{{', '.join([*parts, 'splits: [a]'])}}}]\n{rest}\n"
    )
    return run_suite(load_suite(folder / "s.suite.yaml")).results


def expect(kind, severity=None, meta=None, **kwargs):
    item = {"type": f"expect_{kind}", "kwargs": kwargs}
    item |= {} if meta is None else {"meta": {"modelchecks": meta}}
    return item if severity is None else {**item, "severity": severity}


GOOD = [
    expect("column_values_to_be_in_set", column="label", value_set=[0, 1, 2]),
    expect("column_values_to_be_unique", column="id"),
    expect("column_values_to_be_between", column="width", min_value=4, max_value=4),
    expect("column_values_to_be_in_set", column="dtype", value_set=["uint8"]),
    expect("column_mean_to_be_between", column="mean", min_value=50, max_value=150),
    expect("column_values_to_be_between", column="latency", min_value=0),
    expect("column_to_exist", column="camera"),
    expect("column_values_to_not_be_null", column="time"),
]


def test_expectations_of_every_kind_of_column_are_met(folder):
    result = judge(folder, GOOD, image="shape: [6, 4, 1], dtype: uint8, range: [0, 255]")
    assert result.status == "passed"
    assert "8 expectations met on a" in result.message
    told = result.details["a"]
    assert (told["sampled"], told["of"]) == (ROWS, ROWS)
    assert [item["type"] for item in told["expectations"]] == [item["type"] for item in GOOD]


def test_what_is_not_met_names_column_and_rows(folder):
    result = judge(folder, GOOD, label=[7] * 2 + [1] * (ROWS - 2), id=["r"] * 2 + [*"x" * 38])
    assert result.status == "failed"
    assert "2 not met" in result.message
    assert "column values to be in set (label" in result.message
    assert "2 rows" in result.message


def test_examples_are_row_ids(folder):
    result = judge(folder, GOOD[:1], label=[0] * 5 + [9] + [0] * (ROWS - 6))
    assert "such as r05" in result.message
    assert result.details["a"]["expectations"][0]["examples"] == ["r05"]


def test_null_labels_are_null_for_expectations(folder):
    wanted = [expect("column_values_to_not_be_null", column="label")]
    result = judge(folder, wanted, label=pa.array([None] + [1] * (ROWS - 1), pa.int64()))
    assert result.status == "failed"
    assert "1 rows, such as r00" in result.message


@pytest.mark.parametrize("severity", ["warning", "info"])
def test_a_mild_severity_is_noted_and_does_not_fail(folder, severity):
    wanted = [*GOOD, expect("column_to_exist", severity, column="price")]
    result = judge(folder, wanted)
    assert result.status == "passed"
    assert "1 noted" in result.message
    assert judge(folder, [*GOOD, expect("column_to_exist", column="price")]).status == "failed"


def test_an_expectation_that_raises_is_errored_not_failed_nor_passed(folder):
    result = judge(
        folder, [*GOOD, expect("column_values_to_be_between", column="price", min_value=0)]
    )
    assert result.status == "errored"
    assert "could not be judged" in result.message
    assert "price" in result.message


def test_a_numpy_bool_is_a_bool(folder):
    """Great Expectations 1.24 answers this one with a numpy bool."""
    ranges = {"quantiles": [0.5], "value_ranges": [[0, 200]]}
    wanted = [expect("column_quantile_values_to_be_between", column="mean", quantile_ranges=ranges)]
    assert judge(folder, wanted).status == "passed"
    ranges["value_ranges"] = [[0, 1]]
    assert judge(folder, wanted).status == "failed"


@pytest.mark.parametrize(
    ("expectations", "told"),
    [
        ([expect("column_values_to_be_lovely", column="label")], "e.json"),
        ([{"kwargs": {}}], "e.json"),
        ([expect("column_values_to_be_in_set", colunm="label")], "e.json"),
    ],
)
def test_a_suite_that_great_expectations_refuses_is_errored_and_named(folder, expectations, told):
    result = judge(folder, expectations)
    assert result.status == "errored"
    assert told in result.message


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("shape: [28, 28, 1]", "image shape is not 28x28x1: 40 with 6x4x1"),
        ("dtype: float32", "image dtype is not float32: 40 with uint8"),
        ("range: [0, 100]", "leave the range 0 to 100"),
    ],
)
def test_images_unlike_the_schema_fail(folder, image, told):
    result = judge(folder, image=image)
    assert result.status == "failed"
    assert told in result.message


def test_inverted_polarity_is_seen_by_the_mean(folder):
    """The fault that keeps shape, type and range: white is black."""
    draw = np.random.default_rng(0)
    inverted = [png(255 - draw.integers(0, 60, (6, 4), dtype=np.uint8)) for _ in range(ROWS)]
    assert judge(folder, GOOD, image=inverted_check()).status == "passed"
    assert judge(folder, GOOD, image=inverted_check(), **{"label": [1] * ROWS}).status == "passed"
    table = pq.read_table(folder / "a.parquet")
    column = table.schema.get_field_index("image")
    pq.write_table(table.set_column(column, "image", pa.array(inverted)), folder / "a.parquet")
    result = judge(folder, GOOD, image=inverted_check())
    assert result.status == "failed"
    assert "column mean to be between (mean" in result.message


def inverted_check() -> str:
    return "shape: [6, 4, 1], dtype: uint8, range: [0, 255]"


def test_single_values_are_asked_of_all_rows_and_whole_columns_of_a_sample(folder):
    counts = [expect("table_row_count_to_equal", value=ROWS)]
    few = "compute: {max_rows: 25, shard_rows: 7}"
    result = judge(folder, [*GOOD, *counts], rest=few)
    assert result.status == "passed"
    assert "expectations looked at a sample: 25 of 40 rows of a (3 about whole" in result.message
    by_type = {item["type"]: item for item in result.details["a"]["expectations"]}
    assert by_type["expect_column_values_to_be_in_set"]["looked"] == ROWS
    assert by_type["expect_column_values_to_be_unique"]["looked"] == 25
    assert by_type["expect_table_row_count_to_equal"]["of_sample"] is False


@pytest.mark.parametrize("shard_rows", [1, 7, 40])
@pytest.mark.parametrize(("mostly", "status"), [(0.8, "passed"), (0.81, "failed")])
def test_counts_of_shards_add(folder, shard_rows, mostly, status):
    """Eight of the forty labels are wrong, all in one place: 80 % are right."""
    wanted = [expect("column_values_to_be_in_set", column="label", value_set=[1], mostly=mostly)]
    result = judge(folder, wanted, rest=f"compute: {{shard_rows: {shard_rows}}}", label=EIGHT)
    assert result.status == status
    (told,) = result.details["a"]["expectations"]
    assert (told["looked"], told["unexpected"]) == (ROWS, 8)
    assert told["examples"] == [f"r{i:02d}" for i in range(3, 8)]


EIGHT = [1] * 3 + [9] * 8 + [1] * (ROWS - 11)


def test_rows_that_fail_are_shown(folder):
    result = judge(folder, GOOD[:1], label=EIGHT)
    pictures = result.details["images"]
    assert [picture["caption"] for picture in pictures] == [f"a r{i:02d}" for i in range(3, 8)]
    data = base64.b64decode(pictures[0]["png"])
    shown = np.asarray(Image.open(io.BytesIO(data)))
    stored = pq.read_table(folder / "a.parquet")["image"][3].as_py()
    assert np.array_equal(shown, np.asarray(Image.open(io.BytesIO(stored))))


def test_each_expectation_may_be_a_case(folder):
    wanted = [*GOOD, expect("column_values_to_be_between", column="price", min_value=0)]
    found = cases(folder, wanted, more="results: expectation", label=EIGHT)
    assert [result.case for result in found[:2]] == [
        "schema.values-to-be-in-set.label[data]",
        "schema.values-to-be-unique.id[data]",
    ]
    statuses = {result.case: result.status for result in found}
    assert len(statuses) == len(wanted)
    assert statuses["schema.values-to-be-in-set.label[data]"] == "failed"
    assert statuses["schema.values-to-be-between.price[data]"] == "errored"
    assert sorted(statuses.values())[2:] == ["passed"] * (len(wanted) - 2)


def test_two_alike_are_two_cases_and_an_unreadable_file_is_one(folder):
    found = cases(folder, GOOD[:1] * 2, more="results: expectation")
    assert [result.case for result in found] == [
        "schema.values-to-be-in-set.label[data]",
        "schema.values-to-be-in-set.label-2[data]",
    ]
    (folder / "e.json").unlink()
    (result,) = run_suite(load_suite(folder / "s.suite.yaml")).results
    assert (result.case, result.status) == ("schema[data]", "errored")
    assert "e.json cannot be read" in result.message


NO_LABELS = pa.nulls(ROWS, pa.int64())


def test_no_value_meets_nothing(folder):
    """Great Expectations calls an expectation about no values a success."""
    result = judge(folder, GOOD[:2], label=NO_LABELS)
    assert result.status == "inconclusive"
    assert "1 found no value to look at: a: column values to be in set (label" in result.message


def test_in_an_environment_labels_may_be_missing_but_not_wrong(folder):
    live = {"not_in": ["live"], "optional_in": ["live"]}
    there = expect("column_values_to_not_be_null", meta={"not_in": ["live"]}, column="label")
    known = expect(
        "column_values_to_be_in_set",
        meta={"optional_in": ["live"]},
        column="label",
        value_set=[0, 1, 2],
    )
    gone = expect("column_values_to_be_between", meta=live, column="price", min_value=0)
    as_live = "environments: {a: live}"
    wanted = [GOOD[1], there, known, gone]
    half = pa.array([None, 1] * (ROWS // 2), pa.int64())
    assert judge(folder, wanted[:3], label=half).status == "failed"
    passed = judge(folder, wanted, more=as_live, label=half)
    assert (passed.status, passed.details["a"]["left_out"]) == ("passed", 2)
    assert judge(folder, wanted, more=as_live, label=NO_LABELS).status == "passed"
    assert judge(folder, wanted, more=as_live, label=EIGHT).status == "failed"
    every = [expect("column_to_exist", meta=live, column="label")]
    asked = judge(folder, every, more=as_live)
    assert asked.status == "inconclusive"
    assert "nothing was asked that must hold on a" in asked.message


@pytest.mark.parametrize("meta", [{"not_on": ["a"]}, {"not_in": "a"}, {"optional_in": 3}, []])
def test_a_meta_that_is_misspelt_is_errored(folder, meta):
    item = {**GOOD[0], "meta": {"modelchecks": meta}}
    result = judge(folder, [item])
    assert (result.status, "meta: modelchecks:" in result.message) == (
        ("errored", True) if meta else ("passed", False)
    )


@pytest.mark.parametrize(
    ("table", "columns", "absent"),
    [
        ("images", ["width", "mode", "bytes", "entropy", "format", "orientation"], "label"),
        ("labels", ["label", "name", "form"], "width"),
        ("log", ["camera", "latency", "time"], "label"),
        ("rows", ["width", "label", "camera", "time"], "name"),
    ],
)
def test_tables(folder, table, columns, absent):
    wanted = [expect("column_to_exist", column=name) for name in ["id", *columns]]
    assert judge(folder, wanted, more=f"table: {table}").status == "passed"
    wanted.append(expect("column_to_exist", column=absent))
    assert judge(folder, wanted, more=f"table: {table}").status == "failed"


def test_what_images_say_of_themselves(folder):
    stored = pq.read_table(folder / "a.parquet")["image"].to_pylist()
    wanted = [
        expect("column_values_to_be_in_set", column="format", value_set=["PNG"]),
        expect("column_values_to_be_in_set", column="mode", value_set=["L"]),
        expect(
            "column_values_to_be_between",
            column="bytes",
            min_value=min(map(len, stored)),
            max_value=max(map(len, stored)),
        ),
        expect("column_values_to_be_between", column="entropy", min_value=3, max_value=8),
        expect("column_values_to_be_null", column="orientation"),
    ]
    assert judge(folder, wanted, more="table: images").status == "passed"


def test_one_hot_labels_are_class_ids(folder):
    form = expect("column_values_to_be_in_set", column="form", value_set=["one-hot"])
    hot = [[float(i % 3 == k) for k in range(3)] for i in range(ROWS)]
    result = judge(folder, [GOOD[0], form], more="table: labels", label=hot)
    assert result.status == "passed"
    hot[5] = [1.0, 1.0, 0.0]
    result = judge(folder, [GOOD[0], form], more="table: labels", label=hot)
    assert result.status == "errored"
    assert "is [1.0, 1.0, 0.0], which is not one class" in result.message


def test_a_file_that_changes_is_asked_again(folder):
    assert judge(folder, GOOD[:1]).status == "passed"
    assert judge(folder, [expect("column_to_exist", column="price")]).status == "failed"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"splits": ()}, "splits: is empty"),
        ({"splits": ("a",)}, "asks nothing"),
        ({"splits": ("a",), "expectations": "e", "environments": {"b": "x"}}, "environments"),
        (
            {"splits": ("a",), "image": ImageSchema(dtype="uint8"), "results": "expectation"},
            "results",
        ),
    ],
)
def test_a_schema_that_asks_nothing_is_refused(options, named):
    with pytest.raises(ValueError, match=named):
        Schema(**options)


@pytest.mark.parametrize(
    "options",
    [{}, {"shape": (1, 2)}, {"shape": (0, 1, 1)}, {"range": (3.0, 1.0)}, {"range": (1.0,)}],
)
def test_an_image_schema_must_make_sense(options):
    with pytest.raises(ValueError, match=r"shape|range|asks nothing"):
        ImageSchema(**options)
