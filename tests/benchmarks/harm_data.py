"""The case study's models in benign and harmful environments: answers, cached, and draws of them.

Every environment shows the whole live pool once; a draw is some of its rows with the class shares
of the environment. The truth is the accuracy on all of them, weighted by class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

VARIANTS = ("baseline", "domain_adapted", "curriculum")
SIZES = (500, 1000, 2000, 5000)
MAX_DROP = 0.05


@dataclass(frozen=True)
class Shown:
    """What the variants answer in one environment, on all rows of the pool."""

    name: str
    labels: np.ndarray
    probabilities: np.ndarray
    """(variants, rows, classes)"""
    features: np.ndarray
    """(rows, 4): brightness, contrast, sharpness, entropy"""
    shares: np.ndarray
    """(classes,) of a draw"""

    def accuracy(self) -> np.ndarray:
        """Return the accuracy of each variant under the class shares."""
        right = self.probabilities.argmax(2) == self.labels
        weight = (self.shares / np.bincount(self.labels, minlength=10))[self.labels]
        return right @ weight

    def rows(self, n: int, draw: np.random.Generator) -> np.ndarray:
        """Return n rows with the class shares, none twice where a class has enough of them."""
        counts = draw.multinomial(n, self.shares)
        chosen = []
        for label, count in enumerate(counts):
            members = np.flatnonzero(self.labels == label)
            chosen.append(draw.choice(members, count, replace=count > len(members)))
        return draw.permutation(np.concatenate(chosen))


def environments() -> dict[str, tuple[str, Callable[[np.ndarray], np.ndarray], float]]:
    """Return {name: (kind, images -> images, factor on the share of shirts)}."""
    from casestudy.environment import LIVE, Environment, photograph

    def live(s: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda images: photograph(images, LIVE, severity=s, seed=round(1000 * s) + 5)

    def other(**fields: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda images: photograph(images, Environment(**fields), seed=77)

    def brighter(factor: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda images: np.clip(np.rint(images * factor), 0, 255).astype(np.uint8)

    def same(images: np.ndarray) -> np.ndarray:
        return images

    return {
        "nothing changed": ("benign", same, 1),
        "severity .15": ("benign", live(0.15), 1),
        "severity .25": ("benign", live(0.25), 1),
        "severity .35": ("benign", live(0.35), 1),
        "brightness -5 %": ("benign", brighter(0.95), 1),
        "brightness +5 %": ("benign", brighter(1.05), 1),
        "JPEG 90": ("benign", other(jpeg=10), 1),
        "noise .01": ("benign", other(noise=0.01), 1),
        "shirts x 1.6": ("benign", same, 1.6),
        "severity .75": ("harmful", live(0.75), 1),
        "severity .85": ("harmful", live(0.85), 1),
        "severity 1": ("harmful", live(1.0), 1),
        "severity 1, shirts x 1.6": ("harmful", live(1.0), 1.6),
        "severity 1.25": ("harmful", live(1.25), 1),
        "severity 1.5": ("harmful", live(1.5), 1),
        "shirts x 6": ("harmful", same, 6),
    }


def answers(model: object, images: np.ndarray) -> np.ndarray:
    """Return the probabilities (rows, classes) of a case-study model."""
    from casestudy.train import predict

    return predict(model, images).softmax(1).numpy()


def load(runs: Path, cache: Path) -> tuple[Shown, dict[str, Shown]]:
    """Return the offline split and each environment, from the cache where they are there."""
    if not (cache / "offline.npz").is_file():
        _make(runs, cache)
    kept = {path.stem: Shown(**np.load(path)) for path in sorted(cache.glob("*.npz"))}
    shown = {str(one.name): one for one in kept.values()}
    return shown.pop("offline"), shown


def _make(runs: Path, cache: Path) -> None:
    from casestudy.prepare import obtain
    from casestudy.train import load_weights
    from modelchecks import features
    from modelchecks.sources.fashion_mnist import SHIRT, SHIRT_WEIGHT, load_pool, partition

    images, labels = load_pool(obtain(runs.parent / "data" / "fashion-mnist"))
    rows = partition(labels)
    models = [load_weights(runs / f"{name}.safetensors") for name in VARIANTS]
    cache.mkdir(parents=True, exist_ok=True)

    def keep(file: str, name: str, seen: np.ndarray, y: np.ndarray, factor: float) -> None:
        weights = np.ones(10)
        weights[SHIRT] = SHIRT_WEIGHT * factor
        columns = [getattr(features, f)(seen[..., None]) for f in features.DEFAULT]
        np.savez(
            cache / f"{file}.npz",
            name=name,
            labels=y,
            probabilities=np.stack([answers(model, seen) for model in models]),
            features=np.stack(columns, 1),
            shares=weights / weights.sum(),
        )

    pool = rows["live_pool"]
    for number, (name, (_, change, factor)) in enumerate(environments().items()):
        keep(f"environment-{number:02d}", name, change(images[pool]), labels[pool], factor)
    keep("offline", "offline", images[rows["offline"]], labels[rows["offline"]], 1)


def draws(
    shown: dict[str, Shown], *, seeds: int, sizes: tuple[int, ...] = SIZES
) -> Iterator[tuple[str, str, int, int, np.ndarray]]:
    """Yield (environment, kind, n, seed, rows) of each draw."""
    for number, (name, (kind, _, _)) in enumerate(environments().items()):
        for n in sizes:
            for seed in range(seeds):
                draw = np.random.default_rng([number, n, seed])
                yield name, kind, n, seed, shown[name].rows(n, draw)
