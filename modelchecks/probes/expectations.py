"""THE Great Expectations file: validates tables against an expectation suite, over all rows.

Expectations about single values are asked of every shard, and their counts add. Those about a whole
column (a mean, uniqueness, a set of distinct values) are asked of the sample of rows, and say so.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from modelchecks.check import ProbeRequest
from modelchecks.errors import EvidenceError
from modelchecks.expecting import Asked, Name, asked_of, read_suite
from modelchecks.facets import EVERY_ROW
from modelchecks.plan import Shard
from modelchecks.probes import ProbeContext
from modelchecks.probes.deferred import defer
from modelchecks.probes.pictures import pictures
from modelchecks.probes.tables import ROW, WHOLE, Table, sample_table, shard_table

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 5
_ACROSS_ROWS = frozenset(
    f"expect_{kind}"
    for kind in (
        "column_value_z_scores_to_be_less_than",
        "column_values_to_be_decreasing",
        "column_values_to_be_increasing",
        "column_values_to_be_unique",
        "column_values_to_not_be_outliers",
        "compound_columns_to_be_unique",
    )
)
"""Row by row in form, but each value is judged by the others."""


class Expectations:
    """Every expectation's outcome on a split: met, not met (with row ids), or raised.

    The request's options are `table` and `environment`; its file is the expectation suite.
    """

    # All facets of a split depend on the same: the rows, the code and the suite's `compute`.
    kinds: ClassVar[frozenset[str]] = frozenset({EVERY_ROW})
    packages: ClassVar[tuple[str, ...]] = ("great-expectations", "pandas")
    by_shard: ClassVar[bool] = True

    def run(
        self, request: ProbeRequest, context: ProbeContext, shard: Shard | None
    ) -> Mapping[str, Any]:
        """Return {of, sampled, expectations}; EvidenceError says why a suite cannot be asked."""
        if not context.evidence.total or shard is None:
            raise EvidenceError(f"split {request.split!r} has no rows")
        options = dict(request.options)
        name: Name = str(options["table"])  # type: ignore[assignment]
        path, environment = context.suite.folder / request.files[0], str(options["environment"])
        every = asked_of(path, read_suite(path))
        asked = [one for one in every if environment not in one.not_in]
        with _quietly():
            by_row = [one for one in asked if _is_by_row(one)]
            table = shard_table(context, name, shard.index)
            excused = [
                one
                for one in by_row
                if environment in one.optional_in and not set(one.columns) <= set(table)
            ]
            found = [_nothing(one) for one in excused]
            rest = [one for one in by_row if one not in excused]
            found += _validated(path, rest, table, context)
            if shard.index == 0:
                found += _of_all(path, [one for one in asked if one not in by_row], context, name)
        places = {one.place for one in asked if environment in one.optional_in}
        return {
            "of": context.evidence.total,
            "sampled": min(context.evidence.total, context.suite.compute.max_rows),
            "left_out": len(every) - len(asked),
            "expectations": [{**item, "optional": item["place"] in places} for item in found],
        }

    def merge(self, parts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return the outcome over all shards: counts add, and whether they are few enough."""
        by_place: dict[int, list[Mapping[str, Any]]] = {}
        for part in parts:
            for item in part["expectations"]:
                by_place.setdefault(item["place"], []).append(item)
        found = [_added(by_place[place]) for place in sorted(by_place)]
        return {**parts[0], "expectations": found}


@contextmanager
def _quietly() -> Iterator[None]:
    # jsonschema has it build a grammar at import, a second, which is asked about IRIs alone.
    defer("rfc3987_syntax", "is_valid_syntax")
    # Before the import: no analytics, nothing sent anywhere.
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # What its dependencies deprecate is not our user's concern.
        warnings.simplefilter("ignore")
        yield


def _is_by_row(one: Asked) -> bool:
    """Return whether an expectation is about single rows, so that the counts of shards add."""
    from great_expectations.expectations import expectation as kinds
    from great_expectations.expectations import registry

    try:
        cls = registry.get_expectation_impl(one.type)
    except Exception:
        # Refused, with its reason, where the suite is built.
        return False
    maps = (
        kinds.ColumnMapExpectation,
        kinds.ColumnPairMapExpectation,
        kinds.MulticolumnMapExpectation,
    )
    return issubclass(cls, maps) and one.type not in _ACROSS_ROWS


def _of_all(
    path: Path, asked: Sequence[Asked], context: ProbeContext, name: Name
) -> list[dict[str, Any]]:
    """Return what is asked of the whole table: the number of rows exactly, the rest of a sample."""
    import pandas as pd

    if not asked:
        return []
    counting = [one for one in asked if one.type.startswith("expect_table_row_count")]
    across = [one for one in asked if one.type in _ACROSS_ROWS]
    others = [one for one in asked if one not in counting and one not in across]
    table = sample_table(context, name, context.suite.compute.max_rows)
    found = _validated(path, across, table, context)
    del table[ROW]
    found += _validated(path, others, table, context)
    if counting:
        rows = pd.DataFrame(index=pd.RangeIndex(context.evidence.total))
        exact = [_expectation(result) for result in _answers(path, counting, rows)]
        found += [{**item, "examples": [], "of_sample": False} for item in exact]
    for item in found:
        item["by_row"] = False
    return found


