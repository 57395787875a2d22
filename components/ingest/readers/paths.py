"""Paths into nested rows: `user.id`, `items[]`, `positions[$index]`, `event_params[key=query].value.text`.

A column whose name is the whole path, dots and all, is found first, as flattened tables have them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

INDEX = "$index"
"""The place of an element in the list that it is of, from 1."""
ELEMENT = "$element"
_SEGMENT = re.compile(r"(?P<name>[^.\[\]$?=]+)(\[(?P<pick>\$index|\d+|[^.\[\]=]+=[^\[\]]*|)\])?")


@dataclass(frozen=True)
class Segment:
    """One step of a path.

    Attributes:
        name: Of a column, or of a field of an object.
        pick: Which element of a list: "" each one; "$index" the one at the place of the row's own; a number
            from 0; `KEY=VALUE` the first whose field KEY is VALUE. None: it is no list.
    """

    name: str
    pick: str | None = None


@dataclass(frozen=True)
class Path:
    """A parsed path.

    Attributes:
        text: As written, without the `?`.
        segments: Its steps; none of `$index`.
        optional: Whether it may be missing: it ends with `?`.
    """

    text: str
    segments: tuple[Segment, ...]
    optional: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Of its steps."""
        return tuple(one.name for one in self.segments)

    @property
    def each(self) -> int:
        """Steps up to and with the one that stands for each element of a list; 0 if none does."""
        return next((i for i, one in enumerate(self.segments, 1) if one.pick == ""), 0)


def parsed(text: str) -> Path:
    """A path out of its text.

    Raises:
        ValueError: It is none; the message says why.
    """
    bare = text.removesuffix("?")
    if bare == INDEX:
        return Path(bare, (), True)
    segments: list[Segment] = []
    at = 0
    while at < len(bare) or not segments:
        found = _SEGMENT.match(bare, at)
        if not found or (found.end() < len(bare) and bare[found.end()] != ".") or bare.endswith("."):
            raise ValueError(
                f"{text!r} is no path (at character {at + 1}): names with dots between them, each perhaps "
                "with [], [$index], [0] or [key=value] behind"
            )
        segments.append(Segment(found["name"], found["pick"]))
        at = found.end() + 1
    if sum(one.pick == "" for one in segments) > 1:
        raise ValueError(f"{text!r} has [] twice: a row can be an element of one list only")
    return Path(bare, tuple(segments), text.endswith("?"))


def shape(paths: Iterable[Path]) -> dict[str, Any]:
    """{name: dtype} of the objects that these paths lead into; what they end at is a text.

    Raises:
        ValueError: A path ends at what another goes through.
    """
    tree: dict[str, Any] = {}
    ends: dict[tuple[str, ...], str] = {}
    for path in paths:
        node = tree
        for segment in path.segments:
            node = node.setdefault(segment.name, {"list": False, "fields": {}})
            node["list"] |= segment.pick is not None
            node = node["fields"]
            if segment.pick and "=" in segment.pick:
                node.setdefault(segment.pick.partition("=")[0], {"list": False, "fields": {}})
        if path.segments and path.segments[-1].pick != "":
            ends[path.names] = path.text
    for names, text in ends.items():
        node = {"fields": tree}
        for name in names:
            node = node["fields"][name]
        if names and node["fields"]:
            raise ValueError(
                f"{text!r} ends at an object: another path goes into it ({', '.join(node['fields'])})"
            )
    return {name: _dtype(node) for name, node in tree.items()}


def _dtype(node: dict[str, Any]) -> Any:
    inner = (
        pl.Struct({name: _dtype(inside) for name, inside in node["fields"].items()})
        if node["fields"]
        else pl.String()
    )
    return pl.List(inner) if node["list"] else inner


def reached(path: Path, schema: Mapping[str, Any], each: Path | None = None) -> pl.Expr | None:
    """What a path leads to in rows of a schema; None if there is nothing.

    Args:
        path: In its column; `$index` is a column of the rows.
        schema: {column: dtype} of the rows.
        each: The list whose elements the rows are, in the column `$element`.
    """
    if not path.segments:
        return pl.col(INDEX) if INDEX in schema else None
    if path.text in schema:
        return pl.col(path.text)
    if path.each and each is not None:
        return _within(pl.col(ELEMENT), schema[ELEMENT], path.segments[path.each :])
    first, *rest = path.segments
    if first.name not in schema:
        return None
    found = _picked(pl.col(first.name), schema[first.name], first)
    return found and _within(*found, tuple(rest))


def _within(expr: pl.Expr, dtype: Any, segments: tuple[Segment, ...]) -> pl.Expr | None:
    for segment in segments:
        inner = _field(dtype, segment.name)
        found = inner and _picked(expr.struct.field(segment.name), inner, segment)
        if not found:
            return None
        expr, dtype = found
    return expr


def _field(dtype: Any, name: str) -> Any:
    if not isinstance(dtype, pl.Struct):
        return None
    return next((field.dtype for field in dtype.fields if field.name == name), None)


def _picked(expr: pl.Expr, dtype: Any, segment: Segment) -> tuple[pl.Expr, Any] | None:
    if segment.pick in (None, ""):
        return expr, dtype
    if not isinstance(dtype, pl.List):
        return None
    inner: Any = dtype.inner
    if segment.pick == INDEX:
        return expr.list.get(pl.col(INDEX).cast(pl.Int64) - 1, null_on_oob=True), inner
    if segment.pick.isdecimal():
        return expr.list.get(int(segment.pick), null_on_oob=True), inner
    key, _, value = segment.pick.partition("=")
    if _field(inner, key) is None:
        return None
    same = pl.element().struct.field(key).cast(pl.String) == value
    return expr.list.eval(pl.element().filter(same)).list.first(), inner
