"""A real headless Chromium without a network, and pages opened in it from files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelchecks.report import page

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


@dataclass
class Browser:
    """One tab; `open` shows a page from a file and forgets what the last one left behind."""

    driver: Any
    folder: Path

    def open(
        self, html: str, *, width: int = 1280, dark: bool = False, scripts: bool = True
    ) -> Browser:
        """Open a page at a width and in a colour scheme, with the network cut."""
        path = self.folder / "page.html"
        path.write_text(html, encoding="utf-8", errors="replace")
        self.driver.get("about:blank")
        self.driver.get_log("browser"), self.driver.get_log("performance")
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.scheme("dark" if dark else "light")
        self.cdp("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.driver.get(path.as_uri())
        return self

    def cdp(self, command: str, **arguments: Any) -> Any:
        """Send a command of the developer tools."""
        return self.driver.execute_cdp_cmd(command, arguments)

    def scheme(self, scheme: str, media: str = "") -> None:
        """Say what the reader prefers, and whether the page is printed."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.cdp("Emulation.setEmulatedMedia", media=media, features=features)

    def js(self, code: str, *arguments: Any) -> Any:
        """Run a script as a tool, outside the page's own policy, and return what it returns."""
        return self.driver.execute_script(code, *arguments)

    def console(self) -> list[str]:
        """Return what the page complained of."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> set[str]:
        """Return the addresses that the page asked for, but for data and the file itself."""
        found = set()
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.add(message["params"]["request"]["url"])
        own = (self.folder / "page.html").as_uri()
        return {url for url in found if not url.startswith(("data:", "about:", own))}

    def axe(self) -> list[str]:
        """Return the violations that axe-core calls serious or critical, each with its place.

        What is inside of a picture is left out: to a screen reader it is one image. `AXE_CORE`
        names another axe.min.js than the packaged one.
        """
        import axe_core_python

        script = Path(
            os.environ.get("AXE_CORE") or Path(axe_core_python.__file__).with_name("axe.min.js")
        )
        if not self.js("return !!window.axe"):
            self.js(script.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run({exclude: [['figure svg > *']]}, "
            "{resultTypes: ['violations']}).then((r) => done(r.violations), "
            "(e) => done([{id: 'axe failed: ' + e, impact: 'critical', nodes: []}]));"
        )
        return [
            f"{v['id']} ({v['impact']}): {[n['html'][:120] for n in v['nodes'][:3]]}"
            for v in found
            if v["impact"] in ("serious", "critical")
        ]


@pytest.fixture(scope="session")
def _chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    binary = next(
        filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None
    )
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        if os.environ.get("CI"):
            pytest.fail(
                "Chromium and chromedriver are needed here: apt-get install chromium-driver"
            )
        pytest.skip("needs Chromium and chromedriver (`make system` installs them)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    folder = tmp_path_factory.mktemp("browser")
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        chrome.set_script_timeout(60)
        yield Browser(chrome, folder)
    finally:
        chrome.quit()


@pytest.fixture
def browser(_chromium: Browser) -> Browser:
    """A tab of a headless Chromium that reaches no network."""
    return _chromium


@pytest.fixture(scope="session")
def whole() -> str:
    """The page of a run that has everything."""
    import made_runs

    return page.render(made_runs.everything())
