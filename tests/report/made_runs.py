"""Runs built by hand, for the reports: all that a page can show, and all that it must survive."""

from __future__ import annotations

import base64
import io
import math
import random
from dataclasses import replace
from typing import Any

from PIL import Image

from modelchecks.results import Decision, Location, Result, Run
from modelchecks.stats.estimate import Estimate

VARIANTS = ("baseline", "domain_adapted", "curriculum")
CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Bag")
BRIGHTNESS = {
    "edges": [i / 20 for i in range(21)],
    "reference": [math.exp(-(((i - 6) / 4) ** 2)) / 7 for i in range(20)],
    "current": [math.exp(-(((i - 12) / 4) ** 2)) / 7 for i in range(20)],
}
HOSTILE = (
    "<script>document.title='owned'</script>",
    "\"onerror=\"document.title='owned'",
    "'><img src=x onerror=document.title='owned'>",
    "</style></script><b>out</b>",
    "\u202etxt.exe \u2067 שלום \u200f",
    "line\nbreak\ttab \x00 \x1b[31m \x07 \ud800",
    "{{ 7 * 7 }}{% raw %} ${alert(1)} javascript:alert(1) url(#x) &lt;b&gt;",
)


def estimate(value: float, half: float = 0.012, n: int = 5000) -> Estimate:
    """Return an estimate with an interval of twice `half`."""
    return Estimate(
        value, value - half, value + half, value - 0.84 * half, value + 0.84 * half, 0.05, n, "made"
    )


def point(value: float, half: float = 0.02, n: int = 500) -> dict[str, Any]:
    """Return a POINT of `report.details`."""
    return {"value": value, "low": value - half, "high": value + half, "n": n}


def result(case: str, status: str = "passed", **facts: Any) -> Result:
    """Return a result; its variant is what stands in the brackets of its case."""
    check, _, rest = case.partition("[")
    variant = rest.rstrip("]")
    told: dict[str, Any] = {
        "case": case,
        "check": check,
        "variant": None if variant in ("", "data") else variant,
        "severity": "block",
        "status": status,
        "message": f"{case} {status}",
        "location": Location("made.suite.yaml", 7),
    }
    return Result(**{**told, **facts})


def run(*results: Result, **facts: Any) -> Run:
    """Return a run of these results; a variant with a failed blocking case is blocked."""
    names = facts.pop("names", VARIANTS)
    decisions = {}
    for name in names:
        mine = [r for r in results if r.variant in (None, name) and r.severity == "block"]
        failed = tuple(r.case for r in mine if r.status == "failed")
        unsettled = tuple(r.case for r in mine if r.status not in ("passed", "not_applicable"))
        verdict = "blocked" if failed else "undecided" if unsettled or not mine else "approved"
        decisions[name] = Decision(name, verdict, failed or unsettled)
    told: dict[str, Any] = {
        "run_id": "0123456789abcdef",
        "started": "2026-11-24T18:00:00.000+00:00",
        "finished": "2026-11-24T18:05:00.000+00:00",
        "suite": {
            "name": "made-gate",
            "path": "made.suite.yaml",
            "sha256": "ab" * 32,
            "description": "May it go live?",
            "champion": names[0] if names else None,
            "policy": {"inconclusive": "fail", "mode": "enforce", "ledger": None, "history": None},
            "text": "suite: made-gate\nchecks:\n  - accuracy_drop: {max_drop: 5pp}\n",
            "about": {"accuracy_drop": "It falls by no more than `max_drop`.\n\nStatistic: made."},
        },
        "variants": {name: {"weights_sha256": f"{i:064x}"} for i, name in enumerate(names)},
        "splits": {"live": {"rows": 5000, "fingerprint": "cd" * 32, "labelled": 5000}},
        "provenance": {"modelchecks": "0.1.0", "seed": 0, "git": "abc", "evidence": {}},
        "notes": ("no ledger, counted as first look at the live rows",),
    }
    return Run(results=results, decisions=decisions, **{**told, **facts})


def drop(variant: str, offline: float, live: float, status: str = "failed", **more: Any) -> Result:
    """Return an accuracy_drop case."""
    details = {"offline": point(offline, 0.006, 8000), "live": point(live, 0.011, 5000), **more}
    return result(
        f"live-drop[{variant}]",
        status,
        check="accuracy_drop",
        estimate=estimate(offline - live),
        threshold={"max_drop": 0.05},
        message=f"accuracy fell by {100 * (offline - live):.1f} pp, over the allowed 5 pp",
        details=details,
    )


