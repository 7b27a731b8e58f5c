"""Models as they are asked: weights that are what was identified, batches that fit, embeddings."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn

from modelchecks import EvidenceError, load_suite, pacing, registry, run_suite
from modelchecks.facets import EMBEDDING, LOGITS
from modelchecks.identity import Pace
from modelchecks.inference import Model
from modelchecks.pacing import fastest
from modelchecks.report import record
from modelchecks.run import suite_store
from modelchecks.sources import ArraySamples, Batch
from modelchecks.store import Store
from modelchecks.suite import Compute, Variant

MODELS = """
import functools, os, torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU())
        self.head = nn.Linear(8, 3)
    def forward(self, x):
        self.most = max(getattr(self, "most", 0), len(x))
        limit = os.environ.get("MOST_IMAGES")
        if limit and len(x) > int(limit):
            raise torch.OutOfMemoryError(f"CUDA out of memory: {len(x)} images")
        return self.head(self.body(x))

@functools.lru_cache
def shared():
    return Net()

class Headless(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
    def forward(self, x):
        return x.flatten(1)[:, :3] * self.scale

class Drawing(Net):
    def forward(self, x):
        return super().forward(x) + torch.rand(len(x), 3)

def inplace(images):
    images[:] = 0
    return torch.zeros(len(images), 1, 4, 4)

class Coarse(Net):
    def forward(self, x):
        # What bfloat16 rounds away is what this answers by.
        logits = super().forward(x)
        return (logits - logits.float().detach().to(torch.bfloat16)) * 300

class Rough(Net):
    def __init__(self):
        super().__init__()
        self.rough = nn.Parameter(torch.zeros(1))
    def forward(self, x):
        logits = super().forward(x)
        lost = logits.float() - logits.float().detach().to(torch.bfloat16)
        return logits * (1 - self.rough) + lost * self.rough * 300

class Threads(Net):
    def forward(self, x):
        # Class 1 where numpy's library has one thread, else class 0.
        from pathlib import Path
        from threadpoolctl import threadpool_info
        pools = {
            found["num_threads"] for found in threadpool_info()
            if any(part.startswith(("numpy", "scipy")) for part in Path(found["filepath"]).parts)
        }
        logits = torch.zeros(len(x), 3)
        logits[:, int(pools == {1})] = 1
        return logits

class Leaving(Net):
    def forward(self, x):
        raise SystemExit(0)
"""
SUITE = """
suite: s
data:
  offline: {{source: arrays, images: x.npy, labels: y.npy, sampling: random}}
  live: {{source: arrays, images: x2.npy, labels: y2.npy, sampling: random}}
variants:
{variants}
checks:
  - accuracy_drop: {{max_drop: 99pp}}
compute: {{{compute}}}
"""
BOTH = """  a: {model: 'nets:Net', weights: a.safetensors}
  b: {model: 'nets:Net', weights: b.safetensors}"""
FORTY = Pace(40)


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A folder with two tiny nets of different weights over 100 random images a split."""
    monkeypatch.delenv("MODELCHECKS_CACHE", raising=False)
    draw = np.random.default_rng(0)
    for end in ("", "2"):
        np.save(tmp_path / f"x{end}.npy", draw.integers(0, 256, (100, 4, 4), dtype=np.uint8))
        np.save(tmp_path / f"y{end}.npy", draw.integers(0, 3, 100))
    (tmp_path / "nets.py").write_text(MODELS)
    for seed, name in enumerate("ab"):
        torch.manual_seed(seed)
        net = nn.ModuleDict(
            {"body": nn.Sequential(nn.Flatten(), nn.Linear(16, 8)), "head": nn.Linear(8, 3)}
        )
        save_file(net.state_dict(), tmp_path / f"{name}.safetensors")
    return tmp_path


def suite(folder, variants=BOTH, compute="batch_size: 40"):
    path = folder / "s.suite.yaml"
    path.write_text(SUITE.format(variants=variants, compute=compute))
    return load_suite(path)


def accuracies(run):
    return {r.variant: r.details["live"]["value"] for r in run.results if r.status == "passed"}


def by_hand(folder, name, end="2"):
    state = load_file(folder / f"{name}.safetensors")
    pixels = torch.from_numpy(np.load(folder / f"x{end}.npy")).flatten(1) / 255
    hidden = torch.relu(pixels @ state["body.1.weight"].T + state["body.1.bias"])
    return hidden, hidden @ state["head.weight"].T + state["head.bias"]


def model(folder, name="Net", weights="a", wanted=frozenset(), pace=FORTY, **options):
    variant = Variant("v", f"nets:{name}", f"{weights}.safetensors", **options)
    if name == "Headless":
        save_file({"scale": torch.ones(3)}, folder / f"{weights}.safetensors")
    return Model(variant, folder, Compute(), pace, wanted)


def batch(folder, rows=100):
    images = np.load(folder / "x2.npy")[:rows, :, :, None]
    return Batch([str(row) for row in range(rows)], images)


def test_logits_and_embeddings_come_from_one_forward_and_are_those_computed_by_hand(nets):
    hidden, logits = by_hand(nets, "a")
    asked = model(nets, wanted=frozenset({LOGITS, EMBEDDING}), pace=Pace(32))
    forwards = []
    asked.module.register_forward_hook(lambda *_: forwards.append(1))
    answers = asked(batch(nets))
    assert len(forwards) == 4
    np.testing.assert_allclose(answers.logits, logits, atol=1e-5)
    np.testing.assert_allclose(answers.embedding, hidden, atol=1e-5)
    named = model(nets, wanted=frozenset({EMBEDDING}), embedding="body.1")(batch(nets))
    np.testing.assert_allclose(np.maximum(named.embedding, 0), hidden, atol=1e-5)
    assert named.logits is None


def test_nothing_is_hooked_or_kept_that_nobody_asked_for(nets):
    plain = model(nets)
    assert not any(layer._forward_hooks for layer in plain.module.modules())
    answers = plain(batch(nets))
    assert (answers.logits, answers.embedding) == (None, None)


def test_an_embedding_that_is_not_there_says_why(nets):
    wanted = frozenset({EMBEDDING})
    off = model(nets, wanted=wanted, embedding="none")(batch(nets))
    assert off.embedding is None
    assert "`embedding: none`" in off.absent[EMBEDDING]
    headless = model(nets, "Headless", "h", wanted=wanted)(batch(nets))
    assert headless.embedding is None
    assert "name the layer with `embedding:`" in headless.absent[EMBEDDING]
    with pytest.raises(EvidenceError, match=r"no layer 'tail'.*it has body"):
        model(nets, wanted=wanted, embedding="tail")


def test_out_of_memory_halves_the_batch_goes_on_and_is_remembered(nets, monkeypatch):
    expected = accuracies(run_suite(suite(nets)))
    shutil.rmtree(nets / ".modelchecks")
    monkeypatch.setenv("MOST_IMAGES", "15")
    said: list[str] = []
    asked = suite(nets)
    run = run_suite(asked, store=suite_store(asked, said.append))
    assert accuracies(run) == expected
    # One architecture has one pace, so `b` starts where `a` arrived.
    assert said == [
        f"variant 'a': out of memory with {size} images at once; going on with {size // 2}"
        for size in (40, 20)
    ]
    said.clear()
    shutil.rmtree(nets / ".modelchecks" / "evidence")
    assert accuracies(run_suite(asked, store=suite_store(asked, said.append))) == expected
    assert said == []


@pytest.mark.parametrize("most", [3, 20, 70, 130])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_does_not_fit_while_the_pace_is_looked_for_is_not_taken(
    nets, monkeypatch, most, precision
):
    expected = accuracies(run_suite(suite(nets, compute=f"batch_size: 1, precision: {precision}")))
    shutil.rmtree(nets / ".modelchecks")
    monkeypatch.setenv("MOST_IMAGES", str(most))
    run = run_suite(suite(nets, compute=f"precision: {precision}"))
    assert accuracies(run) == pytest.approx(expected, abs=0.02)
    assert {0 < v["pace"]["batch_size"] <= most for v in run.variants.values()} == {True}


@pytest.mark.parametrize("compute", ["batch_size: 40", "seed: 1"])
def test_a_model_that_never_fits_is_errored(nets, monkeypatch, compute):
    monkeypatch.setenv("MOST_IMAGES", "0")
    run = run_suite(suite(nets, compute=compute))
    assert {r.status for r in run.results} == {"errored"}
    assert all("not even one image at a time" in r.message for r in run.results)


def test_variants_of_one_shared_module_are_judged_with_their_own_weights(nets):
    apart = accuracies(run_suite(suite(nets)))
    assert len(set(apart.values())) == 2
    shutil.rmtree(nets / ".modelchecks")
    shared = BOTH.replace("nets:Net", "nets:shared")
    assert accuracies(run_suite(suite(nets, shared))) == apart


def test_weights_that_are_replaced_before_they_are_loaded_are_refused(nets):
    variant = Variant("v", "nets:Net", "a.safetensors")
    with pytest.raises(EvidenceError, match="changed while the gate ran"):
        Model(variant, nets, Compute(), Pace(8), frozenset(), sha256="0" * 64)


def test_weights_swapped_between_two_splits_approve_nothing(nets, monkeypatch):
    from modelchecks.sources.arrays import ArrayFiles

    read = ArrayFiles.read

    def swapping(self, start, stop, **options):
        if self.images.name == "x2.npy":
            shutil.copy(nets / "b.safetensors", nets / "a.safetensors")
        return read(self, start, stop, **options)

    monkeypatch.setattr(ArrayFiles, "read", swapping)
    run = run_suite(suite(nets))
    assert {r.variant: r.status for r in run.results}["a"] == "errored"
    assert run.decisions["a"].verdict == "undecided"


def test_a_new_variant_is_the_only_one_that_is_computed(nets):
    first = run_suite(suite(nets, BOTH.partition("\n")[0]))
    stored = {p: p.stat().st_mtime_ns for p in (nets / ".modelchecks").rglob("*.parquet")}
    second = run_suite(suite(nets))
    assert {p: p.stat().st_mtime_ns for p in stored} == stored
    assert len(list((nets / ".modelchecks").rglob("*.parquet"))) == len(stored) + 2
    assert replace(second.results[0], location=None) == replace(first.results[0], location=None)


def test_one_sick_variant_takes_nothing_from_the_others(nets):
    sick = BOTH.replace("b: {model: 'nets:Net'", "b: {model: 'nets:Leaving'")
    run = run_suite(suite(nets, sick))
    assert [r.status for r in run.results] == ["passed", "errored"]
    assert "raised SystemExit" in run.results[1].message
    told = nets / "run.json"
    told.write_text(record.dumps(run))
    from modelchecks.run import judge_again

    again = judge_again(suite(nets, sick), told)
    assert [r.status for r in again.results] == ["passed", "errored"]


def test_what_a_transform_does_to_its_images_is_not_seen_by_the_next_variant(nets):
    expected = accuracies(run_suite(suite(nets)))
    shutil.rmtree(nets / ".modelchecks")
    spoiled = BOTH.replace("a.safetensors}", "a.safetensors, transform: 'nets:inplace'}")
    assert accuracies(run_suite(suite(nets, spoiled)))["b"] == expected["b"]


def test_a_model_that_draws_answers_the_same_in_every_run(nets):
    drawing = BOTH.replace("nets:Net", "nets:Drawing")
    runs = []
    for _ in range(2):
        runs.append(
            record.to_json(run_suite(suite(nets, drawing), store=Store(nets / "s")))["results"]
        )
        shutil.rmtree(nets / "s")
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"body.1.weight": torch.ones(8, 16, dtype=torch.int8)}, "as torch.int8"),
        ({"body.1.weight": torch.ones(8, 16, dtype=torch.complex64)}, "as torch.complex64"),
        ({"body.1.weight": torch.full((8, 16), torch.nan)}, "NaN or infinity"),
        ({"body.1.weight": torch.ones(8, 17)}, "do not fit"),
        ({"more": torch.ones(1)}, "do not fit"),
    ],
)
def test_weights_that_are_not_what_the_model_has_are_refused(nets, state, said):
    path = nets / "a.safetensors"
    with torch.no_grad():
        kept = {**load_file(path), **state}
    torch.save(kept, nets / "odd.pt")
    variant = Variant("v", "nets:Net", "odd.pt")
    with pytest.raises(EvidenceError, match=said):
        Model(variant, nets, Compute(), Pace(8))


