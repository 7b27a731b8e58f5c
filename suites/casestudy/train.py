"""The three variants: one architecture, three recipes, trained for real on the CPU."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .environment import ADJACENT, photograph
from .models import SmallCNN, small_cnn

Splits = Mapping[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]
"""Images (n, 28, 28) and labels of train, val, adapt and offline; adapt's labels are not used."""

THREADS: Final = 2
"""Always two, also where there are more cores: sums in another order give other weights."""

BATCH: Final = 256
UNLABELLED: Final = 64
EVALUATED_AT_ONCE: Final = 250
FIELDS: Final = ("epoch", "train_loss", "val_accuracy", "offline_accuracy", "adjacent_accuracy")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one variant is trained; the learning rate peaks after a quarter of the steps."""

    name: str
    epochs: int
    peak_rate: float
    flips: bool = False
    smoothing: float = 0.0
    coral: float = 0.0
    """Weight of the Deep-CORAL loss against unlabelled images of the adjacent environment."""
    easy_first: bool = False
    """Start with the half that the baseline finds easiest; all data after 40 % of the epochs."""


RECIPES: Final = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="baseline", epochs=2, peak_rate=0.1),
        Recipe(name="domain_adapted", epochs=5, peak_rate=0.3, flips=True, coral=0.1),
        Recipe(
            name="curriculum",
            epochs=10,
            peak_rate=0.3,
            flips=True,
            smoothing=0.05,
            easy_first=True,
        ),
    )
}

History = list[dict[str, float]]


def train_all(
    splits: Splits,
    runs: Path,
    *,
    seed: int = 0,
    recipes: Mapping[str, Recipe] = RECIPES,
    say: Callable[[str], None] | None = None,
) -> dict[str, Path]:
    """Train the variants whose weights in `runs` are missing or made otherwise; return the files.

    Writes NAME.history.csv and then NAME.safetensors, each in one step, so that an interrupted run
    leaves nothing that looks finished. The digest of recipe, seed, code and data stands in the
    weights' metadata.
    """
    tell = say or _say
    runs.mkdir(parents=True, exist_ok=True)
    files = {name: runs / f"{name}.safetensors" for name in recipes}
    order: Tensor | None = None
    for name, recipe in recipes.items():
        digest = recipe_digest(recipe, splits, seed)
        history = runs / f"{name}.history.csv"
        if history.is_file() and stored_digest(files[name]) == digest:
            tell(f"{name}: {files[name].name} is there, made by this recipe; skipped")
            continue
        started, cpu = time.perf_counter(), time.process_time()
        if recipe.easy_first and order is None:
            order = easiest_first(load_weights(files["baseline"]), *splits["train"])
        model, rows = train(recipe, splits, seed=seed, order=order, say=say)
        _write_history(history, rows)
        _write_weights(files[name], model, {"digest": digest, "seed": seed, **asdict(recipe)})
        tell(
            f"{name}: trained in {time.perf_counter() - started:.0f} s "
            f"({time.process_time() - cpu:.0f} s of CPU time)"
        )
    return files


def train(
    recipe: Recipe,
    splits: Splits,
    *,
    seed: int,
    order: Tensor | None = None,
    say: Callable[[str], None] | None = None,
) -> tuple[SmallCNN, History]:
    """Return the trained model, in evaluation mode, and one row of `FIELDS` for each epoch.

    The same seed gives the same weights on the same kind of CPU. `order` has the train rows from
    easy to hard, for a recipe with `easy_first`. Without `say`, a progress bar shows on a terminal
    and a line per epoch elsewhere. Raises ValueError when the order is missing.
    """
    if recipe.easy_first and order is None:
        raise ValueError(f"recipe {recipe.name!r} needs the order of the train rows")
    bar = Progress(console=Console(stderr=True), disable=say is not None or not sys.stderr.isatty())
    tell = say or _say
    with _threads(THREADS), torch.random.fork_rng(devices=[]), bar:
        torch.manual_seed(seed)
        draw = torch.Generator().manual_seed(seed)
        model = small_cnn().to(memory_format=torch.channels_last)
        images, labels = (torch.from_numpy(array) for array in splits["train"])
        unlabelled = torch.from_numpy(photograph(splits["adapt"][0], ADJACENT, seed=seed + 1))
        watched = {
            "val": splits["val"],
            "offline": splits["offline"],
            # Other items than `unlabelled`, so that no label of an image trained on is needed.
            "adjacent": (photograph(splits["val"][0], ADJACENT, seed=seed), splits["val"][1]),
        }
        plan = [_rows(recipe, epoch, len(images), order) for epoch in range(recipe.epochs)]
        steps = sum(len(rows) // BATCH or 1 for rows in plan)
        optimizer = _optimizer(model, recipe)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _ramp(step, steps))
        task = bar.add_task(recipe.name, total=steps)
        history: History = []
        done = 0
        for epoch, rows in enumerate(plan, 1):
            model.train()
            losses = []
            for batch in _batches(rows, draw):
                inputs = _scaled(images[batch])
                if recipe.flips:
                    inputs = _flipped(inputs, draw)
                foreign = None
                if recipe.coral:
                    chosen = torch.randint(len(unlabelled), (UNLABELLED,), generator=draw)
                    foreign = _scaled(unlabelled[chosen])
                weight = recipe.coral * min(1.0, 4 * done / steps)
                loss, classified = _loss(model, inputs, labels[batch], foreign, recipe, weight)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                losses.append(classified)
                done += 1
                bar.advance(task)
            row = {"epoch": epoch, "train_loss": sum(losses) / len(losses)}
            row |= {f"{name}_accuracy": accuracy(model, *split) for name, split in watched.items()}
            history.append(row)
            if bar.disable:
                tell(
                    f"{recipe.name}: epoch {epoch}/{recipe.epochs}, train loss "
                    f"{row['train_loss']:.4f}, val accuracy {row['val_accuracy']:.4f}"
                )
    return model.eval(), history


def _loss(
    model: SmallCNN,
    inputs: Tensor,
    truth: Tensor,
    unlabelled: Tensor | None,
    recipe: Recipe,
    weight: float,
) -> tuple[Tensor, float]:
    """Return the loss to minimise and the classification part of it."""
    with torch.autocast("cpu", torch.bfloat16, enabled=_bf16_is_faster()):
        # One pass for both, so that the batch norms see the two environments together.
        both = inputs if unlabelled is None else torch.cat([inputs, unlabelled])
        vectors = model.embed(both.contiguous(memory_format=torch.channels_last))
        logits = model.classifier(vectors[: len(inputs)])
    loss = cross_entropy(logits.float(), truth, label_smoothing=recipe.smoothing)
    classified = float(loss.detach())
    if unlabelled is not None:
        loss = loss + weight * coral(vectors[: len(inputs)].float(), vectors[len(inputs) :].float())
    return loss, classified


def coral(source: Tensor, target: Tensor) -> Tensor:
    """Return how far apart two clouds of embeddings (n, d) are, in mean and covariance.

    A quarter of the squared Frobenius distance of the covariances (Sun and Saenko, "Deep CORAL",
    arXiv:1607.01719), plus the squared distance of the means. Not over d^2 and d: so the loss would
    be too small to adapt anything (accuracy in the adjacent environment 81 %, 83 % without it, and
    87 % as it is here).
    """
    means = (source.mean(0) - target.mean(0)).square().sum()
    spread = (source.T.cov() - target.T.cov()).square().sum() / 4
    return means + spread


def accuracy(model: SmallCNN, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """Return the share of right answers, in float32, as the gate computes it."""
    return float((predict(model, images).argmax(1).numpy() == labels).mean())


def predict(model: SmallCNN, images: NDArray[np.uint8]) -> Tensor:
    """Return logits (n, 10) for uint8 images (n, 28, 28), in evaluation mode and float32."""
    model.eval()
    parts = torch.split(torch.from_numpy(images), EVALUATED_AT_ONCE)
    with torch.inference_mode():
        return torch.cat([model(_scaled(part)) for part in parts])


def easiest_first(model: SmallCNN, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Tensor:
    """Return the rows ordered by the model's cross-entropy, the surest right answer first."""
    with _threads(THREADS):
        losses = cross_entropy(predict(model, images), torch.from_numpy(labels), reduction="none")
    return losses.argsort(stable=True)


