"""search: a planted brittle model is caught with a change near the smallest that breaks it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import yaml
from hypothesis import settings

from modelchecks import load_suite, run_suite
from modelchecks.change import COMMON, Change
from modelchecks.checks.search import Search
from modelchecks.probes import search
from modelchecks.probes.strategies import smallest
from modelchecks.report.pictures import counterexamples
from modelchecks.results import Result
from tests.planted import SIDE, Planted

PLANTED = 0.5 / SIDE
"""Half a pixel to the left carries the edge over the pixel that decides."""
CHECK = "search: {max_drop: 10pp, images: 200, examples: 60}"


@pytest.fixture
def halves(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> Planted:
    """400 images of which one half is bright: the left one is class 0."""
    draw = np.random.default_rng(2)
    labels = draw.integers(0, 2, 400)
    images = np.full((400, SIDE, SIDE), 55, np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, slice(0, SIDE // 2) if label == 0 else slice(SIDE // 2, SIDE)] = 200
    planted.images(images, labels)
    planted.weights("it", sharpness=np.array([20.0], np.float32))
    monkeypatch.delenv("CI", raising=False)
    return planted


def test_the_brittle_model_is_caught_near_the_planted_minimum(halves: Planted) -> None:
    found = halves.judge(CHECK, "one_pixel", "it")
    assert found.status == "failed", found.message
    change = Change(**found.details["change"])
    assert change.right < 0
    # Other light may help by a little; all that it takes is near what was planted.
    assert change.share_of(COMMON) <= 2 * Change(right=PLANTED).share_of(COMMON)
    assert len(found.details["change"]) <= 2
    assert found.estimate is not None
    assert found.estimate.lower_bound > 0.10
    assert found.estimate.n == 100  # the half that the search did not see
    shown = counterexamples(found.details)
    assert shown
    assert all(image.before is not None and image.before != image.png for image in shown)
    assert all(" before: " in one.caption and " after: " in one.caption for one in shown)


def test_a_model_that_looks_at_the_whole_passes(halves: Planted) -> None:
    found = halves.judge(CHECK, "halves", "it")
    assert found.status == "passed", found.message
    assert "A search is no proof" in found.message
    assert found.details["tried"] >= 30


def test_flips_need_no_label(halves: Planted) -> None:
    found = halves.judge("search: {max_flips: 10%, images: 200, examples: 60}", "one_pixel", "it")
    assert found.status == "failed"
    assert Change(**found.details["change"]).share_of(COMMON) <= 2 * PLANTED / COMMON.right


def replayed(halves: Planted, found: Result) -> str:
    (check,) = yaml.safe_load(found.details["yaml"])
    parameters = check["search"]
    assert parameters["known"] == [found.details["change"]]
    assert parameters["examples"] == 0
    return f"search: {json.dumps(parameters)}"


def test_its_yaml_fails_in_ci_and_passes_once_the_model_is_mended(halves: Planted) -> None:
    check = replayed(halves, halves.judge(CHECK, "one_pixel", "it"))
    path = halves.write(check, {"it": "one_pixel"})
    command = [sys.executable, "-m", "modelchecks", "gate", str(path), "--report", "out"]
    environment = {**os.environ, "CI": "true"}
    for code in (1, 1):
        done = subprocess.run(
            command, cwd=halves.folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout + done.stderr
    assert "the known change {right: -0.0" in done.stdout + (
        halves.folder / "out" / "planted" / "run.json"
    ).read_text("utf-8")
    mended = halves.judge(check, "halves", "it")
    assert mended.status == "passed", mended.message
    assert mended.details["tried"] == 0


def test_in_ci_the_search_is_the_same_each_time_and_keeps_nothing(halves: Planted) -> None:
    path = halves.write(CHECK, {"it": "one_pixel"})
    script = (
        "import json, sys; from modelchecks import load_suite, run_suite;"
        "(r,) = run_suite(load_suite(sys.argv[1]), fresh=True).results;"
        "print(json.dumps([r.status, r.details['change'], r.details['tried']]))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", script, str(path)],
            env={**os.environ, "CI": "true"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
        for _ in range(2)
    ]
    assert said[0] == said[1]
    assert json.loads(said[0])[0] == "failed"
    assert not list(halves.folder.rglob("examples/*"))


@pytest.fixture
def at_a_desk() -> Iterator[None]:
    """Hypothesis as it is where CI is not set, also where these tests themselves run in CI."""
    before = settings.default
    settings.register_profile("at_a_desk", before, derandomize=False)
    settings.load_profile("at_a_desk")
    yield
    settings.register_profile("as_before", before)
    settings.load_profile("as_before")


@pytest.mark.usefixtures("at_a_desk")
def test_the_next_local_search_begins_with_what_broke(tmp_path) -> None:
    asked: list[Change] = []

    def effect(change: Change) -> float:
        asked.append(change)
        return abs(change.right) + abs(change.rotation) / 100

    def search() -> Change | None:
        asked.clear()
        return smallest(
            COMMON,
            (),
            effect,
            lambda change: asked.append(change) or change.right < -0.019,
            tries=60,
            start=1,
            folder=tmp_path,
        )

    first = search()
    assert first == Change(right=-0.02)
    assert asked[0] != first
    assert search() == first
    assert asked[0] == first


def test_known_changes_are_decided_each_and_the_search_stops_at_one_that_breaks(
    halves: Planted,
) -> None:
    check = (
        "search: {max_drop: 10pp, images: 200, examples: 30, "
        "known: [{rotation: 1}, {right: -0.04}]}"
    )
    found = halves.judge(check, "one_pixel", "it")
    assert found.status == "failed"
    assert [one["status"] for one in found.details["known"]] == ["passed", "failed"]
    assert "{right: -0.04}" in found.message
    assert found.details["tried"] <= 2


def test_a_limit_of_another_value_searches_again_and_the_same_one_does_not(
    halves: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants = {"it": "one_pixel"}
    first = halves.run(CHECK, variants)
    with monkeypatch.context() as patch:
        patch.setattr(search.Search, "run", lambda *_, **__: pytest.fail("searched again"))
        again = run_suite(load_suite(halves.write(CHECK, variants)))
    assert again.results[0].details["change"] == first.results[0].details["change"]
    wide = halves.run(CHECK.replace("10pp", "99pp"), variants)
    assert wide.results[0].status in ("passed", "inconclusive")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "needs one of"),
        ({"max_drop": 0.1, "max_flips": 0.1}, "needs one of"),
        ({"max_drop": 0.1, "images": 1}, "images"),
        ({"max_drop": 0.1, "examples": 0}, "examples"),
        ({"max_drop": 0.1, "within": Change()}, "within"),
    ],
)
def test_what_cannot_be_asked_is_refused(wrong: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Search(**wrong)
