"""The variant as a piece of software: does it answer the same, whatever is around a row?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from modelchecks import registry
from modelchecks.check import ProbeRequest
from modelchecks.errors import EvidenceError
from modelchecks.identity import Pace
from modelchecks.inference import Model
from modelchecks.plan import Shard
from modelchecks.probes import AtOnce, ProbeContext
from modelchecks.probes.rows import draw, module_of
from modelchecks.weights import first_lines

BATCH = 32
SINGLES = 64
"""How many rows are asked one by one: that is the dear way of asking."""

Ask = Callable[[Tensor], Any]


class Contract(AtOnce):
    """What a variant's answers are, and how far they differ when they should be the same."""

    kinds: ClassVar[frozenset[str]] = frozenset({"labels"})
    packages: ClassVar[tuple[str, ...]] = ("torch",)

    def run(
        self, request: ProbeRequest, context: ProbeContext, shard: Shard | None
    ) -> Mapping[str, Any]:
        """Return {rows, outputs, broken, training, changed, same, copies, bytes}.

        `broken` says why the variant gives no usable answer at all; then the rest is missing.
        `same` and `copies` have, for each way of asking again, {rows, apart, turned, gap}: the rows
        whose logits differ by more than the tolerance, those whose class does, and the largest
        difference, both as a share of the largest logit. A copy that cannot be asked has `raised`.
        """
        options = dict(request.options)
        model = module_of(context, request.variant)
        module = model.module
        size = sum(t.numel() * t.element_size() for t in module.state_dict().values())
        found: dict[str, Any] = {"bytes": size, "rows": 0, "broken": None}
        rows = draw(context, request.split, int(options["images"] or 0), labelled=False)
        found["rows"] = len(rows)
        # The largest group of one shape: what is asked here does not depend on the image.
        _, images = max(rows.groups(), key=lambda group: len(group[1]))
        training = sorted(name or "the model" for name, m in module.named_modules() if m.training)
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        try:
            model.logits(images)
            given = model.inputs(images)
            plain = asked(module, given, seed=1)
        except EvidenceError as error:
            return {**found, "broken": str(error)}
        changed = [
            name
            for name, tensor in module.state_dict().items()
            if not torch.equal(tensor, before[name])
        ]
        edges = torch.cat(
            [model.inputs(np.full_like(images[:1], value)) for value in _ends(images)]
        )
        finite = int((~torch.isfinite(plain).all(1)).sum())
        finite += int((~torch.isfinite(asked(module, edges, seed=1)).all(1)).sum())
        tolerance = float(options["tolerance"] or 0)

        def apart(other: Tensor, reference: Tensor = plain) -> dict[str, Any]:
            return _apart(other, reference, tolerance)

        mixed = torch.randperm(len(given), generator=torch.Generator().manual_seed(0))
        alone = given[:SINGLES]
        same = {
            "twice": apart(asked(module, given, seed=2)),
            "permuted": apart(asked(module, given[mixed], seed=1), plain[mixed]),
            "alone": apart(asked(module, alone, seed=1, batch=1), plain[: len(alone)]),
        }
        for place in filter(None, str(options["places"]).split(",")):
            same[place] = apart(_elsewhere(request, module, given, place))
        references = [str(value) for name, value in request.options if name == "copy"]
        copies = {
            reference: _of_copy(reference, context.suite.folder, module, given, apart)
            for reference in references
        }
        if options["golden"]:
            golden = context.suite.folder / request.files[0]
            copies["golden answers"] = _of_golden(golden, model, tolerance)
        return {
            **found,
            "outputs": int(plain.shape[1]),
            "infinite": finite,
            "training": training[:5],
            "changed": changed[:5],
            "same": same,
            "copies": copies,
        }


def asked(module: Ask, given: Tensor, *, seed: int, batch: int = BATCH) -> Tensor:
    """Return logits (n, classes) on the CPU; a model that draws draws otherwise for each seed."""
    torch.manual_seed(seed)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(given), batch):
            part = module(given[start : start + batch])
            parts.append(part.detach().float().cpu())
    return torch.cat(parts)


def _apart(other: Tensor, reference: Tensor, tolerance: float) -> dict[str, Any]:
    """Return how many rows differ by more than the tolerance, in class, and by how much at most."""
    if other.shape != reference.shape:
        return {"raised": f"gave {tuple(other.shape)}, not {tuple(reference.shape)}"}
    scale = max(float(reference.abs().max()), 1e-12)
    gaps = (other - reference).abs().amax(1) / scale
    # Written so that NaN counts as apart.
    return {
        "rows": len(reference),
        "apart": int((~(gaps <= tolerance)).sum()),
        "turned": int((other.argmax(1) != reference.argmax(1)).sum()),
        "gap": float(torch.nan_to_num(gaps, nan=1e9, posinf=1e9).max()),
    }


def _ends(images: Any) -> tuple[Any, Any]:
    """Return the smallest and the largest pixel value there is."""
    if images.dtype.kind in "ui":
        return 0, np.iinfo(images.dtype).max
    return float(images.min()), float(images.max())


def _elsewhere(request: ProbeRequest, module: torch.nn.Module, given: Tensor, place: str) -> Tensor:
    """Return the logits of the module on another device, or in another type of number."""
    try:
        kind = getattr(torch, place, None)
        where = {"dtype": kind} if isinstance(kind, torch.dtype) else {"device": place}
        moved = copy.deepcopy(module).to(**where)
        return asked(moved, given.to(**where), seed=1)
    except (Exception, SystemExit) as error:
        raise EvidenceError(
            f"variant {request.variant!r} cannot be asked on {place!r} here "
            f"({type(error).__name__}: {first_lines(str(error))}). Leave it out of `devices:` or "
            "`dtypes:`, or run the gate where it can"
        ) from error


def _of_copy(
    reference: str,
    folder: Path,
    module: torch.nn.Module,
    given: Tensor,
    apart: Callable[[Tensor], dict[str, Any]],
) -> dict[str, Any]:
    """Return how far a copy is from the module that it was made of."""
    try:
        made = registry.load(reference, folder)(copy.deepcopy(module))
        return apart(asked(made, given, seed=1))
    except registry.UnknownNameError as error:
        raise EvidenceError(str(error)) from error
    except (Exception, SystemExit) as error:
        return {"raised": f"raised {type(error).__name__}: {first_lines(str(error))}"}


def _of_golden(path: Path, model: Model, tolerance: float) -> dict[str, Any]:
    """Return how far the variant is from what it answered where it was trained."""
    try:
        with np.load(path, allow_pickle=False) as file:
            images, logits = file["images"], file["logits"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise EvidenceError(
            f"golden answers {path} cannot be read ({error}). Write them where the model is "
            "trained: np.savez(path, images=(n, h, w, c), logits=(n, classes))"
        ) from error
    if images.ndim != 4 or logits.ndim != 2 or len(images) != len(logits) or not len(images):
        raise EvidenceError(
            f"golden answers {path} hold images {images.shape} and logits {logits.shape}; they "
            "must be (n, height, width, channels) and (n, classes)"
        )
    # In the module's own type, as all is asked here.
    model.set_pace(Pace(BATCH))
    return _apart(model.logits(images), torch.from_numpy(logits).float(), tolerance)