def load_weights(path: Path) -> SmallCNN:
    """Return the model of a weights file, in evaluation mode and the faster memory format."""
    model = small_cnn()
    with safe_open(path, "pt") as file:
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    return model.to(memory_format=torch.channels_last).eval()


def stored_digest(path: Path) -> str | None:
    """Return the recipe digest in a weights file; None if it is missing, foreign or damaged."""
    try:
        with safe_open(path, "pt") as file:
            made: dict[str, str] = json.loads((file.metadata() or {}).get("recipe", "{}"))
    except (OSError, SafetensorError, ValueError):
        return None
    return made.get("digest")


def recipe_digest(recipe: Recipe, splits: Splits, seed: int) -> str:
    """Return a digest of all that the weights depend on: recipe, seed, code and data."""
    made = hashlib.sha256(json.dumps([asdict(recipe), seed], sort_keys=True).encode())
    for module in ("models.py", "environment.py", "train.py"):
        made.update(Path(__file__).with_name(module).read_bytes())
    for name in sorted(splits):
        for array in splits[name]:
            made.update(np.ascontiguousarray(array).data)
    return made.hexdigest()


def _rows(recipe: Recipe, epoch: int, rows: int, order: Tensor | None) -> Tensor:
    if not recipe.easy_first or order is None:
        return torch.arange(rows)
    share = min(1.0, 0.5 + 0.5 * epoch / (0.4 * recipe.epochs))
    return order[: round(share * rows)]


