"""THE Great Expectations file: validates the per-image table against an expectation suite."""

from __future__ import annotations

import json
import logging
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from modelchecks.check import ProbeRequest
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.plan import Shard
from modelchecks.probes import ProbeContext
from modelchecks.totals import UNLABELLED

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 5


def table(evidence: Evidence) -> pd.DataFrame:
    """Return the sampled rows as the table that expectations see, in the order of the split.

    Columns: `id`, `label` (null where unlabelled), `width`, `height`, `channels`, `dtype`, `min`,
    `max`, `mean` of the decoded image, and the log's own columns under their names.
    """
    import numpy as np
    import pandas as pd

    rows = evidence.rows.uniform().columns
    order = np.argsort(rows["index"], kind="stable")
    frame = pd.DataFrame({"id": rows["id"][order]})
    labels = pd.Series(rows["label"][order], dtype="Int64")
    frame["label"] = labels.mask(labels == UNLABELLED)
    for name, column in rows.items():
        prefix, _, plain = name.partition(":")
        # An image column wins over a log column of the same name: it is what was really decoded.
        if prefix == "image" or (prefix == "column" and f"image:{plain}" not in rows):
            whole = plain in ("width", "height", "channels")
            frame[plain] = pd.Series(column[order], dtype="Int64" if whole else None)
    return frame


class Expectations:
    """Every expectation's outcome on a split: met, not met (with row ids), or raised."""

    kinds: ClassVar[frozenset[str]] = frozenset({"labels", "images", "columns"})
    packages: ClassVar[tuple[str, ...]] = ("great-expectations", "pandas")
    by_shard: ClassVar[bool] = False

    def run(
        self, request: ProbeRequest, context: ProbeContext, shard: Shard | None
    ) -> Mapping[str, Any]:
        """Return {rows, of, expectations}; EvidenceError says why a suite cannot be asked."""
        path = context.suite.folder / request.files[0]
        expectations = _read_suite(path)
        # Before the import: no analytics, nothing sent anywhere.
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
        logging.getLogger("great_expectations").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            # What its dependencies deprecate is not our user's concern.
            warnings.simplefilter("ignore")
            return _validate(path, expectations, context.evidence)

    def merge(self, parts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return the only part."""
        return parts[0]


def _read_suite(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvidenceError(
            f"expectation suite {path} cannot be read ({error.strerror or error}). Write it there "
            "or correct `expectations:`"
        ) from error
    except ValueError as error:
        raise EvidenceError(f"expectation suite {path} is not JSON: {error}") from error
    if not isinstance(content, dict) or not content.get("expectations"):
        raise EvidenceError(
            f"expectation suite {path} holds no expectations; a suite that asks nothing cannot "
            "approve. Add some under `expectations`"
        )
    return content


def _validate(path: Path, content: Mapping[str, Any], evidence: Evidence) -> dict[str, Any]:
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    try:
        suite = gx.ExpectationSuite(
            name=str(content.get("name") or path.stem),
            expectations=[
                {key: item[key] for key in ("type", "kwargs", "meta", "severity") if key in item}
                for item in content["expectations"]
            ],
        )
    except Exception as error:
        raise EvidenceError(
            f"expectation suite {path} is not one that Great Expectations "
            f"{gx.__version__} accepts: {error}"
        ) from error
    frame = table(evidence)
    batch = (
        context.data_sources.add_pandas("rows")
        .add_dataframe_asset("rows")
        .add_batch_definition_whole_dataframe("rows")
        .get_batch({"dataframe": frame})
    )
    outcome = batch.validate(
        suite,
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": ["id"],
            "include_unexpected_rows": False,
        },
    )
    found = [_expectation(result.to_json_dict()) for result in outcome.results]
    if len(found) != len(content["expectations"]):
        raise EvidenceError(
            f"expectation suite {path} has {len(content['expectations'])} expectations but "
            f"{len(found)} were answered"
        )
    if len(frame) != evidence.total:
        for item in found:
            if "table_row_count" in item["type"]:
                # The number of sampled rows says nothing about how many there are.
                item["met"], item["raised"] = (
                    False,
                    (
                        f"an error: only {len(frame):,} of {evidence.total:,} rows were looked at; "
                        "raise `compute: max_rows` to ask this"
                    ),
                )
    return {"rows": len(frame), "of": evidence.total, "expectations": found}


def _expectation(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return one expectation's outcome in plain JSON."""
    config = result["expectation_config"]
    kwargs = {k: v for k, v in config["kwargs"].items() if k not in ("batch_id", "id")}
    raised = _exception(result.get("exception_info"))
    detail = result.get("result") or {}
    ids = [str(row.get("id")) for row in detail.get("unexpected_index_list") or []]
    return {
        "type": config["type"],
        "kwargs": _plain(kwargs),
        "severity": str(config.get("severity") or "critical"),
        # bool(): one expectation of GX 1.24 answers a numpy bool, which `is True` would not see.
        "met": bool(result["success"]) and raised is None,
        "raised": raised,
        "observed": _plain(detail.get("observed_value")),
        "unexpected": int(detail.get("unexpected_count") or 0),
        "examples": ids[:EXAMPLES],
    }


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
