"""doctor, completion, pytest and github: what surrounds a gate."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from modelchecks.cli import cli
from modelchecks.doctor import Finding

ROOT = Path(__file__).resolve().parents[2]


# Help.


def commands(group=cli, before=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*before, name))
        else:
            yield [*before, name], command


@pytest.mark.parametrize(
    ("path", "command"), list(commands()), ids=[" ".join(path) for path, _ in commands()]
)
def test_the_help_of_every_command_teaches_by_an_example(path, command):
    help = command.help
    assert "Example" in help
    example = help.partition("Example")[2]
    assert f"modelchecks {' '.join(path)}" in example
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help, option.name


# doctor


def test_doctor_finds_that_a_gate_can_run_here(shell):
    done = shell("doctor", code=0)
    assert done.stdout.startswith("modelchecks 0")
    assert done.stdout.endswith("A gate can run here.\n")
    assert "imports work; torch computes on" in done.stdout
    assert "✓ pytest knows the plugin" in done.stdout


def test_doctor_says_what_is_missing_and_the_command_that_mends_it(bench, shell):
    """Another package's metadata stands in the way of ours, as after a half-done upgrade."""
    fake = bench.folder / "torch-1.0.dist-info"
    fake.mkdir()
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.0\n")
    ours = bench.folder / "modelchecks-9.dist-info"
    ours.mkdir()
    (ours / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: modelchecks\nVersion: 9\nRequires-Dist: torch>=2.4\n"
        "Requires-Dist: nothing-of-that-name\nRequires-Dist: other>=1; extra == 'metrics'\n"
    )
    path = os.pathsep.join([str(bench.folder), os.environ.get("PYTHONPATH", "")])
    done = shell("doctor", "--quick", code=2, PYTHONPATH=path)
    lines = done.stdout.splitlines()
    at = lines.index("✗ torch 1.0; wanted torch>=2.4")
    assert lines[at + 1] == f'    {sys.executable} -m pip install "torch>=2.4"'
    assert "✗ nothing-of-that-name is not installed; wanted nothing-of-that-name" in lines
    assert "– without metrics, so no metrics of torchmetrics (now: other -)" in lines
    # Nor are there entry points in that metadata.
    assert "✗ pytest does not know the plugin" in lines
    assert lines[-1] == "3 things to mend before a gate can run here."


def test_doctor_tells_of_imports_that_fail_together(bench, shell):
    (bench.folder / "torchvision.py").write_text("raise RuntimeError('operator does not exist')")
    done = shell("doctor", code=2)
    assert re.search(r"✗ importing torch, .* fails: RuntimeError: operator does not", done.stdout)
    assert "-m pip install --upgrade torch torchvision" in done.stdout


def test_a_finding_is_one_of_three():
    assert Finding("ok", "fine").mend is None


# completion


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_asks_us(forked, kind):
    done = forked("completion", kind, code=0)
    assert f"_MODELCHECKS_COMPLETE={kind}_complete" in done.stdout
    assert done.stdout.startswith("# ")


def complete(shell, line, **environment):
    words = line.split(" ")
    done = shell(
        code=0,
        _MODELCHECKS_COMPLETE="bash_complete",
        COMP_WORDS=line,
        COMP_CWORD=str(len(words) - 1),
        **environment,
    )
    return [found.partition(",")[2] for found in done.stdout.split()]


def test_commands_checks_variants_and_cases_are_completed(bench, shell):
    bench.suite()
    assert complete(shell, "modelchecks exp") == ["explain"]
    found = complete(shell, "modelchecks explain accuracy_")
    assert found == ["accuracy_drop", "accuracy_floor", "accuracy_windows"]
    assert complete(shell, "modelchecks gate live.suite.yaml --variant ") == ["good", "bad"]
    assert complete(shell, "modelchecks waive live.suite.yaml ") == [
        "accuracy_drop[good]",
        "accuracy_drop[bad]",
    ]
    assert complete(shell, "modelchecks gate gone.suite.yaml --variant ") == []


def test_a_stray_variable_does_not_take_the_place_of_a_verdict(bench, shell):
    bench.suite()
    done = shell("gate", "-q", "live.suite.yaml", code=1, _MODELCHECKS_COMPLETE="bash_source")
    assert "BLOCKED" in done.stdout


# pytest


def test_unknown_arguments_go_to_pytest(bench, shell):
    bench.suite()
    done = shell("pytest", "live.suite.yaml", "-k", "good", "--modelchecks-report", "out", "-rA")
    assert done.returncode == 0
    assert "PASSED live.suite.yaml::accuracy_drop[good]" in done.stdout
    assert (bench.folder / "out" / "live-gate" / "run.json").is_file()
    assert shell("pytest", "live.suite.yaml").returncode == 1
    assert shell("pytest", "live.suite.yaml", "-k", "nothing").returncode == 5


def test_gate_says_whose_option_it_is(bench, forked):
    bench.suite()
    done = forked("gate", "live.suite.yaml", "-k", "good", code=2)
    assert "-k is pytest's: `modelchecks pytest SUITE -k`" in done.stderr


# github, and the action around it


