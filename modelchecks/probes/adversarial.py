"""Rows of a split under attacks on the variant itself, and signs that such attacks see nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from modelchecks.check import ProbeRequest
from modelchecks.errors import EvidenceError
from modelchecks.identity import companion
from modelchecks.plan import Shard
from modelchecks.probes import AtOnce, ProbeContext
from modelchecks.probes.attack import Target, fgsm, pgd, target_of
from modelchecks.probes.pictures import picture
from modelchecks.probes.rows import draw, module_of

WHOLE = 255.0
"""With so large an eps every image can become any other: an attack that sees succeeds."""


class Adversarial(AtOnce):
    """How many rows stay right under each attack and eps, and how the attacks compare."""

    kinds: ClassVar[frozenset[str]] = frozenset({"labels"})
    packages: ClassVar[tuple[str, ...]] = ("torch",)

    def run(
        self, request: ProbeRequest, context: ProbeContext, shard: Shard | None
    ) -> Mapping[str, Any]:
        """Return {rows, classes, clean, attacked, curve, unbounded, silent, surrogate, images}.

        `attacked` has the rows that stay right at the judged eps under each attack and under `all`
        of them, and for pairs of attacks the rows that only one of them turned. `curve` has, for
        each eps from 0 up, the rows that stay right under fgsm and pgd and the mean loss under pgd.
        """
        options = dict(request.options)
        eps = float(options["eps"] or 0)
        also = [float(one) for one in str(options["also"]).split(",") if one]
        rows = draw(context, request.split, int(options["images"] or 0), labelled=True)
        groups = list(rows.groups())
        if len(groups) > 1:
            raise EvidenceError(f"split {request.split!r}: images of different shapes or types")
        images, labels = groups[0][1], torch.from_numpy(rows.labels)
        model = module_of(context, request.variant)
        target, pixels = _told(str(request.variant), target_of, model, images)
        labels = labels.to(pixels.device)
        if int(labels.max()) >= int(target.logits(pixels[:1]).shape[1]):
            raise EvidenceError(
                f"split {request.split!r} has label {int(labels.max())}, for which variant "
                f"{request.variant!r} has no output"
            )
        other = companion(request, context.suite)
        surrogate = None
        if other is not None:
            surrogate, _ = _told(other.name, target_of, module_of(context, None, of=other), images)
        draws = torch.Generator().manual_seed(context.suite.compute.seed)
        start = (2 * torch.rand(pixels.shape, generator=draws) - 1).to(pixels.device)
        loss, clean = target.losses(pixels, labels)
        steps = int(options["steps"] or 1)
        attacked, worst = _under(target, surrogate, pixels, labels, clean, eps, steps, start)
        curve = [
            {"eps": 0.0, "fgsm": int(clean.sum()), "pgd": int(clean.sum()), "loss": loss.mean()},
            {"eps": eps, **{name: attacked["right"][name] for name in ("fgsm", "pgd")}}
            | {"loss": target.losses(worst, labels)[0].mean()},
        ]
        for one in also:
            far, _ = pgd(target, pixels, labels, one, steps=steps, start=start)
            far_loss, far_right = target.losses(far, labels)
            fast = target.losses(fgsm(target, pixels, labels, one), labels)[1]
            counts = {"fgsm": int((clean & fast).sum()), "pgd": int((clean & far_right).sum())}
            curve.append({"eps": one, **counts, "loss": far_loss.mean()})
        pictures: list[dict[str, str]] = []
        if (turned := clean & ~target.losses(worst, labels)[1]).any():
            first = int(turned.nonzero()[0])
            pictures = _before_after(context, target, pixels, worst, first, rows.ids, eps)
        reached, _ = pgd(target, pixels, labels, WHOLE, steps=steps, start=start)
        still = clean & target.losses(reached, labels)[1]
        flat = target.gradient(pixels, labels)[1].flatten(1).abs().amax(1) == 0
        return {
            "rows": len(rows),
            "classes": int(target.logits(pixels[:1]).shape[1]),
            "clean": int(clean.sum()),
            "attacked": attacked,
            "curve": [{name: float(value) for name, value in point.items()} for point in curve],
            "unbounded": int(still.sum()),
            "silent": int((flat & clean).sum()),
            "surrogate": None if other is None else other.name,
            "images": pictures,
        }


def _told(name: str, function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except EvidenceError as error:
        raise EvidenceError(f"variant {name!r} cannot be attacked: {error}") from error


def _under(
    target: Target,
    surrogate: Target | None,
    pixels: Tensor,
    labels: Tensor,
    clean: Tensor,
    eps: float,
    steps: int,
    start: Tensor,
) -> tuple[dict[str, Any], Tensor]:
    """Return what stays right under every attack at one eps, and the images that PGD made."""
    attacked = {"fgsm": fgsm(target, pixels, labels, eps)}
    plain, plain_loss = pgd(target, pixels, labels, eps, steps=steps)
    thrown, thrown_loss = pgd(target, pixels, labels, eps, steps=steps, start=start)
    higher = (thrown_loss > plain_loss)[:, None, None, None]
    attacked["pgd"] = torch.where(higher, thrown, plain)
    attacked["noise"] = (pixels + target.unit(eps) * start.sign()).clamp(0, target.top)
    if surrogate is not None:
        attacked["transfer"] = pgd(surrogate, pixels, labels, eps, steps=steps)[0]
    right = {name: clean & target.losses(made, labels)[1] for name, made in attacked.items()}
    right["random_start"] = clean & target.losses(thrown, labels)[1]
    right["own_start"] = clean & target.losses(plain, labels)[1]
    survive = torch.stack(list(right.values())).all(0)

    def only(one: str, other: str) -> list[int]:
        """Return the rows that only the first attack turned, and those that only the second did."""
        return [int((right[b] & ~right[a]).sum()) for a, b in ((one, other), (other, one))]

    rivals = [name for name in ("fgsm", "noise", "transfer") if name in right]
    return {
        "right": {name: int(found.sum()) for name, found in right.items()},
        "all": int(survive.sum()),
        "over_pgd": {name: only(name, "pgd") for name in rivals},
        "starts": only("random_start", "own_start"),
    }, attacked["pgd"]


def _before_after(
    context: ProbeContext,
    target: Target,
    pixels: Tensor,
    attacked: Tensor,
    row: int,
    ids: Sequence[str],
    eps: float,
) -> list[dict[str, str]]:
    shown = []
    for what, tensor in (("as it is", pixels), (f"eps {eps:g} of 255", attacked)):
        image = tensor[row : row + 1]
        with torch.no_grad():
            chances = target.logits(image).softmax(1)[0]
        answer = int(chances.argmax())
        names = context.suite.classes
        name = names[answer] if answer < len(names) else str(answer)
        array = (image[0].permute(1, 2, 0) / target.top).clamp(0, 1).cpu().numpy()
        caption = f"{ids[row]} {what}: {name}, {100 * float(chances[answer]):.0f} %"
        shown.append(picture(caption, array.astype(np.float32)))
    return shown