def test_the_pace_is_measured_once_and_any_pace_gives_the_same_answers(nets):
    asked = suite(nets, compute="seed: 1")
    first = run_suite(asked)
    (pace,) = (nets / ".modelchecks" / "paces").glob("*.json")
    before = pace.stat().st_mtime_ns
    run_suite(asked, fresh=True)
    assert pace.stat().st_mtime_ns == before
    assert accuracies(first) == accuracies(run_suite(suite(nets), store=Store(nets / "other")))
    images = np.load(nets / "x.npy")[..., None]
    samples = ArraySamples([str(i) for i in range(100)], images, np.zeros(100, np.int64))
    found = fastest(Variant("v", "nets:Net", "a.safetensors"), nets, Compute(), samples)
    assert found.batch_size in (32, 64, 128)


def blas():
    """Threads of each of numpy's and scipy's libraries, by its file."""
    import scipy.linalg  # noqa: F401

    return {
        found["filepath"]: found["num_threads"]
        for found in threadpool_info()
        if any(part.startswith(("numpy", "scipy")) for part in Path(found["filepath"]).parts)
    }


def test_while_models_answer_numpy_has_one_thread_and_all_of_its_own_after(nets):
    if not blas():
        pytest.skip("numpy's library has no threads to set")
    np.save(nets / "y2.npy", np.ones(100, np.int64))
    with threadpool_limits(2, user_api="blas"):
        before = blas()
        run = run_suite(suite(nets, "  a: {model: 'nets:Threads', weights: a.safetensors}"))
        assert blas() == before
    assert accuracies(run) == {"a": 1.0}


