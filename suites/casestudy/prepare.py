"""All that the suites read, made once: data found, variants trained, live log written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from modelchecks.sources.fashion_mnist import SIZES, find_folder, load_pool, partition

from .live import live_rows, write_live
from .seeds import train_seeds
from .train import train_all

PACKAGE: Final = "dataset-fashion-mnist"
Say = Callable[[str], None]


def prepare(
    folder: Path, *, data: Path | None = None, seed: int = 0, say: Say | None = None
) -> None:
    """Make everything that the suites in `folder` read; what is there and up to date is skipped.

    Writes `runs/NAME.safetensors` and `runs/NAME.history.csv` for the three variants and for four
    further seeds of the baseline, and `data/live/part-N.parquet`. `data` names a folder with
    Fashion-MNIST. Says on stderr what it does and how long that took. Raises FileNotFoundError when
    the data can be neither found nor fetched, ValueError when a file of it is damaged.
    """
    tell = say or _say
    started = time.perf_counter()
    found = obtain(folder / "data" / "fashion-mnist", data=data, say=say)
    images, labels = load_pool(found)
    rows = partition(labels)
    tell(f"Fashion-MNIST: {len(labels):,} images from {found}")
    splits = {name: (images[rows[name]], labels[rows[name]]) for name in SIZES}
    weights = train_all(splits, folder / "runs", seed=seed, say=say)
    train_seeds(splits, folder / "runs", seed=seed, say=say)
    reported = live_rows(labels, rows["live_pool"])
    live = folder / "data" / "live"
    written = write_live(images, labels, reported, weights["baseline"], live)
    tell(
        f"live log: {len(reported):,} rows in {live}{'' if written else ', there already; skipped'}"
    )
    tell(f"the case study is ready after {time.perf_counter() - started:.0f} s")


def obtain(cache: Path, *, data: Path | None = None, say: Say | None = None) -> Path:
    """Return the folder that holds Fashion-MNIST, fetched into `cache` if it is nowhere else.

    Tries the Debian package without installing it (no root is needed), then torchvision's
    download. Raises the FileNotFoundError of `find_folder` if neither works; a folder that the
    user named is never replaced by a download.
    """
    say = say or _say
    try:
        return find_folder(data, cache=cache)
    except FileNotFoundError as missing:
        if data is not None or os.environ.get("FASHION_MNIST"):
            raise
        reasons = []
        for name, fetch in (("Debian package", _from_debian), ("torchvision", _from_torchvision)):
            say(f"Fashion-MNIST is not on this machine; fetching it ({name}) ...")
            try:
                fetch(cache)
                return find_folder(cache=cache)
            except Exception as error:  # whatever stops a download, the next way may work
                reasons.append(f"{name}: {_first_line(error)}")
        raise FileNotFoundError(f"{missing}\nTried by itself: {'; '.join(reasons)}") from None


def _from_debian(cache: Path) -> None:
    tools = {name: shutil.which(name) for name in ("apt-get", "dpkg-deb")}
    for name, tool in tools.items():
        if tool is None:
            raise FileNotFoundError(f"there is no {name}")
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent) as there:
        _run([tools["apt-get"] or "", "download", PACKAGE], there)
        package = next(Path(there).glob(f"{PACKAGE}_*.deb"))
        _run([tools["dpkg-deb"] or "", "-x", str(package), "unpacked"], there)
        _move(next(Path(there).rglob("train-images-idx3-ubyte.gz")).parent, cache)


def _from_torchvision(cache: Path) -> None:
    from torchvision.datasets import FashionMNIST

    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent) as there:
        for train in (True, False):
            FashionMNIST(there, train=train, download=True)
        _move(Path(there) / "FashionMNIST" / "raw", cache)


def _move(files: Path, cache: Path) -> None:
    """Put the files where they are looked for, in one step."""
    shutil.rmtree(cache, ignore_errors=True)
    os.replace(files, cache)


def _run(command: list[str], folder: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.strip() or f"{command[0]} ended with {done.returncode}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
