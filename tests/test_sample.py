"""The committed sample: small, whole, of one run, and of no machine in particular."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from modelchecks.report import record

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "reports" / "sample"


def test_page_and_record_are_of_one_run_that_says_what_the_paper_says():
    from casestudy.__main__ import unexpected

    run = record.read(SAMPLE / "run.json")
    page = (SAMPLE / "index.html").read_text(encoding="utf-8")
    assert run.run_id in page
    assert run.run_id in (SAMPLE / "summary.md").read_text(encoding="utf-8")
    assert unexpected(run) == []
    assert len(page.encode()) <= 1_500_000


def test_it_names_no_folder_of_whoever_made_it():
    for file in ("index.html", "run.json", "summary.md"):
        text = (SAMPLE / file).read_text(encoding="utf-8")
        assert re.findall(r"(?<![\w.:/])/(?:home|root|tmp|work|Users|private)/\S*", text) == []


@pytest.mark.parametrize("name", ["verdicts", "evidence", "lost", "telephone"])
def test_the_readme_shows_small_pictures_of_it(name):
    path = SAMPLE / f"{name}.png"
    assert f"(reports/sample/{name}.png)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert path.stat().st_size < 150_000
    with Image.open(path) as image:
        assert image.width in (400, 1280)
