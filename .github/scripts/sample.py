"""Make the committed sample: gate the case study, keep its reports, photograph the page.

`python .github/scripts/sample.py [--from FOLDER]`; FOLDER holds the reports of a gate that has run
already. Writes `reports/sample` and exits 1 where the case study did not say what is expected.
"""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "reports" / "sample"
NAME = "fashion-live-gate"
FILES = ("index.html", "run.json", "summary.md", "accuracy.png", "badge.json")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND"),
)
SHOTS = {
    # name: (the element at whose top it begins, width, height, colours)
    "verdicts": ("body", 1280, 1240, "light"),
    "evidence": ("#accuracy", 1280, 470, "dark"),
    "lost": ("#images", 1280, 625, "light"),
    "telephone": ("body", 400, 900, "light"),
}
COLOURS = 256
"""Enough for text and charts, and a third of the bytes."""


def main() -> int:
    """Run the command named on the command line."""
    if sys.argv[1:2] == ["--from"] and len(sys.argv) == 3:
        return keep(Path(sys.argv[2]).resolve())
    if sys.argv[1:]:
        print(f"usage: python {Path(sys.argv[0])} [--from FOLDER]", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        case_study = [sys.executable, "suites/casestudy", "gate", "--report", folder]
        code = subprocess.run(case_study, cwd=ROOT, check=False).returncode
        return code or keep(Path(folder) / NAME)


def keep(reports: Path) -> int:
    """Copy the reports, and photograph their page."""
    SAMPLE.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(reports / name, SAMPLE / name)
    for name, (at, width, height, scheme) in SHOTS.items():
        photograph(SAMPLE / f"{name}.png", at, width, height, scheme)
    size = sum(file.stat().st_size for file in SAMPLE.iterdir())
    print(f"wrote {SAMPLE.relative_to(ROOT)}, {size / 1e6:.1f} MB")
    return 0


def photograph(path: Path, at: str, width: int, height: int, scheme: str) -> None:
    """Take a picture of the sample's page from an element on."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = found("chromium", "google-chrome", "chromium-browser")
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        service = webdriver.ChromeService(found("chromedriver"))
        browser = webdriver.Chrome(options=options, service=service)
        try:
            path.write_bytes(small(taken(browser, at, width, height, scheme)))
        finally:
            browser.quit()


def taken(browser: Any, at: str, width: int, height: int, scheme: str) -> bytes:
    """Return a PNG of the page as it stands on a screen of that size."""
    device = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [feature]})
    browser.get((SAMPLE / "index.html").as_uri())
    query = "return document.querySelector(arguments[0]).getBoundingClientRect().top + scrollY"
    top = max(browser.execute_script(query, at) - 16, 0)
    clip = {"x": 0, "y": top, "width": width, "height": height, "scale": 1}
    shot = {"format": "png", "captureBeyondViewport": True, "clip": clip}
    return base64.b64decode(browser.execute_cdp_cmd("Page.captureScreenshot", shot)["data"])


def small(png: bytes) -> bytes:
    """Return a PNG of few colours."""
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    # Whatever is rare, such as a green word, keeps its colour.
    image = image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def found(*names: str) -> str:
    """Return the path of the first program that is installed."""
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        raise SystemExit(f"{names[0]} is needed for the pictures: `make system` installs it")
    return path


if __name__ == "__main__":
    sys.exit(main())