def _validated(
    path: Path, asked: Sequence[Asked], table: Table, context: ProbeContext
) -> list[dict[str, Any]]:
    """Return the outcome of expectations on a table, some failing rows with their pictures."""
    answers = _answers(path, asked, _frame(table), ROW in table) if asked else []
    found = [_expectation(answer) for answer in answers]
    shown = pictures(context, [row for item in found for row in item["rows"]])
    for item in found:
        item["examples"] = [shown[row].json() for row in item["rows"]]
    return found


def _nothing(one: Asked) -> dict[str, Any]:
    """Return the outcome of an expectation whose column is not there, and need not be."""
    config = {**one.for_great_expectations(), "severity": one.content.get("severity")}
    detail = {"element_count": 0}
    answer = {"expectation_config": config, "success": True, "result": detail}
    return {**_expectation(answer), "examples": []}


def _frame(table: Table) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            name: pd.Series(column, dtype="Int64" if name in WHOLE else None)
            for name, column in table.items()
        }
    )


def _answers(
    path: Path, asked: Sequence[Asked], frame: pd.DataFrame, named: bool = False
) -> list[dict[str, Any]]:
    """Return Great Expectations' own answers, as it writes them into JSON."""
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    try:
        suite = gx.ExpectationSuite(
            name=path.stem, expectations=[one.for_great_expectations() for one in asked]
        )
    except Exception as error:
        raise EvidenceError(
            f"expectation suite {path} is not one that Great Expectations "
            f"{gx.__version__} accepts: {error}"
        ) from error
    batch = (
        context.data_sources.add_pandas("rows")
        .add_dataframe_asset("rows")
        .add_batch_definition_whole_dataframe("rows")
        .get_batch({"dataframe": frame})
    )
    wanted: dict[str, Any] = {"result_format": "COMPLETE", "include_unexpected_rows": False}
    if named:
        wanted["unexpected_index_column_names"] = [ROW]
    outcome = batch.validate(suite, result_format=wanted)
    if len(outcome.results) != len(asked):
        raise EvidenceError(
            f"expectation suite {path} has {len(asked)} expectations but {len(outcome.results)} "
            "were answered"
        )
    return [result.to_json_dict() for result in outcome.results]


def _expectation(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return one expectation's outcome in plain JSON; `rows` are the places of failing rows."""
    config = result["expectation_config"]
    kwargs = {k: v for k, v in config["kwargs"].items() if k not in ("batch_id", "id")}
    raised = _exception(result.get("exception_info"))
    detail = result.get("result") or {}
    unexpected = detail.get("unexpected_index_list") or []
    rows = [row[ROW] for row in unexpected if isinstance(row, Mapping) and ROW in row]
    counted, mostly = "element_count" in detail, config["kwargs"].get("mostly")
    looked = int(detail.get("element_count") or 0) - int(detail.get("missing_count") or 0)
    return {
        "place": Asked.place_in(config),
        "type": config["type"],
        "kwargs": _plain(kwargs),
        "severity": str(config.get("severity") or "critical"),
        # bool(): one expectation of GX 1.24 answers a numpy bool, which `is True` would not see.
        "met": bool(result["success"]) and raised is None,
        "raised": raised,
        "observed": _plain(detail.get("observed_value")),
        "by_row": True,
        "of_sample": True,
        "looked": looked if counted else None,
        "unexpected": int(detail.get("unexpected_count") or 0),
        "mostly": 1.0 if mostly is None else float(mostly),
        "rows": [int(row) for row in rows[:EXAMPLES]],
    }


def _added(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one expectation's outcome over all its shards."""
    first = dict(items[0])
    raised = [item["raised"] for item in items if item["raised"] is not None]
    first["raised"] = raised[0] if raised else None
    examples = [example for item in items for example in item["examples"]]
    first["examples"] = examples[:EXAMPLES]
    del first["rows"]
    first["unexpected"] = sum(item["unexpected"] for item in items)
    if any(item["looked"] is None for item in items):
        first["met"] = all(item["met"] for item in items)
    else:
        first["looked"] = sum(item["looked"] for item in items)
        # Great Expectations' own rule, on the sums.
        good = first["looked"] - first["unexpected"]
        share = good / first["looked"] if first["looked"] else 1.0
        first["met"] = not raised and share >= first["mostly"]
        if len(items) == 1 and not raised and first["met"] != items[0]["met"]:
            first["raised"] = "Great Expectations judges these counts otherwise than their share"
    first["met"] = first["met"] and first["raised"] is None
    # What no value was looked at for is met by nothing.
    first["vacuous"] = first["by_row"] and first["looked"] == 0 and first["raised"] is None
    return first


def _exception(info: Any) -> str | None:
    """Return the message of an expectation that raised: GX hides it behind `success: false`."""
    if not isinstance(info, Mapping):
        return None
    if "raised_exception" in info:
        return str(info.get("exception_message")) if info["raised_exception"] else None
    messages = [message for item in info.values() if (message := _exception(item)) is not None]
    return messages[0] if messages else None


def _plain(value: Any) -> Any:
    """Return a JSON value without NaN, infinity or foreign types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value[:20]]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
