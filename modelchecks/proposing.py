"""What a folder of reference data says about itself: splits, columns, classes, answers, limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelchecks import stats
from modelchecks.errors import ModelchecksError

if TYPE_CHECKING:
    import pyarrow as pa

ROLES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training", "reference", "ref"),
    "offline": ("offline", "test", "validation", "val", "holdout", "eval"),
    "live": ("live", "production", "prod", "serving", "current"),
}
"""Names of files and folders that say what a split is, most usual first."""
_LABELS = ("label", "target", "y", "class", "true_label", "ground_truth", "y_true")
_IDS = ("id", "row_id", "sample_id", "image_id", "uuid", "key")
_IMAGES = ("image", "img", "picture", "png", "jpeg", "bytes")
ROWS = 200_000
"""Rows of a log that are looked at."""
FEW = 20
"""A text column with no more values than this is taken for a slice or a set."""
DROPS = (0.05, 0.10, 0.20)
"""Margins to choose from: the smallest that the rows can decide."""


class NoDataError(ModelchecksError):
    """A path holds nothing that a suite could be written from; the message says what would do."""


@dataclass(frozen=True, slots=True)
class Column:
    """What one plain column of a log is like."""

    name: str
    kind: str
    nulls: bool
    values: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    unique: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """One split as it lies there: its YAML fields, and what was seen of it.

    `columns` are the log's own, without label, id and answers; `ids` the class ids in use; `right`
    how many of the `labelled` rows each column of answers has right.
    """

    role: str
    path: Path
    source: str
    fields: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    slices: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    labelled: int = 0
    right: Mapping[str, int] = field(default_factory=dict)
    image: Mapping[str, Any] | None = None

    @property
    def has_images(self) -> bool:
        """Whether its rows are images."""
        return self.image is not None


def look(path: Path, logged: Sequence[str] = ()) -> list[Source]:
    """Return the splits at a path: a Parquet log, an image folder, or a folder of such.

    `logged` names the columns of answers; without, columns that answer the label are found by
    how often they agree with it. Raises NoDataError.
    """
    if not path.exists():
        raise NoDataError(f"{path} does not exist")
    found = [_source(role, entry, logged) for role, entry in _entries(path)]
    if not found:
        known = ", ".join(names[0] for names in ROLES.values())
        raise NoDataError(
            f"{path} holds no Parquet file and no image folder. Name a .parquet file, a folder "
            f"with one folder of images per class, or a folder that holds such, called {known}"
        )
    return found


def _entries(path: Path) -> list[tuple[str, Path]]:
    """Return (role, path) of every split, in the order of the roles."""
    if path.is_file():
        return [("offline", path)] if path.suffix == ".parquet" else []
    named: dict[str, Path] = {}
    for role, names in ROLES.items():
        for name in names:
            entry = next((e for e in (path / f"{name}.parquet", path / name) if e.exists()), None)
            if entry is not None and role not in named and _is_split(entry):
                named[role] = entry
    if named:
        return list(named.items())
    return [("offline", path)] if _is_split(path) else []


def _is_split(path: Path) -> bool:
    return path.is_file() or any(path.glob("*.parquet")) or _has_images(path)


def _has_images(path: Path) -> bool:
    from modelchecks.sources.image_folder import SUFFIXES

    return any(file.suffix.lower() in SUFFIXES for file in path.glob("*/*"))


def _source(role: str, path: Path, logged: Sequence[str]) -> Source:
    if path.is_dir() and not any(path.glob("*.parquet")):
        return _folder(role, path)
    return _log(role, path, logged)


def _folder(role: str, path: Path) -> Source:
    from PIL import Image

    from modelchecks.sources.image_folder import SUFFIXES

    files = [file for file in sorted(path.glob("*/*")) if file.suffix.lower() in SUFFIXES]
    seen = []
    for file in files[:: max(1, len(files) // 200)]:
        with Image.open(file) as image:
            seen.append((image.height, image.width, len(image.getbands())))
    classes = tuple(sorted({file.parent.name for file in files}))
    return Source(
        role,
        path,
        "image_folder",
        classes=classes,
        ids=tuple(range(len(classes))),
        labelled=len(files),
        image=_image(seen),
    )


def _image(seen: Sequence[tuple[int, int, int]]) -> Mapping[str, Any]:
    """Return the image schema that all images seen agree on."""
    shapes = set(seen)
    shape = {"shape": list(shapes.pop())} if len(shapes) == 1 else {}
    return {**shape, "dtype": "uint8", "range": [0, 255]}


def _log(role: str, path: Path, logged: Sequence[str]) -> Source:
    import pyarrow as pa
    import pyarrow.dataset as ds

    try:
        files = [path] if path.is_file() else sorted(path.glob("*.parquet"))
        data = ds.dataset([str(file) for file in files], format="parquet")
        names = {name: data.schema.field(name).type for name in data.schema.names}
        image = _named(names, _IMAGES, lambda kind: pa.types.is_binary(kind) or _holds_bytes(kind))
        rest = [name for name in names if name != image and not _holds_bytes(names[name])]
        table = data.head(ROWS, columns=rest)
        pictures = None if image is None else data.head(100, columns=[image]).column(0).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise NoDataError(f"{path} cannot be read as Parquet: {error}") from error
    label = _named(names, _LABELS, lambda kind: pa.types.is_integer(kind) or _is_text(kind))
    id = _named(names, _IDS, lambda kind: pa.types.is_integer(kind) or _is_text(kind))
    lost = [name for name in logged if name not in names]
    if lost:
        raise NoDataError(f"{path} has no column {lost[0]!r}; it has {', '.join(names)}")
    columns = tuple(_columns(table))
    labels = None if label is None else _as_ids(table.column(label))
    right = {} if label is None else dict(_right(table, label, id, logged))
    classes: tuple[str, ...] = ()
    if label is not None and _is_text(names[label]):
        classes = tuple(sorted(set(filter(None, table.column(label).to_pylist()))))
    ids = {value for value in labels or () if isinstance(value, int)}
    own = {label, id, *right, *logged}
    slices = tuple(c.name for c in columns if c.kind == "text" and c.values and c.name not in own)
    fields = {"image": image, "label": label, "id": id}
    return Source(
        role,
        path,
        "parquet",
        {key: value for key, value in fields.items() if value is not None},
        tuple(column for column in columns if column.name not in own),
        slices,
        classes,
        tuple(sorted(ids)) or tuple(range(len(classes))),
        0 if labels is None else sum(value is not None for value in labels),
        right,
        None if pictures is None else _image(list(_decoded(pictures))),
    )


def _decoded(pictures: Sequence[Any]) -> Iterator[tuple[int, int, int]]:
    import io

    from PIL import Image

    for picture in pictures:
        data: Any = picture.get("bytes") if isinstance(picture, dict) else picture
        try:
            with Image.open(io.BytesIO(data)) as image:
                yield image.height, image.width, len(image.getbands())
        except Exception:
            # One that cannot be read is for the schema check to report.
            continue


def _named(names: Mapping[str, Any], known: Sequence[str], fits: Any) -> str | None:
    lower = {name.lower(): name for name in reversed(list(names))}
    return next((lower[name] for name in known if name in lower and fits(names[lower[name]])), None)


def _holds_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _as_ids(column: pa.ChunkedArray) -> list[Any]:
    """Return a column of labels; a negative id stands for none."""
    values: list[Any] = column.to_pylist()
    return [None if isinstance(value, int) and value < 0 else value for value in values]


def _columns(table: pa.Table) -> Iterator[Column]:
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in table.column_names:
        column, kind = table.column(name), table.schema.field(name).type
        nulls = column.null_count > 0
        if _is_text(kind):
            values = sorted(value for value in column.unique().to_pylist() if value is not None)
            few = tuple(values) if 0 < len(values) <= FEW else ()
            yield Column(name, "text", nulls, few, unique=len(values) == len(column))
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
            ends = pc.min_max(column).as_py()
            low, high = ends["min"], ends["max"]
            finite = all(end is not None and np.isfinite(end) for end in (low, high))
            unique = pc.count_distinct(column).as_py() == len(column)
            yield Column(
                name,
                "number",
                nulls,
                (),
                float(low) if finite else None,
                float(high) if finite else None,
                unique,
            )


def _right(
    table: pa.Table, label: str, id: str | None, logged: Sequence[str]
) -> Iterator[tuple[str, int]]:
    """Yield (column, right answers) of the columns that answer the label."""
    import pyarrow as pa

    truth = np.array(_as_ids(table.column(label)), dtype=object)
    known = np.array([value is not None for value in truth])
    if not known.any():
        return
    usual = max(np.unique(truth[known].astype(str), return_counts=True)[1]) / known.sum()
    for name in logged or table.column_names:
        kind = table.schema.field(name).type
        if name in (label, id):
            continue
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            rows = table.column(name).to_pylist()
            answers = np.array([int(np.argmax(r)) if r else None for r in rows], dtype=object)
        elif kind == table.schema.field(label).type or pa.types.is_integer(kind):
            answers = np.array(table.column(name).to_pylist(), dtype=object)
        else:
            continue
        right = int((answers[known] == truth[known]).sum())
        # Better than always saying the most frequent class, by far: it is no accident.
        if logged or right / known.sum() >= max(0.5, 2 * usual):
            yield name, right


def floor(source: Source) -> float | None:
    """Return an accuracy floor that all answers seen reach: their lower bound, in whole percent."""
    if not source.right or not source.labelled:
        return None
    bounds = [
        float(stats.clopper_pearson(right, source.labelled, alpha=0.05)[0])
        for right in source.right.values()
    ]
    return int(100 * min(bounds)) / 100


def margin(offline: Source, live: Source) -> float:
    """Return the smallest usual margin of a drop that the labelled rows can decide, or the widest.

    Decide: a variant that loses nothing passes in at least 80 % of samples of this size.
    """
    if not offline.labelled or not live.labelled:
        return 0.05
    worst = min(offline.right.values(), default=int(0.9 * offline.labelled)) / offline.labelled
    for drop in DROPS[:-1]:
        found = stats.drop_operating_characteristics(
            worst, offline.labelled, live.labelled, true_drop=0.0, max_drop=min(drop, worst)
        )
        if found.passed >= 0.8:
            return drop
    return DROPS[-1]
