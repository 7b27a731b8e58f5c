"""Margins for the drift checks of a new suite, measured on the data that it is written from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from modelchecks import scaffold
from modelchecks.calibrate import Proposal, propose
from modelchecks.checks.feature_drift import FeatureDrift
from modelchecks.errors import EvidenceError, ModelchecksError
from modelchecks.evidence import Evidence
from modelchecks.gather import gather
from modelchecks.load import load_suite
from modelchecks.plan import make_plan
from modelchecks.proposing import Source
from modelchecks.stats import TooFewRowsError
from modelchecks.store import Store

DRIFT = ("feature_drift", "label_drift")


def margins(sources: Sequence[Source]) -> tuple[tuple[Proposal, ...], str]:
    """Return margins for the drift checks of a suite over these splits, each with its reason.

    They are what the reference varies by anyway: between its days where a log tells times, else
    between random parts. Where nothing can be measured there are none, and the text says why.
    """
    reference, live = scaffold.compared(sources)
    if reference is None or live is None:
        return (), ""
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        draft = folder / "draft.suite.yaml"
        # The schema is not asked, so that it need not be there.
        text = scaffold.suite("draft", sources, folder, "unknown", "schema.json")
        draft.write_text(text, "utf-8")
        try:
            suite = load_suite(draft)
            plan = make_plan(suite, None, lambda case: case.declared.name in DRIFT)
            gathered = gather(plan, Store(folder / "evidence"))
            found = _proposed(
                next((c.check for c in suite.checks if isinstance(c.check, FeatureDrift)), None),
                _known(gathered.splits.get(reference.role)),
                len(_known(gathered.splits.get(live.role)).sample("index")),
                [column.name for column in reference.columns if column.kind == "time"],
            )
        except (ModelchecksError, TooFewRowsError, ValueError) as error:
            return (), f"no margin was measured, the usual ones stand: {error}"
    return found, ""


def _known(found: Evidence | EvidenceError | None) -> Evidence:
    if isinstance(found, Evidence):
        return found
    raise found or EvidenceError("there is nothing that drift could be measured on")


def _proposed(
    drift: FeatureDrift | None, reference: Evidence, rows: int, times: Sequence[str]
) -> tuple[Proposal, ...]:
    """Return the margins by days, or by random parts where there are too few days for that."""
    if drift is None:
        raise EvidenceError("no image and no column is on both sides")
    for by in (*times[:1], None):
        try:
            return propose(
                reference,
                current_rows=rows,
                by=by if drift.columns else None,
                features=drift.features,
                columns=drift.columns,
            )
        except (EvidenceError, TooFewRowsError, ValueError):
            if by is None:
                raise
    return ()
