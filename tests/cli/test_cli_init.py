"""`modelchecks init`: what it writes passes as written, and a new user gets to a report."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image


def png(value, size=(4, 6)):
    stream = io.BytesIO()
    Image.new("L", size, int(value)).save(stream, "PNG")
    return stream.getvalue()


def test_a_new_user_gets_from_data_to_a_report_without_editing_anything(bench, forked):
    logs = bench.folder / "logs"
    logs.mkdir()
    for name in ("offline", "live"):
        (bench.folder / f"{name}.parquet").rename(logs / f"{name}.parquet")
    done = forked("init", "--from-data", "logs", "--sampling", "random", code=0)
    assert done.stdout.splitlines() == [
        "wrote suites/schema/release.json",
        "wrote suites/release.suite.yaml",
        "wrote .github/workflows/modelchecks.yml",
        "wrote .pre-commit-config.yaml",
        "",
        "Next:",
        "  modelchecks lint suites/release.suite.yaml",
        "  modelchecks gate suites/release.suite.yaml",
    ]
    done = forked("lint", "suites", code=0)
    assert done.stdout == "suites/release.suite.yaml: a valid suite, 4 checks\n"

    done = forked("gate", "suites", "-q", code=1)
    record = json.loads((bench.folder / "reports" / "release" / "run.json").read_text())
    assert {name: d["verdict"] for name, d in record["decisions"].items()} == {
        "good": "approved",
        "bad": "blocked",
        "probabilities": "approved",
    }
    assert {result["status"] for result in record["results"]} == {"passed", "failed"}

    done = forked("report", "reports/release/run.json", "--html", "page.html", code=0)
    page = (bench.folder / "page.html").read_text()
    assert "good may go live" in page
    assert done.stderr == "wrote page.html\n"

    suite = yaml.safe_load((bench.folder / "suites" / "release.suite.yaml").read_text())
    checks = {next(iter(check)): next(iter(check.values())) for check in suite["checks"]}
    assert checks["accuracy_floor"] == {"split": "offline", "min_accuracy": "93%"}
    assert checks["accuracy_drop"] == {"offline": "offline", "live": "live", "max_drop": "5pp"}
    assert suite["data"]["live"]["slices"] == ["camera"]
    hooks = yaml.safe_load((bench.folder / ".pre-commit-config.yaml").read_text())
    assert hooks["repos"][0]["hooks"][0]["entry"] == "modelchecks lint"
    workflow = yaml.safe_load((bench.folder / ".github/workflows/modelchecks.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}


def test_without_data_the_suite_is_valid_and_observes(bench, forked):
    forked("init", "new", "--name", "model.v2", code=0)
    done = forked("lint", "new/suites", code=0)
    assert done.stdout.endswith("new/suites/model.v2.suite.yaml: a valid suite, 3 checks\n")
    assert "expected_labels" not in done.stdout
    text = (bench.folder / "new" / "suites" / "model.v2.suite.yaml").read_text()
    assert yaml.safe_load(text)["policy"] == {"mode": "observe"}


def test_unknown_sampling_is_kept_unknown(bench, forked):
    forked("init", "--from-data", "live.parquet", code=0)
    done = forked("lint", "suites", code=0)
    assert "`sampling` of split 'offline' is unknown" in done.stdout
    forked("gate", "suites", "-q", code=3)


def test_nothing_is_overwritten_unasked(bench, forked):
    forked("init", code=0)
    suite = bench.folder / "suites" / "release.suite.yaml"
    hooks = bench.folder / ".pre-commit-config.yaml"
    suite.write_text("mine")
    hooks.write_text("repos: []  # mine\n")
    done = forked("init", "--from-data", "live.parquet", code=2)
    assert "suites/release.suite.yaml, .github/workflows/modelchecks.yml is there" in done.stderr
    assert suite.read_text() == "mine"
    done = forked("init", "--force", code=0)
    assert "add to its `repos:`" in done.stderr
    assert suite.read_text() != "mine"
    assert hooks.read_text() == "repos: []  # mine\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--from-data", "gone"], "gone does not exist"),
        (["--from-data", "empty"], "empty holds no Parquet file and no image folder"),
        (["--from-data", "torn.parquet"], "torn.parquet cannot be read as Parquet"),
        (["--from-data", "live.parquet", "--logged", "nobody"], "no column 'nobody'"),
        (["--logged", "good"], "names columns of --from-data"),
        (["--name", "../x"], "letters, digits"),
    ],
)
def test_what_no_suite_can_be_written_from_is_told(bench, forked, arguments, told):
    (bench.folder / "empty").mkdir()
    (bench.folder / "torn.parquet").write_bytes(b"PAR1 and no more")
    done = forked("init", *arguments, code=2)
    assert told in " ".join(done.stderr.split())
    assert not (bench.folder / "suites").exists()


def test_image_folders_become_splits_with_classes_and_an_image_schema(bench, forked):
    draw = np.random.default_rng(0)
    for split, count in (("train", 30), ("live", 20)):
        for kind in ("cat", "dog"):
            folder = bench.folder / "photos" / split / kind
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number}.png").write_bytes(png(draw.integers(0, 256)))
    forked("init", "--from-data", "photos", code=0)
    suite = yaml.safe_load((bench.folder / "suites" / "release.suite.yaml").read_text())
    assert suite["classes"] == ["cat", "dog"]
    assert suite["data"]["train"]["source"] == "image_folder"
    schema = next(check["schema"] for check in suite["checks"] if "schema" in check)
    assert schema["image"] == {"shape": [6, 4, 1], "dtype": "uint8", "range": [0, 255]}
    assert suite["variants"]["candidate"]["model"] == "model:build"
    forked("lint", "suites", code=0)
    done = forked("gate", "suites", "-q", code=3)
    assert "schema            ✓ passed" in done.stdout or "schema" in done.stdout
    record = json.loads((bench.folder / "reports" / "release" / "run.json").read_text())
    statuses = {result["case"]: result["status"] for result in record["results"]}
    assert statuses["schema[data]"] == "passed"
    assert statuses["accuracy_floor[candidate]"] == "errored"


def test_a_log_of_images_and_names_of_classes(bench, forked):
    rows = 60
    table = pa.table(
        {
            "image": pa.array([png(row) for row in range(rows)], pa.binary()),
            "target": ["cat", "dog", None] * (rows // 3),
            "pred": ["cat", "dog", "dog"] * (rows // 3),
            "weight": pa.array(np.linspace(0, 1, rows)),
            "no": ["y"] * rows,
        }
    )
    pq.write_table(table, bench.folder / "photos.parquet")
    forked("init", "--from-data", "photos.parquet", "--logged", "pred", code=0)
    suite = yaml.safe_load((bench.folder / "suites" / "release.suite.yaml").read_text())
    assert suite["classes"] == ["cat", "dog"]
    assert suite["variants"] == {"pred": {"logged": "pred"}}
    assert suite["data"]["offline"]["label"] == "target"
    assert suite["data"]["offline"]["slices"] == ["no"]
    assert forked("lint", "suites").returncode == 0
    done = forked("gate", "suites", "-q", code=3)
    record = json.loads((bench.folder / "reports" / "release" / "run.json").read_text())
    statuses = {result["case"]: result["status"] for result in record["results"]}
    assert statuses == {"schema[data]": "passed", "accuracy_floor[pred]": "inconclusive"}, done
