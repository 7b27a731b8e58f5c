"""Every exit code through a real process: what a CI system sees of every way that a run can end.

One row of each code is a whole `python -m modelchecks`; the others are processes forked from one
that has the imports done.
"""

from __future__ import annotations

import hashlib
import json

import pytest

GOOD, BAD = "good: {logged: good}", "bad: {logged: bad}"
SHARED = "\n".join((GOOD, BAD))


def approved(bench, odd_suite):
    bench.suite(variants=GOOD, name="approved")


def blocked(bench, odd_suite):
    bench.suite(variants=BAD, name="blocked")


def undecided(bench, odd_suite):
    few = bench.log("few", rows=90, good=0.93, seed=3)
    path = bench.suite(variants=GOOD, name="undecided")
    path.write_text(path.read_text().replace("live.parquet", few.name))


def errored(bench, odd_suite):
    path = bench.suite(variants=GOOD, name="errored")
    path.write_text(path.read_text().replace("live.parquet", "gone.parquet"))


def no_weights(bench, odd_suite):
    bench.suite(variants="good: {model: 'none:build', weights: gone.safetensors}", name="lost")


def wrong(bench, odd_suite):
    bench.suite("- accuracy_dorp", name="wrong")


def only_warns(bench, odd_suite):
    bench.suite("- accuracy_drop: {max_drop: 5pp}\n  severity: warn", variants=GOOD, name="warns")


def unknown_sampling(bench, odd_suite):
    bench.suite(variants=GOOD, name="unsampled", sampling="unknown")


def broken(bench, odd_suite):
    odd_suite(needs_breaks=True)


def leaving(bench, odd_suite):
    odd_suite("sys.exit(0)")


def empty(bench, odd_suite):
    (bench.folder / "empty").mkdir()


def observing(bench, odd_suite):
    rest = "policy: {mode: observe}"
    bench.suite(variants=BAD, name="watched", rest=rest)
    path = bench.suite(variants=GOOD, name="lost", rest=rest)
    path.write_text(path.read_text().replace("live.parquet", "gone.parquet"))


def forgiving(bench, odd_suite):
    undecided(bench, odd_suite)
    for word in ("warn", "skip"):
        text = (bench.folder / "undecided.suite.yaml").read_text()
        text += f"policy: {{inconclusive: {word}}}\n"
        (bench.folder / f"{word}.suite.yaml").write_text(text.replace("undecided-", f"{word}-"))


def waived(bench, odd_suite):
    checks = "- accuracy_drop: {max_drop: 5pp}\n- accuracy_floor: {split: live, min_accuracy: 50%}"
    for name, until in (("waived", "2999-12-31"), ("ended", "2026-01-01")):
        bench.suite(checks, variants=BAD, name=name)
        (bench.folder / f"{name}.waivers.yaml").write_text(
            f"waivers: [{{case: 'accuracy_drop[bad]', owner: a, reason: b, until: {until}}}]\n"
        )


def mistaken_waiver(bench, odd_suite):
    approved(bench, odd_suite)
    (bench.folder / "approved.waivers.yaml").write_text("waivers: [{case: x}]\n")


GATES = [
    (0, [approved], "gate approved.suite.yaml"),
    (1, [blocked], "gate blocked.suite.yaml"),
    (1, [blocked], "gate blocked.suite.yaml --fail-on blocked"),
    (2, [approved], "gate"),
    (2, [approved], "gate approved.suite.yaml --nonsense"),
    (2, [approved], "gate approved.suite.yaml -k drop"),
    (2, [approved], "gate approved.suite.yaml --variant nobody"),
    (2, [approved], "gate approved.suite.yaml --executor ray"),
    (2, [approved], "gate approved.suite.yaml --format pdf"),
    (2, [approved], "gate approved.suite.yaml --fail-on never"),
    (2, [approved], "gate approved.suite.yaml --report approved.suite.yaml"),
    (2, [], "gate gone.suite.yaml"),
    (2, [wrong], "gate wrong.suite.yaml"),
    (2, [mistaken_waiver], "gate approved.suite.yaml"),
    (3, [undecided], "gate undecided.suite.yaml"),
    (0, [undecided], "gate undecided.suite.yaml --fail-on blocked"),
    (3, [errored], "gate errored.suite.yaml"),
    (3, [errored], "gate errored.suite.yaml --fail-on blocked"),
    (3, [no_weights], "gate lost.suite.yaml --fail-on blocked"),
    (3, [only_warns], "gate warns.suite.yaml --fail-on blocked"),
    (3, [unknown_sampling], "gate unsampled.suite.yaml"),
    (3, [leaving], "gate odd.suite.yaml"),
    (0, [forgiving], "gate warn.suite.yaml skip.suite.yaml"),
    (3, [forgiving], "gate warn.suite.yaml undecided.suite.yaml"),
    (0, [observing], "gate watched.suite.yaml lost.suite.yaml"),
    (2, [observing, wrong], "gate watched.suite.yaml wrong.suite.yaml"),
    (0, [waived], "gate waived.suite.yaml"),
    (1, [waived], "gate ended.suite.yaml"),
    (4, [broken], "gate odd.suite.yaml"),
    (5, [empty], "gate empty"),
    # Several at once: 4 > 2 > 1 > 3 > 5 > 0.
    (4, [broken, wrong, blocked], "gate odd.suite.yaml wrong.suite.yaml blocked.suite.yaml"),
    (2, [wrong, blocked, undecided], "gate blocked.suite.yaml wrong.suite.yaml"),
    (1, [blocked, undecided], "gate undecided.suite.yaml blocked.suite.yaml"),
    (3, [undecided, approved, empty], "gate empty approved.suite.yaml undecided.suite.yaml"),
    (5, [approved, empty], "gate approved.suite.yaml empty"),
]
OTHERS = [
    (0, [approved], "lint approved.suite.yaml"),
    (0, [unknown_sampling], "lint unsampled.suite.yaml"),
    (2, [wrong], "lint wrong.suite.yaml"),
    (2, [waived], "lint ended.suite.yaml"),
    (0, [waived], "lint waived.suite.yaml"),
    (2, [mistaken_waiver], "lint approved.waivers.yaml"),
    (2, [], "lint"),
    (5, [empty], "lint empty"),
    (0, [], "explain accuracy_drop"),
    (2, [], "explain accuracy_dorp"),
    (0, [], "doctor --quick"),
    (0, [empty], "init empty"),
    (2, [empty], "init empty --from-data gone"),
    (2, [], "report gone.json"),
    (2, [], "verify live.parquet gone.json"),
    (2, [], "completion powershell"),
    (0, [], "completion zsh"),
    (2, [], "nonsense"),
    (2, [], ""),
    (0, [], "--version"),
]


