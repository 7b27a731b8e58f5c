"""Install the built wheel into a folder of its own and use it from there, not from the source."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

TRY = """
import modelchecks, sys
from importlib.metadata import entry_points
from importlib.resources import files
assert "site" in modelchecks.__file__, modelchecks.__file__
for group in ("checks", "features", "sources", "probes"):
    found = [point for point in entry_points(group="modelchecks." + group)]
    assert found, group
    for point in found:
        point.load()
for name in modelchecks.__all__:
    getattr(modelchecks, name)
assert (files("modelchecks.report") / "templates" / "run.html").is_file()
assert (files("modelchecks") / "py.typed").is_file()
print("wheel:", modelchecks.__version__, "loads every entry point and public name")
"""


def main() -> None:
    """Exit non-zero unless the only wheel in the named folder can be used."""
    (wheel,) = Path(sys.argv[1]).glob("*.whl")
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--target", str(site), str(wheel.resolve())], check=True)
        code = f"import sys; sys.path.insert(0, {str(site)!r})\n{TRY}"
        subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


if __name__ == "__main__":
    main()
