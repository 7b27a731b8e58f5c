"""Specifications become pictures here, by Vega-Lite in this process: no browser, no network.

The page holds them as inline SVG. They are made of foreign text too, and kept in the store, so that
of what the library wrote only known elements and attributes are taken over, which also halves the
size.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from xml.etree import ElementTree

Spec = Mapping[str, Any]

_SVG = "{http://www.w3.org/2000/svg}"
_ELEMENTS = frozenset({"svg", "g", "path", "line", "text", "rect", "circle", "defs", "clipPath"})
_ATTRIBUTES = frozenset(
    {
        *("d", "x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "r", "cx", "cy", "width", "height"),
        *("transform", "fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity"),
        *("opacity", "fill-opacity", "text-anchor", "font-size", "font-weight", "viewBox"),
        *("clip-path", "id"),
    }
)
_USUAL = {"opacity": "1", "stroke-width": "1", "text-anchor": "start", "font-size": "11px"}
_FONT = {"font-family": "sans-serif", "font-size": "11px"}
"""What the page's style says of all texts, and a file says itself."""
_DIGITS = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_CIRCLE = re.compile(r"M([\d.]+),0A[\d.,]+,-([\d.]+),0A[\d.,-]+")
_PLACE = re.compile(r"translate\(([-\d.]+),([-\d.]+)\)")
_INHERITED = ("fill", "stroke", "stroke-width", "fill-opacity", "text-anchor", "font-weight")
_LOCAL = re.compile(r"url\(#([\w-]+)\)")


_MEMORY: ContextVar[tuple[Mapping[str, str], dict[str, str]] | None] = ContextVar(
    "pictures", default=None
)


class CannotDrawError(Exception):
    """The library refused; the figure's numbers are shown without it."""


