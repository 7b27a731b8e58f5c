"""How often harm is seen, with labels and without: the case study's models, 256 draws.

    python tests/benchmarks/harm.py [FOLDER OF WEIGHTS] [CACHE]

Needs the trained variants of `make gate` (suites/runs). Writes harm.json and harm.md beside itself.
A draw is an environment, a number of live rows and a seed; each is judged for every variant. The
grey zone (severities between .35 and .75) is left out, and so is a variant whose true drop lies
within half a point of the margin. Peers: Kolmogorov-Smirnov tests at 5 %, Bonferroni over columns.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from harm_data import MAX_DROP, VARIANTS, Shown, draws, environments, load
from scipy.special import betaincinv
from scipy.stats import binom, ks_2samp

from modelchecks.features import DEFAULT
from modelchecks.stats import drop_attribution, harmful_shift
from modelchecks.stats.difference import mover
from modelchecks.stats.interval import clopper_pearson

HERE = Path(__file__).resolve().parent
LABELS = 500
GREY = 0.005


def power(offline_right: int, offline_n: int, live: float, n: int) -> float:
    """Return how often n labels show a drop beyond the margin, by enumeration."""
    x = np.arange(n + 1)
    first = offline_right / offline_n
    own = clopper_pearson(offline_right, offline_n, alpha=0.05)
    lower, _ = mover(first, own, x / n, clopper_pearson(x, n, alpha=0.05))
    return float(binom.pmf(x, n, live)[lower > MAX_DROP].sum())


def limits(hits: int, n: int) -> list[float]:
    """Return the exact 95 % interval of a share."""
    low = betaincinv(hits, n - hits + 1, 0.025) if hits else 0.0
    high = betaincinv(hits + 1, n - hits, 0.975) if hits < n else 1.0
    return [float(low), float(high)]


def score(alarms: np.ndarray, harmful: np.ndarray) -> dict[str, object]:
    """Return precision and recall with their intervals."""
    both = int((alarms & harmful).sum())
    return {
        "precision": both / max(int(alarms.sum()), 1),
        "precision_95": limits(both, max(int(alarms.sum()), 1)),
        "recall": both / int(harmful.sum()),
        "recall_95": limits(both, int(harmful.sum())),
    }


def judged(runs: Path, cache: Path) -> list[dict]:
    """Return a record of each draw and variant."""
    offline, shown = load(runs, cache)
    answers = offline.probabilities.argmax(2)
    before = shown["nothing changed"].accuracy()
    found = []
    for name, kind, n, seed, rows in draws(shown, seeds=4):
        one = shown[name]
        drops, live = before - one.accuracy(), one.probabilities[:, rows]
        now, y = live.argmax(2), one.labels[rows]
        columns = [
            float(ks_2samp(offline.features[:, i], one.features[rows, i], method="asymp").pvalue)
            for i in range(4)
        ]
        for v, variant in enumerate(VARIANTS):
            others = [i for i in range(len(VARIANTS)) if i != v]
            some = np.full(n, -1)
            some[:LABELS] = y[:LABELS]
            kept = {
                "max_drop": MAX_DROP,
                "offline_answers": answers[others],
                "live_answers": now[others],
            }
            blind = harmful_shift(offline.probabilities[v], offline.labels, live[v], **kept)
            told = harmful_shift(
                offline.probabilities[v], offline.labels, live[v], live_labels=some, **kept
            )
            sure = offline.probabilities[v].max(1), live[v].max(1)
            softmax = [
                float(ks_2samp(*pair, method="asymp").pvalue)
                for pair in zip(offline.probabilities[v].T, live[v].T, strict=True)
            ]
            right = int((answers[v] == offline.labels).sum())
            found.append(
                {
                    "environment": name,
                    "kind": kind,
                    "n": n,
                    "seed": seed,
                    "variant": variant,
                    "drop": float(drops[v]),
                    "suspected": blind.suspected,
                    "state": blind.state,
                    "blocks": told.blocks,
                    "labelled_state": told.state,
                    "power": power(right, len(offline.labels), float(one.accuracy()[v]), LABELS),
                    "ks_confidence": float(ks_2samp(*sure, method="asymp").pvalue) < 0.05,
                    "ks_softmax": min(softmax) * len(softmax) < 0.05,
                    "ks_features": min(columns) * len(columns) < 0.05,
                }
            )
    return found


def summary(found: list[dict]) -> dict[str, object]:
    """Return the figures of all draws outside the grey zone."""
    kept = [one for one in found if abs(one["drop"] - MAX_DROP) > GREY]
    harmful = np.array([one["drop"] > MAX_DROP for one in kept])

    def of(alarm: str) -> dict[str, object]:
        return score(np.array([bool(one[alarm]) for one in kept]), harmful)

    states = np.array([one["state"] for one in kept])
    large = np.array([one["drop"] >= 0.12 for one in kept])
    blocks = np.array([one["blocks"] for one in kept])
    elsewhere = harmful & ~large
    expected = np.array([one["power"] for one in kept])[elsewhere]
    error = float(np.sqrt((expected * (1 - expected)).sum())) / max(len(expected), 1)
    return {
        "draws": len({(one["environment"], one["n"], one["seed"]) for one in found}),
        "cases": len(kept),
        "harmful": int(harmful.sum()),
        f"{LABELS} labels, blocks": score(blocks, harmful),
        f"{LABELS} labels, recall at a drop of 12 pp and more": float(
            blocks[harmful & large].mean()
        ),
        f"{LABELS} labels, recall below 12 pp": float(blocks[elsewhere].mean()),
        f"{LABELS} labels, exact power below 12 pp": float(expected.mean()),
        "standard error of that recall": error,
        "no labels, alarms": score(states != "benign", harmful),
        "no labels, harmful": score(states == "harmful", harmful),
        "KS of confidence": of("ks_confidence"),
        "KS of 10 softmax outputs": of("ks_softmax"),
        "KS of 4 image features": of("ks_features"),
        "mean error of the suspected drop": float(
            np.mean([abs(one["suspected"] - one["drop"]) for one in kept])
        ),
    }


def made_of(runs: Path, cache: Path) -> list[str]:
    """Return a table of what the baseline's drop is made of, with what was planted."""
    offline, shown = load(runs, cache)
    planted = {
        "shirts x 1.6": "classes",
        "shirts x 6": "classes",
        "severity .35": "images",
        "severity 1": "images",
        "severity 1, shirts x 1.6": "images and classes",
    }
    lines = [
        "What the baseline's drop is made of, in points, at 5,000 live rows (95 % intervals),",
        f"by {', '.join(DEFAULT)}; the last column is how far these are from offline",
        "in the unseen rows.",
        "",
        "| environment | planted | total | classes | inputs | unseen | rest | features |",
        "|---|---|---|---|---|---|---|---|",
    ]

    def correct(one: Shown, rows: np.ndarray) -> np.ndarray:
        return (one.probabilities[0][rows].argmax(1) == one.labels[rows]) * 1

    for name, cause in planted.items():
        one = shown[name]
        rows = one.rows(5000, np.random.default_rng(1))
        found = drop_attribution(
            offline.features,
            offline.labels,
            correct(offline, np.arange(len(offline.labels))),
            one.features[rows],
            one.labels[rows],
            correct(one, rows),
        )
        parts = (
            found.total,
            found.label_shift,
            found.covariate_shift,
            found.unseen,
            found.rest,
        )
        cells = [
            f"{100 * part.value:.1f} [{100 * part.low:.1f}, {100 * part.high:.1f}]"
            for part in parts
        ]
        far = ", ".join(f"{distance:.2f}" for distance in found.unseen_distances)
        lines.append(f"| {name} | {cause} | {' | '.join(cells)} | {far} |")
    return lines