FIRST = {code: next(row[2] for row in GATES if row[0] == code) for code in range(6)}


@pytest.mark.parametrize(
    ("code", "made", "line"), [*GATES, *OTHERS], ids=[row[2] or "nothing" for row in GATES + OTHERS]
)
def test_the_exit_code(bench, shell, forked, odd_suite, code, made, line):
    for make in made:
        make(bench, odd_suite)
    whole = FIRST[code] == line
    done = (shell if whole else forked)(*line.split(), code=code)
    if code == 2:
        assert done.stderr or done.stdout
    assert ("Traceback" in done.stderr) == (code == 4)


def test_every_code_of_the_page_is_walked():
    assert {row[0] for row in GATES} == {0, 1, 2, 3, 4, 5}


def test_the_verdict_in_the_record_is_not_what_was_forgiven_or_only_observed(
    bench, forked, odd_suite
):
    forgiving(bench, odd_suite)
    observing(bench, odd_suite)
    names = ("warn", "skip", "watched", "lost")
    done = forked("gate", *(f"{name}.suite.yaml" for name in names), code=0)
    verdicts = {}
    for name in names:
        record = json.loads((bench.folder / "reports" / f"{name}-gate" / "run.json").read_text())
        verdicts[name] = [decision["verdict"] for decision in record["decisions"].values()]
    assert verdicts == {
        "warn": ["undecided"],
        "skip": ["undecided"],
        "watched": ["blocked"],
        "lost": ["undecided"],
    }
    assert done.stdout.count("LET THROUGH: good is undecided") == 2
    assert done.stdout.count("mode: observe; verdicts are recorded and block nothing") == 2


# verify


@pytest.fixture
def run_record(bench, forked):
    """Writes a run record over two model files of given verdicts, as a gate would."""
    bench.suite(variants=SHARED)
    forked("gate", "-q", "live.suite.yaml", "--format", "json", code=1)
    path = bench.folder / "reports" / "live-gate" / "run.json"

    def write(**verdicts):
        record = json.loads(path.read_text())
        for name, content in (("good", b"one"), ("bad", b"two")):
            (bench.folder / f"{name}.safetensors").write_bytes(content)
            record["variants"][name]["weights_sha256"] = hashlib.sha256(content).hexdigest()
        for name, verdict in verdicts.items():
            record["decisions"][name]["verdict"] = verdict
        path.write_text(json.dumps(record))
        return path

    return write


def test_verify_accepts_only_the_bytes_that_were_approved(bench, forked, run_record):
    path = run_record()
    done = forked("verify", "good.safetensors", path, code=0)
    assert done.stdout.startswith("approved: good.safetensors (sha256 ")
    done = forked("verify", "bad.safetensors", path, code=1)
    assert done.stdout.startswith("NOT APPROVED: ")
    assert "bad must not go live" in done.stdout
    (bench.folder / "good.safetensors").write_bytes(b"One")
    assert "was not judged" in forked("verify", "good.safetensors", path, code=1).stdout
    run_record(good="undecided")
    forked("verify", "good.safetensors", path, code=1)


def test_verify_of_one_file_under_two_names_needs_both(bench, forked, run_record):
    path = run_record()
    record = json.loads(path.read_text())
    record["variants"]["bad"] = record["variants"]["good"]
    path.write_text(json.dumps(record))
    forked("verify", "good.safetensors", path, code=1)
    record["decisions"]["bad"]["verdict"] = "approved"
    path.write_text(json.dumps(record))
    forked("verify", "good.safetensors", path, code=0)
    del record["decisions"]["bad"]
    path.write_text(json.dumps(record))
    forked("verify", "good.safetensors", path, code=1)


def test_verify_says_that_waivers_were_in_the_way(forked, run_record):
    path = run_record()
    record = json.loads(path.read_text())
    record["decisions"]["good"]["approved_with_waivers"] = ["accuracy_drop[good]"]
    path.write_text(json.dumps(record))
    done = forked("verify", "good.safetensors", path, code=0)
    assert done.stdout.startswith("APPROVED WITH WAIVERS: ")
    assert "failed and waived accuracy_drop[good]" in done.stdout


@pytest.mark.parametrize("damage", ["gone model", "gone record", "torn record", "folder"])
def test_verify_of_what_cannot_be_read_is_neither_yes_nor_no(bench, forked, run_record, damage):
    path, model = run_record(), bench.folder / "good.safetensors"
    if damage == "gone model":
        model.unlink()
    elif damage == "gone record":
        path.unlink()
    elif damage == "torn record":
        path.write_text(path.read_text()[:-20])
    else:
        model.unlink()
        model.mkdir()
    done = forked("verify", model, path, code=2)
    assert "Error: " in done.stderr
    assert done.stdout == ""
