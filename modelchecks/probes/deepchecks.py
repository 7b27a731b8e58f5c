"""THE deepchecks file: runs a check or suite of deepchecks' vision package over a sample of rows.

deepchecks (AGPL-3.0) is an extra, loaded only when a suite asks for it and only here. A suite of it
calls itself passed when checks did not run; here each that did not run is told as such.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks.check import ProbeRequest
from modelchecks.errors import EvidenceError, did_you_mean
from modelchecks.plan import Shard
from modelchecks.probes import AtOnce, ProbeContext
from modelchecks.probes.pictures import pictures
from modelchecks.stats.temperature import softmax
from modelchecks.totals import UNLABELLED

AT_ONCE = 256
"""Images in a batch that deepchecks sees."""
INSTALL = (
    "deepchecks cannot be loaded ({}). It is an extra under AGPL-3.0: pip install "
    '"modelchecks[deepchecks]"'
)


class Deepchecks(AtOnce):
    """What became of every condition of a check or suite of deepchecks, and what did not run.

    The request's options are `check`, `params`, `conditions` (both JSON), `leave_out`, `rows` and
    `html`; its split is the current (test) data, the other one the reference (train) data.
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"labels", "logits"})
    packages: ClassVar[tuple[str, ...]] = (
        "deepchecks",
        "numpy",
        "pandas",
        "scikit-learn",
        "torch",
        "plotly",
    )

    def run(
        self, request: ProbeRequest, context: ProbeContext, shard: Shard | None
    ) -> Mapping[str, Any]:
        """Return {rows, checks}; each check has `ran`, an `error` and its conditions."""
        options = dict(request.options)
        rows = int(options["rows"] or 0)
        with _quietly():
            vision = _loaded()
            current = _data(vision, context, request.variant, rows)
            reference = _data(vision, context.of(request.others[0]), request.variant, rows)
            results = _run(vision, options, reference, current, context.suite.compute.seed)
            if options["html"]:
                _keep(results, context.suite.folder / str(options["html"]))
            checks = [_told(result) for result in results[1]]
        seen = {"reference": len(reference[1]), "current": len(current[1])}
        return {"rows": seen, "checks": checks}


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    # Before the import: it calls home, and writes a user id beside itself.
    os.environ["DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY"] = "1"
    os.environ["DISABLE_LATEST_VERSION_CHECK"] = "1"
    os.environ.setdefault("MPLBACKEND", "Agg")
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        # Its progress bars, and what its dependencies deprecate.
        warnings.simplefilter("ignore")
        yield


def _loaded() -> Any:
    try:
        import deepchecks.vision
        import deepchecks.vision.checks
        import deepchecks.vision.suites
    except (Exception, SystemExit) as error:
        raise EvidenceError(INSTALL.format(f"{type(error).__name__}: {error}")) from error
    return deepchecks.vision


