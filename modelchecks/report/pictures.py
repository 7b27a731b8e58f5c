"""The images that a result's `details` hold, each checked to be a PNG, alone or as a pair."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from modelchecks.report.shapes import Details, mappings, members

_PNG = b"\x89PNG\r\n\x1a\n"
_ADDRESS = "data:image/png;base64,"
_TURNED = re.compile(r"(.*) (before|after): (.*)", re.DOTALL)
"""How a caption says that its image is one half of a counter-example."""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in base64, checked to be a PNG, with its caption and, perhaps, its original."""

    caption: str
    png: str
    before: str | None = None


def images(details: Details) -> list[Image]:
    """Return the images that are really PNG, but for the halves of counter-examples."""
    return [image for image in _paired(details) if image.before is None]


def _paired(details: Details) -> list[Image]:
    """Return the images; where one shows a row before and the next after, both as one."""
    told = [*mappings(details.get("images")), *mappings(details.get("pictures"))]
    found: list[Image] = []
    for row in told:
        png = _png(row.get("png", row.get("picture")))
        if png is None:
            continue
        image = Image(str(row.get("caption", "")), png)
        after = _TURNED.fullmatch(image.caption)
        before = _TURNED.fullmatch(found[-1].caption) if found else None
        if after and before and (before[2], after[2], before[1]) == ("before", "after", after[1]):
            caption = f"{after[1]}: {before[3]} → {after[3]}"
            found[-1] = Image(caption, image.png, found[-1].png)
        else:
            found.append(image)
    return found


def counterexamples(details: Details) -> list[Image]:
    """Return the smallest inputs that a search found, with their originals."""
    found = [image for image in _paired(details) if image.before is not None]
    for row in mappings(details.get("counterexamples")):
        png = _png(row.get("after", row.get("png")))
        if png is not None:
            told = [str(row.get("caption", ""))]
            told += [f"{name} {value}" for name, value in members(row, "parameters")]
            caption = ", ".join(filter(None, told))
            found.append(Image(caption, png, _png(row.get("before"))))
    return found


def _png(text: Any) -> str | None:
    """Return base64 that is a PNG and nothing else, ready for a data address."""
    if isinstance(text, str):
        text = text.removeprefix(_ADDRESS)
    try:
        data = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return None
    return base64.b64encode(data).decode("ascii") if data.startswith(_PNG) else None