def test_what_a_suite_imports_while_its_pace_is_looked_for_can_be_trained(nets):
    (nets / "nets.py").write_text(
        MODELS + "\nCONSTANT = torch.ones(1)\nclass Odd(Net):\n    constant = CONSTANT\n"
    )
    samples = ArraySamples(
        [str(i) for i in range(100)], np.load(nets / "x.npy")[..., None], np.zeros(100, np.int64)
    )
    fastest(Variant("v", "nets:Odd", "a.safetensors"), nets, Compute(), samples)
    made = registry.load("nets:Odd", nets)
    assert not made.constant.is_inference()
    assert not any(weight.is_inference() for weight in made().parameters())


def test_bfloat16_is_what_autocast_gives(nets):
    images = np.load(nets / "x2.npy")[..., None]
    exact = model(nets).logits(images)
    asked = model(nets, wanted=frozenset({EMBEDDING}), pace=Pace(40, bfloat16=True))
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        expected = asked.module(asked.inputs(images)).float()
    found = asked.logits(images)
    assert found.dtype == torch.float32
    assert not torch.equal(found, exact)
    assert torch.equal(found, expected)
    assert asked(batch(nets)).embedding.dtype == np.float32


@pytest.mark.parametrize(
    ("net", "precision", "taken"),
    [("Net", "bfloat16", True), ("Net", "float32", False), ("Coarse", "bfloat16", False)],
)
def test_bfloat16_is_taken_where_it_is_allowed_faster_and_close(
    nets, monkeypatch, net, precision, taken
):
    monkeypatch.setattr(
        pacing, "seconds_per_image", lambda model, pace, images: 1e-6 if pace.bfloat16 else 1e-5
    )
    samples = ArraySamples(
        [str(i) for i in range(100)], np.load(nets / "x.npy")[..., None], np.zeros(100, np.int64)
    )
    variant = Variant("v", f"nets:{net}", "a.safetensors")
    found = fastest(variant, nets, Compute(batch_size=40, precision=precision), samples)
    assert found == Pace(40, bfloat16=taken, channels_last=taken)


