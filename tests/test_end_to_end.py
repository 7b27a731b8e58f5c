"""The whole line on real images and really trained models, and everything that can break it."""

from __future__ import annotations

import dataclasses
import io
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.metrics import accuracy_score
from torchmetrics.functional.classification import multiclass_accuracy

from modelchecks import load_suite, run_suite
from modelchecks.gate import exit_code
from modelchecks.registry import load
from modelchecks.report import record
from modelchecks.report.write import render

VARIANTS = ("baseline", "domain_adapted", "curriculum")


def judge(folder: Path, **options):
    return run_suite(load_suite(folder / "real.suite.yaml"), **options)


def edit(folder: Path, old: str, new: str) -> None:
    suite = folder / "real.suite.yaml"
    text = suite.read_text()
    assert old in text
    suite.write_text(text.replace(old, new))


def verdicts(run):
    return {name: decision.verdict for name, decision in run.decisions.items()}


def result(run, case):
    (found,) = [result for result in run.results if result.case == case]
    return found


@pytest.fixture
def forwards():
    """Counts the forward passes of the case study's models, wherever they are called."""
    seen = []

    def count(module, inputs, output):
        if type(module).__name__ == "SmallCNN":
            seen.append(len(output))

    hook = torch.nn.modules.module.register_module_forward_hook(count)
    yield seen
    hook.remove()


def test_all_is_approved_before_anything_is_broken(real_gate):
    run = judge(real_gate)
    assert verdicts(run) == dict.fromkeys(VARIANTS, "approved")
    assert exit_code(run) == 0
    assert len(run.results) == 12


def test_accuracies_equal_those_of_sklearn_and_torchmetrics(real_gate):
    run = judge(real_gate)
    for variant in VARIANTS:
        details = result(run, f"accuracy_drop[{variant}]").details
        for split in ("offline", "live"):
            log = pq.read_table(real_gate / f"{split}.parquet")
            images = [Image.open(io.BytesIO(value)) for value in log["image"].to_pylist()]
            pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
            model = load("casestudy:small_cnn", real_gate)().eval()
            model.load_state_dict(load_file(real_gate / f"{variant}.safetensors"))
            with torch.no_grad():
                predicted = model(pixels[:, None] / 255).argmax(1)
            truth = torch.tensor(log["label"].to_pylist())
            ours = details[split]["value"]
            assert ours == pytest.approx(accuracy_score(truth, predicted), abs=1e-12)
            theirs = multiclass_accuracy(predicted, truth, num_classes=10, average="micro")
            assert ours == pytest.approx(float(theirs), abs=1e-6)
            assert details[split]["n"] == 400


def test_a_changed_limit_is_judged_without_a_forward(real_gate, forwards):
    first = judge(real_gate)
    # 400 rows in shards of 150 and batches of 64, two splits, three variants: each row once.
    assert sum(forwards) == 2 * 400 * 3
    forwards.clear()
    edit(real_gate, "max_drop: 90pp", "max_drop: 0.1pp")
    second = judge(real_gate)
    assert forwards == []
    assert result(first, "accuracy_drop[baseline]").status == "passed"
    assert result(second, "accuracy_drop[baseline]").status == "failed"
    assert verdicts(second)["baseline"] == "blocked"
    judge(real_gate, fresh=True)
    assert sum(forwards) == 2 * 400 * 3


def test_only_what_is_asked_is_computed(real_gate, forwards):
    judge(real_gate, select=lambda case: case.declared.name == "schema")
    assert forwards == []
    judge(real_gate, variants=["baseline"])
    assert sum(forwards) == 2 * 400


def test_the_same_whatever_the_shards_and_batches(real_gate):
    first = judge(real_gate)
    edit(real_gate, "{shard_rows: 150, batch_size: 64}", "{shard_rows: 1000, batch_size: 400}")
    second = judge(real_gate)
    kept = [dataclasses.replace(r, location=None) for r in first.results]
    assert kept == [dataclasses.replace(r, location=None) for r in second.results]
    assert first.splits == second.splits


def test_two_runs_differ_in_ids_and_times_only(real_gate):
    first, second = (record.to_json(judge(real_gate, fresh=fresh)) for fresh in (False, True))
    for told in (first, second):
        for key in ("run_id", "started", "finished"):
            del told[key]
    assert first == second


# What can be missing or damaged. Each: how to break it, what the message must name.


def _replace_column(path: Path, name: str, values: pa.Array) -> None:
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.schema.get_field_index(name), name, values), path)


def _images(path: Path, change) -> None:
    images = pq.read_table(path)["image"].to_pylist()
    images[7] = change(images[7])
    _replace_column(path, "image", pa.array(images, pa.binary()))


