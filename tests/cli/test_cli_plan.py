"""`modelchecks plan` as a process."""

from __future__ import annotations


def test_the_plan_is_on_standard_output_and_the_rows_in_a_file(bench, shell):
    bench.log("live", rows=300, good=0.92, bad=0.7, seed=3)
    path = bench.suite()
    told = shell("plan", path, "--out", "next.csv", "-q", code=0)
    assert "1 case is settled already." in told.stdout
    assert "accuracy_drop[good]" in told.stdout
    assert "accuracy_drop[bad]" not in told.stdout
    assert (bench.folder / "next.csv").read_text().splitlines() == ["id,stratum,weight"]
    only = shell("plan", path, "--variant", "bad", "-q", code=0)
    assert "accuracy_drop[good]" not in only.stdout


def test_what_is_wrong_is_a_usage_error(bench, shell):
    assert "acuracy_drop" in shell("plan", bench.suite("- acuracy_drop"), code=2).stderr
    done = shell("plan", bench.suite(), "--variant", "god", code=2)
    assert "did you mean 'good'?" in done.stderr
    assert "cannot be read" in shell("plan", "gone.suite.yaml", code=2).stderr
    assert "0 is not in the range" in shell("plan", bench.suite(), "--labels", "0", code=2).stderr