def main() -> None:
    """Judge, print and write."""
    runs = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1] / "suites" / "runs"
    own = Path(tempfile.gettempdir()) / "modelchecks-harm"
    cache = Path(sys.argv[2]) if len(sys.argv) > 2 else own
    found = judged(runs, cache)
    told = summary(found)
    lines = [
        "# Harm, seen with labels and without",
        "",
        f"{told['draws']} draws of the case study, {told['cases']} cases outside the grey zone "
        f"(3 variants), {told['harmful']} of them harmful: a true drop over 5 pp.",
        "",
        "| rule | precision | recall |",
        "|---|---|---|",
    ]
    for name, value in told.items():
        if isinstance(value, dict):
            cells = (
                "{:.3f} [{:.3f}, {:.3f}]".format(value[key], *value[key + "_95"])
                for key in ("precision", "recall")
            )
            lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", *(f"- {k}: {v:.4f}" for k, v in told.items() if isinstance(v, float)), ""]
    lines += [
        "| environment | true drop | suspected | alarms | KS of confidence |",
        "|---|---|---|---|---|",
    ]
    by_name = defaultdict(list)
    for one in found:
        by_name[one["environment"]].append(one)
    for name in environments():
        group = by_name[name]
        means = [
            float(np.mean(values))
            for values in (
                [one["drop"] for one in group],
                [one["suspected"] for one in group],
                [one["state"] != "benign" for one in group],
                [one["ks_confidence"] for one in group],
            )
        ]
        lines.append("| {} | {:.3f} | {:.3f} | {:.2f} | {:.2f} |".format(name, *means))
    lines += ["", *made_of(runs, cache)]
    text = "\n".join(lines) + "\n"
    print(text)
    (HERE / "harm.md").write_text(text)
    (HERE / "harm.json").write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