def _bomb(_: bytes) -> bytes:
    file = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(file, "PNG")
    return file.getvalue()


def _flip(path: Path, at: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 0xFF
    path.write_bytes(data)


def _with_nan(path: Path) -> None:
    state = load_file(path)
    state["classifier.weight"][0, 0] = torch.nan
    save_file(state, path)


def _without_a_tensor(path: Path) -> None:
    state = load_file(path)
    del state["classifier.weight"]
    save_file(state, path)


BROKEN = {
    "no split files": (lambda f: (f / "live.parquet").unlink(), "live.parquet"),
    "split cut short": (
        lambda f: (f / "live.parquet").write_bytes((f / "live.parquet").read_bytes()[:5000]),
        "live.parquet",
    ),
    "split bits flipped": (lambda f: _flip(f / "live.parquet", 0.4), "live.parquet"),
    "split empty": (
        lambda f: pq.write_table(pq.read_table(f / "live.parquet").slice(0, 0), f / "live.parquet"),
        "live",
    ),
    "no label column": (
        lambda f: pq.write_table(
            pq.read_table(f / "live.parquet").drop_columns("label"), f / "live.parquet"
        ),
        "live.parquet has no column 'label'",
    ),
    "no labels": (
        lambda f: _replace_column(f / "live.parquet", "label", pa.nulls(400, pa.int64())),
        "live",
    ),
    "label no class": (
        lambda f: _replace_column(f / "live.parquet", "label", pa.array([11.5] * 400)),
        "live.parquet: label column 'label' holds 11.5",
    ),
    "label beyond the outputs": (
        lambda f: _replace_column(f / "live.parquet", "label", pa.array([12] * 400)),
        "outputs",
    ),
    "image cut short": (
        lambda f: _images(f / "live.parquet", lambda image: image[: len(image) // 2]),
        "live.parquet:7",
    ),
    "image no image": (
        lambda f: _images(f / "live.parquet", lambda image: b"<html>not found</html>"),
        "live.parquet:7",
    ),
    "image null": (lambda f: _images(f / "live.parquet", lambda image: None), "live.parquet:7"),
    "image too large": (lambda f: _images(f / "live.parquet", _bomb), "max_pixels"),
    "no weights": (lambda f: (f / "baseline.safetensors").unlink(), "baseline.safetensors"),
    "weights cut short": (
        lambda f: (f / "baseline.safetensors").write_bytes(
            (f / "baseline.safetensors").read_bytes()[:1000]
        ),
        "baseline.safetensors",
    ),
    "weights header flipped": (
        lambda f: _flip(f / "baseline.safetensors", 0),
        "baseline.safetensors",
    ),
    "weights with NaN": (lambda f: _with_nan(f / "baseline.safetensors"), "classifier.weight"),
    "weights of another model": (
        lambda f: _without_a_tensor(f / "baseline.safetensors"),
        "baseline.safetensors do not fit",
    ),
    "no expectations file": (lambda f: (f / "columns.json").unlink(), "columns.json"),
    "expectations no JSON": (lambda f: (f / "columns.json").write_text("{"), "columns.json"),
    "no expectation": (
        lambda f: (f / "columns.json").write_text('{"name": "x", "expectations": []}'),
        "holds no expectations",
    ),
    "model code broken": (
        lambda f: (f / "casestudy" / "__init__.py").write_text("1 / 0"),
        "ZeroDivisionError",
    ),
}


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize(("damage", "named"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_named_and_never_approved(real_gate, damage, named, warm):
    if warm:
        assert exit_code(judge(real_gate)) == 0
    damage(real_gate)
    run = judge(real_gate)
    assert verdicts(run)["baseline"] in ("undecided", "blocked")
    blocked = "blocked" in verdicts(run).values()
    assert exit_code(run) == (1 if blocked else 3)
    told = [result for result in run.results if result.status in ("errored", "failed")]
    assert any(named in result.message for result in told), [r.message for r in told]
    reasons = run.decisions["baseline"].reasons
    assert {r.case for r in told if r.severity == "block"} & set(reasons)
    # A known fault needs no traceback, and every report can be written.
    assert not any("Traceback" in result.message for result in run.results)
    for name in ("html", "json", "junit", "md"):
        assert render(run, name)


def test_one_broken_variant_leaves_the_others_alone(real_gate):
    (real_gate / "curriculum.safetensors").unlink()
    run = judge(real_gate)
    assert verdicts(run) == {
        "baseline": "approved",
        "domain_adapted": "approved",
        "curriculum": "undecided",
    }
    assert exit_code(run) == 3


ANSWERS = {
    "NaN in one row": ("logits[3, 0] = float('nan'); return logits", "NaN"),
    "infinite": ("logits[3, 0] = float('inf'); return logits", "NaN, infinite"),
    "one output": ("return logits[:, :1]", "(64, 1)"),
    "no batch": ("return logits[0]", "(10,)"),
    "a row short": ("return logits[1:]", "(63, 10)"),
    "a scalar": ("return logits.sum()", "()"),
    "a tuple": ("return logits, logits", "tuple"),
    "a number": ("return 3", "int"),
    "an exception": ("raise KeyError('layer')", "KeyError"),
    "a changing number of outputs": (
        "self.calls = getattr(self, 'calls', 0) + 1; "
        "return logits if self.calls == 1 else logits[:, :9]",
        "(64, 9)",
    ),
}


@pytest.mark.parametrize(("body", "named"), ANSWERS.values(), ids=ANSWERS)
def test_a_model_that_answers_nonsense_is_errored(real_gate, body, named):
    (real_gate / "odd.py").write_text(
        "import casestudy\n"
        "def odd():\n"
        "    made = casestudy.small_cnn()\n"
        "    class Odd(type(made)):\n"
        "        def forward(self, images):\n"
        "            logits = super().forward(images)\n"
        f"            {body}\n"
        "    made.__class__ = Odd\n"
        "    return made\n"
    )
    edit(
        real_gate,
        "baseline: {model: 'casestudy:small_cnn'",
        "baseline: {model: 'odd:odd'",
    )
    run = judge(real_gate)
    assert verdicts(run)["baseline"] == "undecided"
    assert verdicts(run)["curriculum"] == "approved"
    drop = result(run, "accuracy_drop[baseline]")
    assert drop.status == "errored"
    assert named in drop.message
    assert "baseline" in drop.message


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle_runs_no_code_unless_it_is_trusted(real_gate):
    touched = real_gate / "touched"
    state = load_file(real_gate / "baseline.safetensors")
    torch.save({"state_dict": state, "extra": Evil(touched)}, real_gate / "baseline.pt")
    edit(real_gate, "weights: baseline.safetensors", "weights: baseline.pt")
    run = judge(real_gate)
    assert not touched.exists()
    assert verdicts(run)["baseline"] == "undecided"
    drop = result(run, "accuracy_drop[baseline]")
    assert drop.status == "errored"
    assert "baseline.pt" in drop.message
    assert "trusted: true" in drop.message

    edit(real_gate, "weights: baseline.pt", "weights: baseline.pt, trusted: true")
    run = judge(real_gate)
    assert touched.exists()
    assert verdicts(run)["baseline"] == "approved"
    for name in ("html", "json", "md"):
        assert "trusted pickle" in render(run, name)


def test_a_plain_torch_file_needs_no_trust(real_gate):
    torch.save(load_file(real_gate / "baseline.safetensors"), real_gate / "baseline.pt")
    edit(real_gate, "weights: baseline.safetensors", "weights: baseline.pt")
    assert verdicts(judge(real_gate))["baseline"] == "approved"


def test_a_pickle_that_is_no_torch_file_is_refused(real_gate):
    (real_gate / "baseline.pt").write_bytes(pickle.dumps({"a": 1}))
    edit(real_gate, "weights: baseline.safetensors", "weights: baseline.pt")
    run = judge(real_gate)
    assert result(run, "accuracy_floor[baseline]").status == "errored"
    assert verdicts(run)["baseline"] == "undecided"


def test_changed_inputs_are_never_judged_on_old_evidence(real_gate, forwards):
    judge(real_gate)
    forwards.clear()
    weights = load_file(real_gate / "baseline.safetensors")
    weights["classifier.weight"].neg_()
    save_file(weights, real_gate / "baseline.safetensors")
    changed = judge(real_gate)
    assert sum(forwards) > 0
    forwards.clear()
    labels = pq.read_table(real_gate / "live.parquet")["label"].to_numpy()
    _replace_column(real_gate / "live.parquet", "label", pa.array((labels + 1) % 10))
    relabelled = judge(real_gate)
    assert sum(forwards) == 400 * 3
    drops = [result(run, "accuracy_drop[curriculum]").estimate for run in (changed, relabelled)]
    assert drops[0] != drops[1]
    forwards.clear()
    code = real_gate / "casestudy" / "models.py"
    code.write_text(code.read_text() + "\n# changed\n")
    judge(real_gate)
    assert sum(forwards) == 2 * 400 * 3