def _batches(rows: Tensor, draw: torch.Generator) -> Iterator[Tensor]:
    mixed = rows[torch.randperm(len(rows), generator=draw)]
    # The rest of an epoch is left out, as a batch of a few rows would upset the batch norms.
    full = len(mixed) // BATCH * BATCH or len(mixed)
    yield from torch.split(mixed[:full], BATCH)


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    flat = [p for p in model.parameters() if p.ndim == 1]
    kernels = [p for p in model.parameters() if p.ndim > 1]
    return torch.optim.SGD(
        [{"params": kernels, "weight_decay": 5e-4}, {"params": flat, "weight_decay": 0.0}],
        lr=recipe.peak_rate,
        momentum=0.9,
        nesterov=True,
    )


def _ramp(step: int, steps: int) -> float:
    """Return the share of the peak rate: up in a line for a quarter of the steps, then down."""
    warm = steps / 4
    return min((step + 1) / warm, max(0.0, (steps - step) / (steps - warm)))


def _flipped(inputs: Tensor, draw: torch.Generator) -> Tensor:
    mirrored = torch.rand(len(inputs), generator=draw) < 0.5
    return torch.where(mirrored[:, None, None, None], inputs.flip(-1), inputs)


def _scaled(images: Tensor) -> Tensor:
    """Return float NCHW in [0, 1] for uint8 images (n, 28, 28)."""
    return images[:, None].float() / 255


def _bf16_is_faster() -> bool:
    """Whether this CPU multiplies bfloat16 itself; where it is emulated, it is slower."""
    ask = getattr(torch.cpu, "get_capabilities", None)  # not in every torch that we allow
    return bool(ask and ask().get("avx512_bf16"))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _write_history(path: Path, rows: History) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: v if k == "epoch" else f"{v:.6f}" for k, v in row.items()})
    os.replace(partial, path)


def _write_weights(path: Path, model: nn.Module, made: Mapping[str, object]) -> None:
    partial = path.with_name(path.name + ".partial")
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    # One key only: safetensors writes several in an order that changes from run to run.
    partial.write_bytes(save(tensors, metadata={"recipe": json.dumps(made, sort_keys=True)}))
    os.replace(partial, path)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