def test_bfloat16_that_is_not_faster_is_not_taken(nets, monkeypatch):
    monkeypatch.setattr(pacing, "seconds_per_image", lambda model, pace, images: 1e-5)
    samples = ArraySamples(
        [str(i) for i in range(100)], np.load(nets / "x.npy")[..., None], np.zeros(100, np.int64)
    )
    variant = Variant("v", "nets:Net", "a.safetensors")
    assert fastest(variant, nets, Compute(precision="bfloat16"), samples) == Pace(128)


@pytest.mark.parametrize(
    ("seconds", "taken"),
    [
        ({128: 1.0}, 128),  # a larger one that is no slower
        ({128: 1.04}, 128),
        ({128: 1.1}, 64),
        ({128: 1.1, 32: 0.97}, 64),  # a smaller one that is hardly faster
        ({128: 1.1, 32: 0.9}, 32),
        ({128: 1.0, 32: 0.5}, 128),  # the first that will do
    ],
)
def test_a_larger_batch_may_be_as_fast_and_a_smaller_one_must_be_faster(
    nets, monkeypatch, seconds, taken
):
    monkeypatch.setattr(
        pacing,
        "seconds_per_image",
        lambda model, pace, images: 1e-6 * seconds.get(pace.batch_size, 1.0),
    )
    samples = ArraySamples(
        [str(i) for i in range(100)], np.load(nets / "x.npy")[..., None], np.zeros(100, np.int64)
    )
    variant = Variant("v", "nets:Net", "a.safetensors")
    assert fastest(variant, nets, Compute(), samples) == Pace(taken)


