"""The kernel two-sample test beside alibi-detect's MMD: power at equal type-I error, and speed.

    python tests/benchmarks/two_sample.py [50] [200] [1000]

Runs in an environment of its own that has alibi-detect, torch and scikit-learn, with this
repository on PYTHONPATH; alibi-detect (BSL 1.1) is no dependency. Writes two_sample.json and
two_sample.md beside itself; numbers of rows that are not named are kept as they were there.

Families of 'Failing Loudly' (Rabanser, Günnemann and Lipton 2019) on the 64 pixels of the digits:
noise, image transformations (rotation, zoom, shift), knock-out (class 0 is rarer), mixtures of the
last two; a tenth, half or all of the rows are touched. Rows are drawn with replacement, with a
little noise on both sides, so that 1,000 rows a side are independent and no two are equal. All
tests see the same samples and reject at (1 + #>=) / (1 + permutations) <= .05, which is exact for
each: alibi-detect's own p-value lacks the +1. The last test divides the columns by the reference's
standard deviations first, as a user might: that is not exact, and its type-I error shows it.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

HERE = Path(__file__).resolve().parent
REPLICATES = {50: 60, 200: 40, 1000: 5}
SCALED = "alibi-detect, columns standardised"
PERMUTATIONS = 99
Draw = np.random.Generator


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the images (1797, 8, 8) in [0, 1] and their labels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return (found.images / 16).astype(np.float32), found.target


IMAGES, LABELS = digits()


def population(n: int, draw: Draw, keep_zero: float = 1.0) -> np.ndarray:
    """Return n images; of class 0, only that share comes."""
    weight = np.where(LABELS == 0, keep_zero, 1.0)
    chosen = draw.choice(len(IMAGES), n, p=weight / weight.sum())
    return IMAGES[chosen] + draw.normal(0, 0.02, (n, 8, 8)).astype(np.float32)


def moved(image: np.ndarray, strength: float, draw: Draw) -> np.ndarray:
    """Return the image rotated (up to 40 degrees), zoomed and shifted (up to 2 pixels)."""
    angle = np.deg2rad(40 * strength * draw.uniform(-1, 1))
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.array([[cosine, -sine], [sine, cosine]]) / np.exp(
        0.4 * strength * draw.uniform(-1, 1)
    )
    centre = np.array([3.5, 3.5])
    offset = centre - matrix @ centre + 2 * strength * draw.uniform(-1, 1, 2)
    return ndimage.affine_transform(image, matrix, offset, order=1)


def shifted(
    n: int, draw: Draw, *, part: float, noise: float, move: float, zero: float
) -> np.ndarray:
    """Return n images, the share `part` of them touched."""
    images = population(n, draw, zero)
    for row in np.flatnonzero(draw.random(n) < part):
        if move:
            images[row] = moved(images[row], move, draw)
        if noise:
            images[row] += draw.normal(0, noise, (8, 8)).astype(np.float32)
    return images


def families() -> dict[str, list[dict[str, float]]]:
    """Return the shifts of each family."""
    parts = (0.1, 0.5, 1.0)
    none = {"noise": 0.0, "move": 0.0, "zero": 1.0}
    return {
        "no shift": [{**none, "part": 0.0}],
        "noise": [{**none, "part": p, "noise": s} for p in parts for s in (0.05, 0.15, 0.4)],
        "image": [{**none, "part": p, "move": s} for p in parts for s in (0.2, 0.5, 1.0)],
        "knock-out": [{**none, "part": 0.0, "zero": 1 - p} for p in parts],
        "mixture": [{**none, "part": p, "move": 0.3, "zero": 1 - p} for p in parts],
    }


def tests() -> dict[str, Callable[[np.ndarray, np.ndarray], bool]]:
    """Return the tests by name: two samples -> rejected."""
    from alibi_detect.cd import MMDDrift

    from modelchecks.stats import kernel_two_sample
    from modelchecks.stats.kernel import median_distance

    def alibi(x: np.ndarray, y: np.ndarray) -> bool:
        detector = MMDDrift(x, backend="pytorch", n_permutations=PERMUTATIONS, device="cpu")
        share = detector.predict(y)["data"]["p_val"]
        return (1 + round(share * PERMUTATIONS)) / (1 + PERMUTATIONS) <= 0.05

    def alibi_scaled(x: np.ndarray, y: np.ndarray) -> bool:
        spread = x.std(axis=0)
        spread[spread < 1e-6] = 1
        return alibi(x / spread, y / spread)

    def ours(x: np.ndarray, y: np.ndarray) -> bool:
        return kernel_two_sample(x, y, permutations=PERMUTATIONS).p_value <= 0.05

    def one(x: np.ndarray, y: np.ndarray) -> bool:
        width = median_distance(np.concatenate([x, y]), np.random.default_rng(0))
        found = kernel_two_sample(x, y, permutations=PERMUTATIONS, bandwidths=[width])
        return found.p_value <= 0.05

    return {
        "modelchecks": ours,
        "alibi-detect": alibi,
        "modelchecks, one kernel": one,
        SCALED: alibi_scaled,
    }


def power(sizes: list[int]) -> dict[str, dict[str, dict[str, float]]]:
    """Return {n: {test: {family: share rejected}}}."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for n in sizes:
        replicates, judges = REPLICATES[n], tests()
        if n >= 1000:  # seconds a call, and no fair opponent
            del judges[SCALED]
        rates: dict[str, dict[str, list[float]]] = {name: {} for name in judges}
        for family, shifts in families().items():
            times = replicates if family != "no shift" else 10 * min(replicates, 30)
            for number, shift in enumerate(shifts):
                hits = dict.fromkeys(judges, 0)
                for replicate in range(times):
                    draw = np.random.default_rng([n, replicate, number, len(family)])
                    x = population(n, draw).reshape(n, -1)
                    y = shifted(n, draw, **shift).reshape(n, -1)
                    np.random.seed(replicate)  # alibi-detect draws from the global generator
                    for name, judge in judges.items():
                        hits[name] += judge(x, y)
                for name, count in hits.items():
                    rates[name].setdefault(family, []).append(count / times)
            print(
                n,
                family,
                {k: round(float(np.mean(v[family])), 3) for k, v in rates.items()},
                flush=True,
            )
        found[str(n)] = {
            name: {
                **{family: float(np.mean(values)) for family, values in table.items()},
                "mean power": float(
                    np.mean([v for f, values in table.items() if f != "no shift" for v in values])
                ),
            }
            for name, table in rates.items()
        }
    return found