def _data(
    vision: Any, context: ProbeContext, variant: str | None, rows: int
) -> tuple[Any, list[str]]:
    """Return a sample of a split as deepchecks' VisionData, and the ids of its rows."""
    evidence, split = context.evidence, context.evidence.split
    labelled = evidence.labelled > 0
    index = evidence.sample("index", labelled=labelled)[:rows]
    if not len(index):
        raise EvidenceError(f"split {split!r} has no rows")
    chances = None
    if variant is not None:
        logits = evidence.sample(f"logits:{variant}", labelled=labelled)[:rows]
        if not np.isfinite(logits).all():
            raise EvidenceError(f"variant {variant!r} has answers on {split!r} that are not finite")
        chances = softmax(logits.astype(np.float64))
    labels = evidence.sample("label", labelled=labelled)[:rows]
    seen = pictures(context, index.tolist())
    images, ids = [], []
    for row in index.tolist():
        picture = seen[row]
        if picture.image is None:
            raise EvidenceError(f"image {picture.id} of split {split!r} cannot be read")
        images.append(_bytes(picture.image, split))
        ids.append(picture.id)
    batches = []
    for start in range(0, len(images), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        batch: dict[str, Any] = {"images": images[part], "image_identifiers": ids[part]}
        if labelled and (labels != UNLABELLED).all():
            batch["labels"] = [int(label) for label in labels[part]]
        if chances is not None:
            batch["predictions"] = list(chances[part])
        batches.append(batch)
    names = context.suite.classes
    data = vision.VisionData(
        batches,
        task_type="classification" if len(batches[0]) > 2 else "other",
        label_map=dict(enumerate(names)) if names else None,
        dataset_name=split,
        reshuffle_data=False,
    )
    return data, ids


def _bytes(image: NDArray[Any], split: str) -> NDArray[np.uint8]:
    """Return an image as deepchecks takes it: bytes, one channel or three."""
    pixels = image[..., :3] if image.shape[2] >= 3 else image[..., :1]
    if pixels.dtype == np.uint8:
        return np.asarray(pixels)
    if pixels.dtype.kind in "ui":
        return np.asarray(pixels / np.iinfo(pixels.dtype).max * 255, dtype=np.uint8)
    if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
        raise EvidenceError(
            f"images of split {split!r} are floats outside 0 to 1; deepchecks sees bytes, so it "
            "cannot be told what their white is"
        )
    return np.asarray(np.rint(pixels * 255), dtype=np.uint8)


def _run(
    vision: Any, options: Mapping[str, Any], reference: Any, current: Any, seed: int
) -> tuple[Any, list[Any]]:
    """Return deepchecks' own result, and the results of the single checks in it."""
    name = str(options["check"])
    params = json.loads(str(options["params"]))
    conditions = json.loads(str(options["conditions"]))
    shown = bool(options["html"])
    made = _made(vision, name, params)
    train, test = reference[0], current[0]
    if isinstance(made, vision.Suite):
        if conditions:
            raise EvidenceError(f"deepchecks suite {name!r} has conditions of its own; leave them")
        _leave_out(made, str(options["leave_out"]), name)
        found = made.run(train, test, with_display=shown, random_state=seed)
        return found, list(found.results)
    for condition, arguments in conditions.items():
        method = f"add_condition_{str(condition).removeprefix('add_condition_')}"
        if not hasattr(made, method):
            known = [m.removeprefix("add_condition_") for m in dir(made) if "add_condition_" in m]
            raise EvidenceError(
                f"deepchecks check {name!r} has no condition {condition!r}"
                f"{did_you_mean(str(condition), known)}; it has {', '.join(known) or 'none'}"
            )
        try:
            getattr(made, method)(**(arguments or {}))
        except Exception as error:
            raise EvidenceError(f"deepchecks condition {condition!r}: {error}") from error
    from deepchecks.core import CheckFailure

    both = isinstance(made, vision.TrainTestCheck)
    try:
        data = (train, test) if both else (test,)
        result = made.run(*data, random_state=seed, with_display=shown)
    except Exception as error:
        result = CheckFailure(made, error)
    return result, [result]


def _made(vision: Any, name: str, params: Mapping[str, Any]) -> Any:
    """Return the check or suite of that name; EvidenceError says which there are."""
    kinds = (vision.SingleDatasetCheck, vision.TrainTestCheck)
    checks = {
        key: value
        for key, value in vars(vision.checks).items()
        if isinstance(value, type) and issubclass(value, kinds)
    }
    suites = {key: vars(vision.suites)[key] for key in vision.suites.__all__}
    if name not in checks and name not in suites:
        known = sorted([*checks, *suites])
        raise EvidenceError(
            f"deepchecks has no vision check or suite {name!r}{did_you_mean(name, known)}; it has "
            f"{', '.join(known)}"
        )
    try:
        return (checks.get(name) or suites[name])(**params)
    except Exception as error:
        raise EvidenceError(f"deepchecks check {name!r}, `params`: {error}") from error


def _leave_out(suite: Any, names: str, of: str) -> None:
    """Remove checks from a suite; one that is not in it is a mistake."""
    for name in filter(None, names.split(",")):
        places = [n for n, check in suite.checks.items() if type(check).__name__ == name]
        if not places:
            have = sorted({type(check).__name__ for check in suite.checks.values()})
            raise EvidenceError(
                f"deepchecks suite {of!r} has no check {name!r} to leave out"
                f"{did_you_mean(name, have)}; it has {', '.join(have)}"
            )
        for place in places:
            suite.remove(place)


def _told(result: Any) -> dict[str, Any]:
    """Return what became of one check, in plain JSON."""
    found: dict[str, Any] = {
        "check": type(result.check).__name__,
        "ran": not hasattr(result, "exception"),
        "error": None,
        "conditions": [],
    }
    if not found["ran"]:
        told = result.exception
        message = str(getattr(told, "message", None) or told).strip().split("\n")[0]
        found["error"] = f"{type(told).__name__}: {message}"
        return found
    header = str(result.get_header())
    if header and header.replace(" ", "") != found["check"]:
        found["check"] = f"{found['check']} ({header})"
    for one in result.conditions_results:
        found["conditions"].append(
            {
                "name": str(one.name),
                "category": str(one.category.name),
                "details": " ".join(str(one.details or "").split()),
            }
        )
    return found


def _keep(results: tuple[Any, list[Any]], path: Path) -> None:
    """Write deepchecks' own page; it has no name of ours in it, and is not needed to decide."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with contextlib.redirect_stdout(io.StringIO()):
            results[0].save_as_html(str(path), as_widget=False)
    except Exception as error:
        raise EvidenceError(
            f"{path}: deepchecks' page cannot be written there ({type(error).__name__}: {error}); "
            "correct `html:`"
        ) from error
