"""Details in the shapes in which checks beyond the first ones record them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import made_runs
from made_runs import estimate, result

from modelchecks.results import Run


def told(value: float, half: float = 0.02, n: int = 500) -> dict[str, Any]:
    return asdict(estimate(value, half, n))


def attribution() -> dict[str, Any]:
    """Return what `drop_attribution` records."""
    steps: list[dict[str, Any]] = [{"step": "offline", "accuracy": 0.925}]
    at = 0.925
    for name, drop in (
        ("label_shift", -0.004),
        ("covariate_shift", 0.05),
        ("unseen", 0.03),
        ("rest", 0.054),
    ):
        ends = {"from": at, "to": at - drop, "change": -drop, "low": -drop - 0.01}
        steps.append({"step": name, **ends, "high": -drop + 0.01})
        at -= drop
    steps.append({"step": "live", "accuracy": 0.795})
    part = {"unseen_distance": 0.6, "median": [0.286, 0.331]}
    return {
        "waterfall": steps,
        "parts": {"rest": told(0.054)},
        "features": {"brightness": {**told(0.04), **part}, "entropy": {**told(0.01), **part}},
        "unseen_share": told(0.2),
        "rows": [8000, 5000],
    }


def accuracy_windows() -> dict[str, Any]:
    """Return what `accuracy_windows` records: a day that has rows and no label among others."""
    days = [("2026-11-10", 0.02, 300), ("2026-11-11", None, 0), ("2026-11-12", 0.09, 310)]
    return {
        "series": [
            {
                "window": day,
                "rows": 400,
                "labels": n,
                "accuracy": None if drop is None else 0.9 - drop,
                "drop": None if drop is None else told(drop, n=n),
                "status": None if drop is None else "failed" if drop > 0.05 else "passed",
                "evidence": 0.1,
            }
            for day, drop, n in days
        ],
        "offline": 0.9,
        "alarm": "2026-11-12",
        "since": "2026-11-12",
        "enough": 300,
        "by": "day",
    }


def drift_windows() -> dict[str, Any]:
    """Return what `drift_windows` records: two properties a day."""
    return {
        "series": [
            {
                "window": f"2026-11-1{day}",
                "rows": 400,
                "status": "passed",
                "distances": {
                    "brightness": [0.1 + day / 50, 0.08, 0.2, 0.09, 0.19],
                    "contrast": [0.05, 0.03, 0.07, 0.04, 0.06],
                },
            }
            for day in range(3)
        ],
        "alarm": None,
        "by": "day",
    }


def columns() -> dict[str, Any]:
    """Return what `feature_drift` records of log columns: numbers and categories."""
    more = {"kind": "continuous", "psi": 0.2, "p_value": 0.005, "new": {}}
    edges = {"edges": [0.0, 0.5, 1.0], "reference": [0.6, 0.4], "current": [0.3, 0.7]}
    quantiles = {"reference_quantiles": [0.1, 0.5], "current_quantiles": [0.2, 0.6]}
    kinds = {"categories": ["A", "B", "missing"], "reference": [0.7, 0.3, 0.0]}
    return {
        "effects": {"age": told(0.3), "camera": told(0.4)},
        "features": {
            "age": {**more, "shape": {**edges, **quantiles}},
            "camera": {
                **more,
                "kind": "categorical",
                "shape": {**kinds, "current": [0.3, 0.6, 0.1]},
            },
        },
    }


def search() -> dict[str, Any]:
    """Return what `search` records: before and after of two rows, one after the other."""
    images = []
    for place, (name, answers) in enumerate(
        {"r1": ("Coat", "Shirt"), "r2": ("Bag", "Coat")}.items()
    ):
        for what, answer in zip(("before", "after"), answers, strict=True):
            images.append(
                {"caption": f"{name} {what}: {answer}, 87 %", "png": picture(place, what)}
            )
    return {
        "change": {"rotation": 9.5},
        "yaml": "- search: {split: offline, max_drop: 10pp, known: [{rotation: 9.5}], examples: 0}",
        "tried": 31,
        "found": True,
        "searched": told(0.2),
        "known": [],
        "images": images,
    }


def picture(place: int, what: str = "") -> str:
    return made_runs.picture(100 * place + len(what))


def corruption() -> dict[str, Any]:
    """Return what `corruption` records."""
    return {
        "mean": told(0.2),
        "kinds": {"blur": told(0.3), "noise": told(0.1)},
        "curves": {
            kind: [{"severity": s, "accuracy": told(0.92 - fall * s, n=500)} for s in range(6)]
            for kind, fall in (("blur", 0.06), ("noise", 0.02))
        },
        "images": [
            {"caption": "blur, severity 3: r9 is not recognised any more", "png": picture(9)}
        ],
    }


def adversarial() -> dict[str, Any]:
    """Return what `adversarial` records."""
    return {
        "clean": 460,
        "attacks": {"fgsm": 300, "pgd": 200},
        "masking": [],
        "surrogate": "baseline",
        "curve": [
            {"eps": eps, "loss": eps, "accuracy": told(0.9 - eps / 10)} for eps in (1.0, 2.0)
        ],
        "images": [
            {"caption": f"r7 {what}: Bag, 91 %", "png": picture(7, what)}
            for what in ("before", "after")
        ],
    }


def rows_named() -> dict[str, Any]:
    """Return what `schema` and the leakage checks record of failing rows."""
    address = f"data:image/png;base64,{picture(3)}"
    return {"live": {"rows": 5}, "pictures": [{"caption": "live fm-1", "picture": address}]}


def every() -> Run:
    """Return a run with a case of each."""
    cases = {
        "drop_attribution": ("inconclusive", attribution(), {}, 0.13),
        "accuracy_windows": ("failed", accuracy_windows(), {"max_drop": 0.05}, 0.09),
        "drift_windows": ("passed", drift_windows(), {"max_effect": 0.2}, 0.14),
        "search": ("failed", search(), {"max_drop": 0.1}, 0.2),
        "corruption": ("failed", corruption(), {"max_loss": 0.15}, 0.2),
        "adversarial": ("failed", adversarial(), {"min_accuracy": 0.5}, 0.4),
        "weak_slices": ("failed", {"slices": {"store=x": told(0.2)}}, {"max_gap": 0.1}, 0.2),
    }
    results = [
        result(
            f"{check}[baseline]",
            status,
            estimate=estimate(value),
            threshold=limits,
            details=details,
        )
        for check, (status, details, limits, value) in cases.items()
    ]
    data = {
        "feature_drift": (columns(), {"max_effect": 0.1}),
        "shortcut": ({"gaps": {"entropy": told(0.2), "contrast": told(0.1)}}, {"max_gap": 0.15}),
        "schema": (rows_named(), {}),
    }
    results += [
        result(f"{check}[data]", "failed", estimate=estimate(0.2), threshold=limits, details=told)
        for check, (told, limits) in data.items()
    ]
    return made_runs.run(*results, names=("baseline",))