def speed() -> dict[str, float]:
    """Return seconds at 2,000 x 2,000 x 64 with 100 permutations and the same, one kernel."""
    import torch
    from alibi_detect.cd import MMDDrift
    from alibi_detect.utils.pytorch import GaussianRBF

    from modelchecks.stats import kernel_two_sample

    draw = np.random.default_rng(0)
    x, y = (draw.normal(size=(2000, 64)).astype(np.float32) for _ in range(2))
    width = 8.0
    sigma = torch.tensor([width])
    detector = MMDDrift(
        x, backend="pytorch", n_permutations=100, device="cpu", kernel=GaussianRBF(sigma=sigma)
    )
    times: dict[str, list[float]] = {"alibi-detect": [], "one kernel": [], "all eight kernels": []}
    for _ in range(3):
        for name, run in (
            ("alibi-detect", lambda: detector.predict(y)),
            ("one kernel", lambda: kernel_two_sample(x, y, permutations=100, bandwidths=[width])),
            ("all eight kernels", lambda: kernel_two_sample(x, y, permutations=100)),
        ):
            started = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started)
    found = {name: min(values) for name, values in times.items()}
    found["ratio at one kernel"] = found["alibi-detect"] / found["one kernel"]
    return found


def main() -> None:
    """Measure and write."""
    import torch

    warnings.simplefilter("ignore")
    seconds = speed()
    print(seconds, flush=True)
    sizes = [int(word) for word in sys.argv[1:]] or list(REPLICATES)
    before = HERE / "two_sample.json"
    rates = json.loads(before.read_text())["power"] if before.is_file() else {}
    rates.update(power(sizes))
    rates = dict(sorted(rates.items(), key=lambda pair: int(pair[0])))
    threads = torch.get_num_threads()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {threads} torch threads"
    lines = [
        "# Two-sample tests side by side",
        "",
        f"Digits, 64 pixels; {PERMUTATIONS} permutations; replicates of each shift: {REPLICATES}. "
        "Share rejected at 5 %.",
        "",
        "| n | test | " + " | ".join(families()) + " | mean power |",
        "|---" * (len(families()) + 3) + "|",
    ]
    for n, table in rates.items():
        for name, row in table.items():
            cells = " | ".join(f"{100 * value:.1f}" for value in row.values())
            lines.append(f"| {n} | {name} | {cells} |")
    lines += ["", f"Seconds at 2,000 x 2,000 x 64, 100 permutations ({machine}):", ""]
    lines += [f"- {name}: {value:.3g}" for name, value in seconds.items()]
    (HERE / "two_sample.md").write_text("\n".join(lines) + "\n")
    told = {"replicates": REPLICATES, "power": rates, "seconds": seconds, "machine": machine}
    (HERE / "two_sample.json").write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
