"""Mutate what decides, in a copy of the repository, and list the mutants that no test noticed.

`make mutants`; exits 1 where one survives that `ACCEPTED` does not explain.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
ACCEPTED: dict[str, str] = json.loads((Path(__file__).with_name("accepted.json")).read_text())
"""Survivors that change nothing: the changed line as the mutant has it, and why."""


def copy(folder: Path) -> None:
    """Copy every tracked file; the mutants are written into the copy."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())


def survivors(folder: Path, config: Path) -> list[tuple[str, str]]:
    """Return (file, changed line) of each mutant that the tests let live."""
    session = folder / f"{config.stem}.sqlite"
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for tool, *arguments in (
        ("cosmic-ray", "init", config, session),
        ("cr-filter-operators", session, config),
        ("cosmic-ray", "exec", config, session),
    ):
        subprocess.run([BIN / tool, *arguments], cwd=folder, env=environment, check=True)
    dumped = subprocess.run(
        [BIN / "cosmic-ray", "dump", session],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found, total = [], 0
    for line in dumped.stdout.splitlines():
        work, result = json.loads(line)
        if result is not None and result.get("worker_outcome") == "skipped":
            continue
        total += 1
        if result is None or result.get("test_outcome") != "killed":
            changed = [
                text[1:].strip()
                for text in (result or {}).get("diff", "").splitlines()
                if text.startswith("+") and not text.startswith("+++")
            ]
            found.append((work["mutations"][0]["module_path"], " ".join(changed)))
    print(f"{total} mutants, {len(found)} survived")
    return found


def main() -> None:
    """Exit 1 where a mutant survives that is not explained."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copy(folder)
        found = []
        for config in sorted((folder / "tests" / "mutation").glob("*.toml")):
            found += survivors(folder, config)
    unexplained = 0
    for file, line in found:
        why = ACCEPTED.get(line)
        unexplained += why is None
        print(f"{file}: {line}\n    {why or 'NOT EXPLAINED'}")
    sys.exit(1 if unexplained else 0)


if __name__ == "__main__":
    main()