def tried(nets, monkeypatch, rows=100, at_once=512, **compute):
    """The batch sizes that are tried where each takes less time than the one before."""
    sizes = []

    def timed(model, pace, images):
        sizes.append(pace.batch_size)
        return 1e-6 / len(sizes)

    monkeypatch.setattr(pacing, "seconds_per_image", timed)
    monkeypatch.setattr(pacing, "rows_at_once", lambda samples: at_once)
    monkeypatch.setattr(pacing, "_LEAST_SECONDS", 60.0)
    images = np.load(nets / "x.npy")[:rows, ..., None]
    samples = ArraySamples([str(i) for i in range(rows)], images, np.zeros(rows, np.int64))
    variant = Variant("v", "nets:Net", "a.safetensors")
    return sizes, fastest(variant, nets, Compute(**compute), samples)


@pytest.mark.parametrize(
    ("rows", "at_once", "sizes"),
    [
        # After the first other size that helps, no more.
        (100, 512, [4, 64, 64, 128]),
        (100, 100, [4, 64, 64, 32]),
        (100, 8, [4, 8, 8]),
        (20, 512, [4, 64, 64, 32]),
    ],
)
def test_no_batch_is_tried_that_is_larger_than_what_is_decoded_at_once(
    nets, monkeypatch, rows, at_once, sizes
):
    found, pace = tried(nets, monkeypatch, rows, at_once)
    assert found == sizes
    assert pace == Pace(sizes[-1], channels_last=True)


def test_of_a_large_batch_that_the_suite_gives_the_formats_are_tried_on_a_small_one(
    nets, monkeypatch
):
    found, pace = tried(nets, monkeypatch, batch_size=4096, precision="bfloat16")
    assert found == [4, 64, 64]
    assert pace == Pace(4096, channels_last=True, bfloat16=True)


class FirstIsBroken(ArraySamples):
    """Samples whose first image cannot be read."""

    def read(self, start, stop, **options):
        whole = super().read(start, stop, **options)
        return replace(
            whole, images=[None if start + n == 0 else i for n, i in enumerate(whole.images)]
        )


def test_a_first_image_that_cannot_be_read_hides_no_others(nets):
    images = np.load(nets / "x.npy")[:9, ..., None]
    samples = FirstIsBroken([str(i) for i in range(9)], images, np.zeros(9, np.int64))
    assert len(pacing._some(samples, 256)) == 8


def test_a_batch_is_timed_whole_though_few_images_are_decoded(nets):
    asked = model(nets)
    assert pacing.seconds_per_image(asked, Pace(250), np.zeros((7, 4, 4, 1), np.uint8)) > 0
    assert asked.module.most == 250


def test_a_precision_has_evidence_of_its_own_and_stands_in_the_record(nets, monkeypatch):
    monkeypatch.setattr(
        pacing, "seconds_per_image", lambda model, pace, images: 1e-6 if pace.bfloat16 else 1e-5
    )
    exact, quick = (
        run_suite(suite(nets, compute=f"batch_size: 40, precision: {precision}"))
        for precision in ("float32", "bfloat16")
    )
    keys = [run.provenance["evidence"]["live"]["answers:a"] for run in (exact, quick)]
    assert keys[0] != keys[1]
    assert exact.variants["a"]["pace"] == {
        "batch_size": 40, "channels_last": False, "bfloat16": False
    }  # fmt: skip
    assert quick.variants["a"]["pace"]["bfloat16"]


@pytest.mark.parametrize("lost", ["plain", "other"])
def test_what_is_infinite_agrees_with_nothing(nets, monkeypatch, lost):
    asked = model(nets)
    answers = [torch.tensor([[1.0, torch.inf]]), torch.tensor([[1.0, 2.0]])]
    answers = answers if lost == "plain" else answers[::-1]
    monkeypatch.setattr(asked, "_answer", lambda images: (answers.pop(0), None))
    assert not pacing.agrees(asked, Pace(64, channels_last=True), np.zeros((1, 4, 4, 1), np.uint8))


def test_of_one_architecture_each_weights_decide_whether_bfloat16_is_close(nets, monkeypatch):
    monkeypatch.setattr(
        pacing, "seconds_per_image", lambda model, pace, images: 1e-6 if pace.bfloat16 else 1e-5
    )
    for name, rough in (("a", 0.0), ("b", 1.0)):
        path = nets / f"{name}.safetensors"
        save_file({**load_file(path), "rough": torch.tensor([rough])}, path)
    run = run_suite(suite(nets, BOTH.replace("nets:Net", "nets:Rough"), "precision: bfloat16"))
    assert {name: v["pace"]["bfloat16"] for name, v in run.variants.items()} == {
        "a": True,
        "b": False,
    }