@contextmanager
def remembering(known: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Draw nothing inside that is in `known`; yield what is drawn or taken from there, to keep it.

    Both map a digest of a specification to the library's own text, which is read as carefully from
    there as from the library.
    """
    used: dict[str, str] = {}
    token = _MEMORY.set((known, used))
    try:
        yield used
    finally:
        _MEMORY.reset(token)


def _text(spec: Spec) -> str:
    """Return a picture as the library writes it, an SVG; raises CannotDrawError."""
    memory = _MEMORY.get()
    if memory is None:
        return _converted(spec)
    known, used = memory
    try:
        key = hashlib.sha256(json.dumps(spec).encode()).hexdigest()
    except (TypeError, ValueError) as error:
        raise CannotDrawError(str(error)) from error
    if key not in used:
        found = known.get(key)
        used[key] = found if isinstance(found, str) else _converted(spec)
    return used[key]


def _converted(spec: Spec) -> str:
    with _drawing() as vega:
        return str(vega.vegalite_to_svg(dict(spec)))


def svg(spec: Spec, name: str, label: str) -> str:
    """Return a picture as an inline SVG element that a screen reader calls `label`.

    `name` makes its inner ids unique on a page. Raises CannotDrawError.
    """
    root, _ = _known_of(spec, name)
    root.attrib.update({"role": "img", "aria-label": label})
    return ElementTree.tostring(root, encoding="unicode")


def svg_file(spec: Spec) -> str:
    """Return a picture as an SVG file of its own on white; raises CannotDrawError."""
    root, size = _known_of({**spec, "background": "white"}, "plot")
    root.attrib.update({"xmlns": _SVG[1:-1], **size, **_FONT})
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def png(spec: Spec) -> bytes:
    """Return a picture as a PNG on white, sharp on fine screens; raises CannotDrawError."""
    # What a store says never reaches native code, which nothing saves from a crash.
    with remembering({}):
        drawn = svg_file(spec)
    with _drawing() as vega:
        return bytes(vega.svg_to_png(drawn, scale=2))


def _known_of(spec: Spec, name: str) -> tuple[ElementTree.Element, dict[str, str]]:
    """Return what is known of a picture, and its width and height."""
    try:
        root = _drawn(spec)
        _take(root, name)
        size = {side: root.attrib.pop(side) for side in ("width", "height")}
    except (KeyError, RecursionError) as error:
        raise CannotDrawError(f"no picture ({type(error).__name__}: {error})") from error
    root.set("viewBox", f"0 0 {size['width']} {size['height']}")
    return root, size


def _drawn(spec: Spec) -> ElementTree.Element:
    """Return what the library drew; its ids, which count on from picture to picture, from 1."""
    try:
        root = ElementTree.fromstring(_text(spec))
    except (ElementTree.ParseError, ValueError) as error:
        raise CannotDrawError(str(error)) from error
    if root.tag != f"{_SVG}svg":
        raise CannotDrawError(f"{root.tag} is no picture")
    names = {found: f"clip{n}" for n, found in enumerate(_ids(root), start=1)}
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, names[value])
            elif key == "clip-path":
                element.set(key, _LOCAL.sub(lambda m: f"url(#{names.get(m[1], m[1])})", value))
    return root


def _ids(root: ElementTree.Element) -> list[str]:
    return [value for element in root.iter() if (value := element.get("id")) is not None]


@contextmanager
def _drawing() -> Iterator[Any]:
    """Lend the library; whatever goes wrong in it costs a picture, never the report or verdict."""
    try:
        import vl_convert

        # It warns of layers that hide a legend which others show, as ours do on purpose.
        if (told := logging.getLogger("vl_convert")).level == logging.NOTSET:
            told.setLevel(logging.ERROR)
        yield vl_convert
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:
        # A panic in its native code is no Exception.
        raise CannotDrawError(f"{type(error).__name__}: {error}") from error


def _take(element: ElementTree.Element, name: str) -> None:
    """Keep what is known of an element and all below it; a mark's description becomes its title."""
    element.tag = element.tag.removeprefix(_SVG)
    told = element.get("aria-label") if element.get("role") == "graphics-symbol" else None
    kept = {}
    for key, value in element.attrib.items():
        if key in _ATTRIBUTES and _USUAL.get(key) != value and _stays(value):
            kept[key] = _LOCAL.sub(rf"url(#{name}-\1)", _DIGITS.sub(_short, value))
    if "id" in kept:
        kept["id"] = f"{name}-{kept['id']}"
    if "stroke" not in kept:
        kept.pop("stroke-width", None)
    element.attrib.clear()
    element.attrib.update(kept)
    for child in list(element):
        if child.tag.removeprefix(_SVG) not in _ELEMENTS or child.get("display") == "none":
            element.remove(child)
            continue
        _take(child, name)
        if element.tag != "clipPath" and _draws_nothing(child):
            element.remove(child)
    _round(element)
    if told is not None:
        title = ElementTree.SubElement(element, "title")
        title.text = told
    # A group that says nothing, around one other thing, is that thing.
    for place, child in enumerate(list(element)):
        if child.tag == "g" and not child.attrib and len(child) == 1:
            element[place] = child[0]
    if element.tag == "g":
        _say_once(element)


def _stays(value: str) -> bool:
    """Return whether a value names nothing outside its picture."""
    return _LOCAL.fullmatch(value) is not None or not ("url(" in value.lower() or "\\" in value)


def _draws_nothing(element: ElementTree.Element) -> bool:
    if element.tag == "g":
        return len(element) == 0
    if element.tag in ("path", "rect"):
        seen = {element.get(paint, "none") for paint in ("fill", "stroke")}
        return seen <= {"none", "transparent"} or not element.get("d", "whole")
    return False


def _round(element: ElementTree.Element) -> None:
    """Turn a path that is a circle into one, which is a third of the text."""
    circle = _CIRCLE.fullmatch(element.get("d", ""))
    place = _PLACE.fullmatch(element.get("transform", ""))
    if circle and place and circle[1] == circle[2]:
        element.tag = "circle"
        del element.attrib["d"], element.attrib["transform"]
        element.attrib.update({"cx": place[1], "cy": place[2], "r": circle[1]})


def _say_once(group: ElementTree.Element) -> None:
    """Move to a group what all that is in it says alike, and inherits."""
    for key in _INHERITED:
        said = {child.get(key) for child in group}
        if len(group) > 1 and len(said) == 1 and (value := said.pop()) is not None:
            group.set(key, value)
            for child in group:
                del child.attrib[key]


def _short(found: re.Match[str]) -> str:
    text = f"{float(found[0]):.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