@pytest.fixture
def github(monkeypatch, bench):
    """The files that GitHub reads after a step."""
    files = {}
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        files[name] = bench.folder / name
        monkeypatch.setenv(name, str(files[name]))
    return files


def outputs(path):
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.partition("=")[::2] for line in lines)


def test_github_shows_summary_annotations_and_outputs(bench, shell, github):
    bench.suite()
    shell("gate", "-q", "live.suite.yaml", code=1)
    done = shell("github", "reports", "--exit-code", "1", code=0)
    (line,) = done.stdout.splitlines()
    assert line.startswith(
        "::error file=live.suite.yaml,line=9,title=accuracy_drop[bad] failed::accuracy fell by"
    )
    assert "%25" in line
    assert outputs(github["GITHUB_OUTPUT"]) == {
        "verdict": "blocked",
        "report-path": "reports/live-gate/index.html",
        "json-path": "reports/live-gate/run.json",
        "exit-code": "1",
    }
    assert "bad must not go live" in github["GITHUB_STEP_SUMMARY"].read_text()


def test_github_without_any_record_is_an_error(bench, shell, github):
    (bench.folder / "reports").mkdir()
    done = shell("github", "reports", "--exit-code", "2", code=0)
    assert "no suite was judged" in done.stdout
    assert outputs(github["GITHUB_OUTPUT"])["verdict"] == "error"
    (bench.folder / "reports" / "run.json").write_text("{")
    done = shell("github", "reports", code=2)
    assert outputs(github["GITHUB_OUTPUT"])["verdict"] == "undecided"


def step(name):
    action = yaml.safe_load((ROOT / ".github" / "action.yml").read_text())
    (found,) = [step for step in action["runs"]["steps"] if step["name"] == name]
    return found


def act(bench, suite, files, **inputs):
    """Run the action's steps as GitHub does, in bash; return the outputs and the last exit code."""
    given = {
        "SUITE": suite,
        "VARIANT": "",
        "FAIL_ON": "undecided",
        "REPORT_DIR": "my reports",
        "EXTRA_ARGS": "-q",
        **inputs,
    }
    bin = bench.folder / "bin"
    bin.mkdir(exist_ok=True)
    (bin / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (bin / "python").chmod(0o755)
    environment = {**os.environ, "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}", **given}

    def run(name):
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(name)["run"]]
        done = subprocess.run(command, cwd=bench.folder, env=environment, capture_output=True)
        return done.returncode

    assert run("gate") == 0
    environment["CODE"] = outputs(files["GITHUB_OUTPUT"])["code"]
    assert run("show") == 0
    return outputs(files["GITHUB_OUTPUT"]), run("decide")


def test_the_action_fails_unless_approved_and_has_outputs_either_way(bench, github):
    bench.suite(name="a b")
    bench.suite(name="live")
    found, code = act(bench, "live.suite.yaml", github)
    assert code == 1
    assert found["verdict"] == "blocked"
    assert found["exit-code"] == "1"
    assert found["report-path"] == "my reports/live-gate/index.html"
    github["GITHUB_OUTPUT"].unlink()
    found, code = act(bench, "live.suite.yaml", github, VARIANT="good")
    assert (code, found["verdict"]) == (0, "approved")
    github["GITHUB_OUTPUT"].unlink()
    found, code = act(bench, "gone.suite.yaml\nlive.suite.yaml", github, REPORT_DIR="other")
    assert (code, found["verdict"]) == (2, "error")
    github["GITHUB_OUTPUT"].unlink()
    injected = "live.suite.yaml; touch owned $(touch owned)"
    _, code = act(bench, injected, github, VARIANT="good")
    assert code == 2
    assert not (bench.folder / "owned").exists()


def test_the_last_step_of_the_action_fails_where_no_code_arrived():
    environment = {**os.environ, "CODE": ""}
    done = subprocess.run(["bash", "-c", step("decide")["run"]], env=environment, check=False)
    assert done.returncode == 4


def test_every_action_is_pinned_by_its_digest_and_the_required_job_tests_each_result():
    paths = [*(ROOT / ".github" / "workflows").glob("*.yml"), ROOT / ".github" / "action.yml"]
    for path in paths:
        uses = re.findall(r"uses: (\S+)(.*)", path.read_text())
        for action, comment in uses:
            assert action == "./.github" or re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), path
            assert action == "./.github" or re.search(r"# v\d+\.\d+\.\d+", comment)
    gate = yaml.safe_load((ROOT / ".github" / "workflows" / "gate.yml").read_text())
    jobs = gate["jobs"]
    assert jobs["variant"]["strategy"]["fail-fast"] is False
    assert gate["permissions"] == {"contents": "read"}
    writers = [name for name, job in jobs.items() if "permissions" in job]
    assert writers == ["comment"]
    required = jobs["required"]
    assert required["if"] == "always()"
    (test,) = required["steps"]
    for needed in required["needs"]:
        assert f"needs.{needed}.result" in str(test["env"])
        assert f'"${needed.upper()}" = success' in test["run"]
    for name in ("variant",):
        uploads = [s for s in jobs[name]["steps"] if "upload-artifact" in s.get("uses", "")]
        assert uploads
        assert all(upload["if"] == "always()" for upload in uploads)