def picture(seed: int, size: int = 28) -> str:
    """Return a PNG of noise, in base64: larger than a photograph of that size would be."""
    draw = random.Random(seed)
    image = Image.frombytes("L", (size, size), bytes(draw.randrange(256) for _ in range(size**2)))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def per_class(seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    rows = []
    for name in CLASSES:
        before, after = 0.9 + draw.random() / 12, 0.5 + draw.random() / 2.5
        rows.append(
            {
                "name": name,
                "n": 500,
                "drop": before - after,
                "low": before - after - 0.03,
                "high": before - after + 0.03,
                "offline": point(before),
                "live": point(after),
            }
        )
    return sorted(rows, key=lambda row: -row["drop"])


def confusions(seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    rows = [
        {"label": a, "predicted": b, "offline": draw.random() / 9, "live": draw.random() ** 4 / 2}
        for a in CLASSES
        for b in CLASSES
    ]
    return sorted(rows, key=lambda row: -abs(row["live"] - row["offline"]))


def cloud(draw: random.Random, at: float) -> list[list[float]]:
    return [[draw.gauss(at, 1), draw.gauss(0, 1)] for _ in range(150)]


def bins(shift: float) -> list[dict[str, Any]]:
    return [
        {
            "confidence": (i + 0.5) / 15,
            "accuracy": max((i + 0.5) / 15 - shift, 0.02),
            "n": 300,
            "low": max((i + 0.5) / 15 - shift - 0.03, 0.0),
            "high": min((i + 0.5) / 15 - shift + 0.05, 1.0),
        }
        for i in range(15)
    ]


def everything(images: int = 8) -> Run:
    """Return a run that has every shape of details, and every status."""
    results = [
        result("schema[data]", "errored", message="live.parquet cannot be read", details={"a": 1}),
        result(
            "feature_drift[data]",
            "failed",
            severity="warn",
            estimate=estimate(0.3, 0.02),
            threshold={"max_effect": 0.1},
            details={
                "effects": {"brightness": vars_of(0.3), "entropy": vars_of(0.05)},
                "splits": {"reference": "train", "current": "live"},
                "features": {"brightness": {"shape": BRIGHTNESS}},
                "distributions": {"brightness": BRIGHTNESS},
            },
        ),
        result(
            "label_drift[data]",
            severity="warn",
            estimate=estimate(0.02, 0.01),
            threshold={"max_effect": 0.1},
            details={"shares": {c: {"reference": 0.12, "current": 0.13} for c in CLASSES}},
        ),
    ]
    pairs = ((0.925, 0.795), (0.935, 0.789), (0.939, 0.783))
    for place, (variant, (offline, live)) in enumerate(zip(VARIANTS, pairs, strict=True)):
        draw = random.Random(place)
        results += [
            drop(
                variant,
                offline,
                live,
                per_class=per_class(place),
                confusions=confusions(place),
                classes=list(CLASSES),
            ),
            result(
                f"slices[{variant}]",
                "inconclusive",
                check="slice_drop",
                estimate=estimate(0.06),
                threshold={"max_drop": 0.05},
                needed=12345,
                message="camera=B may have fallen by more than 5 pp. About 12,345 would settle it",
                details={
                    "groups": [
                        {"name": f"camera={c}", "n": 900, "drop": d, "low": d - 0.02}
                        | {"high": d + 0.02, "status": s}
                        for c, d, s in (
                            ("C", 0.09, "failed"),
                            ("B", 0.06, "inconclusive"),
                            ("A", 0.01, "passed"),
                        )
                    ]
                },
            ),
            result(
                f"calibration[{variant}]",
                estimate=estimate(0.02),
                threshold={"max_error": 0.05},
                details={"reliability": {"offline": bins(0.0), "live": bins(0.08)}},
            ),
            result(
                f"latency[{variant}]",
                estimate=estimate(31.5, 2.0),
                threshold={"max_latency": 50.0},
                details={
                    "unit": "ms",
                    "series": [
                        {"at": f"2026-11-{10 + i}", **point(30 + draw.random() * 4, 2.0)}
                        for i in range(12)
                    ],
                },
            ),
            result(
                f"corruption[{variant}]",
                "failed",
                severity="warn",
                details={
                    "curves": {
                        name: [
                            {"severity": s / 4, **point(offline - place * 0.01 - s * fall, 0.012)}
                            for s in range(6)
                        ]
                        for name, fall in (("blur", 0.05), ("noise", 0.08))
                    },
                    "counterexamples": [
                        {
                            "caption": "Coat becomes Pullover",
                            "before": picture(place),
                            "after": picture(place + 50),
                            "parameters": {"rotation": 3.5, "blur": 0.25},
                        }
                    ],
                },
            ),
            result(
                f"embedding_drift[{variant}]",
                "not_applicable",
                structural=True,
                severity="info",
                details={"embedding": {"train": cloud(draw, 0.0), "live": cloud(draw, 1.2)}},
            ),
            result(
                f"lost[{variant}]",
                severity="info",
                details={
                    "images": [
                        {
                            "caption": f"Shirt called Pullover, live-{place}-{i}",
                            "png": picture(1000 * place + i),
                        }
                        for i in range(images)
                    ]
                },
            ),
        ]
    return run(*results)


def vars_of(value: float) -> dict[str, Any]:
    """Return an estimate as a check records it."""
    found = estimate(value, 0.02)
    return {name: getattr(found, name) for name in Estimate.__slots__}


def large(checks: int = 40, images: int = 30) -> Run:
    """Return three variants times forty cases, with thumbnails: what the size limit is about."""
    base = everything(images)
    more = []
    for number in range(checks - len(base.results) // len(VARIANTS)):
        for place, variant in enumerate(VARIANTS):
            status = ("passed", "failed", "inconclusive", "passed")[(number + place) % 4]
            half = 0.5 * 0.05
            more.append(
                result(
                    f"check-{number:02d}[{variant}]",
                    status,
                    check="accuracy_drop",
                    severity=("block", "warn")[number % 2],
                    estimate=estimate(0.05 + (number % 7 - 3) * 0.02, half),
                    threshold={"max_drop": 0.05},
                    message=f"accuracy fell by {number} pp in slice {number}; " * 2,
                    needed=9000 if status == "inconclusive" else None,
                )
            )
    made = run(*base.results, *more)
    return replace(made, suite={**made.suite, "name": "large-gate"})


def hostile() -> Run:
    """Return a run whose every text tries to break out of the page."""
    results = []
    names = tuple(f"v{place}{text}" for place, text in enumerate(HOSTILE[:3]))
    for place, text in enumerate(HOSTILE):
        rows = [{"name": text, "n": 5, "drop": 0.1, "low": 0.05, "high": 0.2, "status": text}]
        for whose in ("data", names[place % len(names)]):
            results.append(
                result(
                    f"c{place}{text}[{whose}]",
                    ("failed", "errored", "inconclusive", "passed")[place % 4],
                    check=text,
                    variant=None if whose == "data" else whose,
                    message=f"`{text}` {text}",
                    location=Location(text, 3),
                    estimate=estimate(0.1),
                    threshold={text: 0.05},
                    details={
                        "traceback": text,
                        "groups": rows,
                        "unit": text,
                        "per_class": [{**rows[0], "offline": point(0.9), "live": point(0.5)}],
                        "offline": point(0.9),
                        "live": point(0.6),
                        "effects": {text: point(0.3), text + "2": point(0.2)},
                        "shares": {text: {"reference": 0.5, "current": 0.4}},
                        "splits": {"reference": text, "current": text + "2"},
                        "distributions": {
                            text: {"edges": [0, 1], "reference": [1.0], "current": [1.0]}
                        },
                        "confusions": [
                            {"label": text, "predicted": text, "offline": 0.1, "live": 0.9}
                        ],
                        "series": [{"at": text, **point(0.3)}],
                        "curves": {text: [{"severity": 1, **point(0.4)}]},
                        "reliability": {text: bins(0.1)},
                        "embedding": {text: [[0, 1]], text + "2": [[1, 0]]},
                        "images": [
                            {"caption": text, "png": picture(place)},
                            {"caption": text, "png": text},
                        ],
                        "counterexamples": [
                            {"caption": text, "after": picture(place), "before": 3}
                        ],
                        "gaps": {text + "3": point(0.3)},
                        "features": {
                            text: {**point(0.1), "median": [1, 2], "shape": {"edges": [0, 1]}},
                            text + "2": {
                                "shape": {
                                    "categories": [text],
                                    "reference": [1.0],
                                    "current": [1.0],
                                }
                            },
                        },
                        "waterfall": [
                            {"step": text, "accuracy": 0.9},
                            {"step": text + "2", "from": 0.9, "to": 0.8, "change": -0.1},
                        ],
                        "curve": [{"eps": 1, "accuracy": point(0.4)}],
                        "pictures": [
                            {
                                "caption": f"{text} before: {text}",
                                "picture": f"data:image/png;base64,{picture(place)}",
                            },
                            {"caption": f"{text} after: {text}", "png": picture(place)},
                            {"caption": text, "picture": text},
                        ],
                        text: text,
                    },
                )
            )
    made = run(*results, names=names)
    texts = " ".join(HOSTILE)
    return replace(
        made,
        run_id=texts,
        finished=texts,
        suite={
            **made.suite,
            "name": texts,
            "description": texts,
            "path": texts,
            "text": texts,
            "about": dict.fromkeys(HOSTILE, f"{texts}\n\n{texts}"),
        },
        variants={name: {text: text for text in HOSTILE} for name in names},
        splits={text: {text: text} for text in HOSTILE},
        provenance={text: text for text in HOSTILE} | {"git": texts},
        notes=HOSTILE,
    )


def odd_details() -> list[Any]:
    """Return values that a check of somebody else's may put under any key."""
    plain = [None, 1, 1.5, 10**400, "text", True, [], {}, [1], [None], [[]], [{}], {"a": 1}]
    nested = [{"a": {}}, {"a": [1]}, {"a": {"value": "x"}}, [{"name": 1, "drop": "x"}]]
    return [*plain, *nested, {"a": {"edges": [1]}}, {"a": {"edges": "ab", "reference": 1}}]
