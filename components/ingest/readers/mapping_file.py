"""A mapping as it is written, checked: what a mistake is, and where.

The words are those of `mapping.py`, which reads files by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

import yaml
from assay.components.core.errors import BadInput
from assay.components.ingest.readers.paths import INDEX, Path, Segment, parsed, shape
from assay.components.ingest.tables import ACTIONS, SCHEMAS

UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
"""{unit of a time since 1970: microseconds in it}."""
_NEEDED = {"items": ("item_id",), "events": ("action",)}


@dataclass(frozen=True)
class Column:
    """How one column of a table is made.

    Attributes:
        where: Of the mapping, for messages.
        paths: Where it is read from: the first that is there, or all of them where `joined`.
        joined: Whether the texts are joined by a space.
        constant: What it is in every row, if it is read from nowhere.
        values: {value of the file: value}; one that is not among them is `default`.
        default: Where there is nothing.
        unit: Of numbers since 1970; "" is told by their size.
    """

    where: str
    paths: tuple[Path, ...] = ()
    joined: bool = False
    constant: str | None = None
    values: Mapping[str, str] | None = None
    default: str | None = None
    unit: str = ""


@dataclass(frozen=True)
class Rule:
    """Rows of one table out of some rows of the file.

    Attributes:
        where: Of the mapping, for messages.
        table: Of `SCHEMAS`.
        when: (path, values, whether they must be among them); None among the values is a missing one.
        each: The list whose elements are the rows; None if a row is a row.
        split: What cuts a text into that list.
        columns: {canonical column: how}.
        missing: Texts that mean nothing, of the whole mapping.
    """

    where: str
    table: str
    when: tuple[tuple[Path, tuple[str | None, ...], bool], ...]
    each: Path | None
    split: str
    columns: Mapping[str, Column]
    missing: tuple[str, ...]

    def paths(self) -> Iterator[tuple[str, Path]]:
        """(where, path) of all that it reads."""
        yield from ((f"{self.where}.when", path) for path, _, _ in self.when)
        for column in self.columns.values():
            yield from ((column.where, path) for path in column.paths)
        if self.each:
            yield f"{self.where}.each", self.each


@dataclass(frozen=True)
class Layout:
    """A whole mapping, valid.

    Attributes:
        name: Of its file, without the ending.
        about: For people.
        detect: Columns that tell the format.
        rules: In the order of the file.
        fields: {column of the file: dtype} that the rules read of nested rows.
    """

    name: str
    about: str
    detect: tuple[Path, ...]
    rules: tuple[Rule, ...]
    fields: Mapping[str, Any]


def loaded(file: File) -> Layout:
    """A mapping out of its file.

    Raises:
        BadInput: It is not valid; the message says what and where.
    """
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{file}: not YAML (within [...] and {{...}}, paths with ? or [] need quotes): {error}"
        ) from error
    whole = _keys(file, "", document, {"about", "detect", "missing", "tables"}, ("tables",))
    tables = _keys(file, "tables", whole["tables"], set(SCHEMAS), ())
    missing = tuple(map(str, _list(whole.get("missing"))))
    rules = tuple(
        _rule(file, f"tables.{table}[{i}]", table, rule, missing)
        for table, listed in tables.items()
        for i, rule in enumerate(listed if isinstance(listed, list) else [listed])
    )
    if not rules:
        raise BadInput(f"{file}: tables: none; say at least one of {', '.join(SCHEMAS)}")
    detect = tuple(_path(file, "detect", text) for text in _list(whole.get("detect")))
    try:
        fields = shape(path for rule in rules for path in _read(rule))
    except ValueError as error:
        raise BadInput(f"{file}: {error}") from error
    return Layout(file.stem, str(whole.get("about") or f"as {file.name} says"), detect, rules, fields)


def _read(rule: Rule) -> Iterator[Path]:
    """Paths as a file must have them: a list that is cut out of a text is a text there."""
    for _, path in rule.paths():
        if not (rule.split and path.each):
            yield path
    if rule.split and rule.each:
        bare = tuple(Segment(one.name, one.pick or None) for one in rule.each.segments)
        yield Path(rule.each.text, bare)


def _rule(file: File, where: str, table: str, rule: Any, missing: tuple[str, ...]) -> Rule:
    rule = _keys(file, where, rule, {"when", "each", "split", "columns"}, ("columns",))
    each = _path(file, f"{where}.each", rule["each"]) if "each" in rule else None
    if each is not None and each.each != len(each.segments):
        raise BadInput(f"{file}: {where}.each: {each.text!r} must end with [], the list to take apart")
    schema = [name for name in SCHEMAS[table] if name not in ("source", "row")]
    columns = {}
    for name, how in _keys(file, f"{where}.columns", rule["columns"], None, ()).items():
        if name not in schema and not name.startswith(("feature.", "attribute.")):
            raise BadInput(
                f"{file}: {where}.columns: table {table} has no column {name!r}; it has {', '.join(schema)}, "
                "and feature.NAME (numbers), attribute.NAME (texts)"
            )
        columns[name] = _how(file, f"{where}.columns.{name}", name, how)
    for name in _NEEDED.get(table, ()):
        if name not in columns:
            raise BadInput(
                f"{file}: {where}.columns: {name} is missing, without which no row of {table} counts"
            )
    when = []
    for text, value in _keys(file, f"{where}.when", rule.get("when") or {}, None, ()).items():
        among = not isinstance(value, dict)
        if not among:
            value = _keys(file, f"{where}.when.{text}", value, {"not"}, ("not",))["not"]
        values = tuple(None if one is None else _word(one) for one in (_list(value) or [None]))
        when.append((_path(file, f"{where}.when", text), values, among))
    made = Rule(where, table, tuple(when), each, str(rule.get("split") or ""), columns, missing)
    for place, path in made.paths():
        inside = each is not None and path.segments[: path.each] == each.segments
        if (path.each and not inside) or (path.each and place.endswith(".when")):
            raise BadInput(f"{file}: {place}: {path.text!r}: [] stands for an element of `each` of this rule")
        needs = path.text == INDEX or any(one.pick == INDEX for one in path.segments)
        if needs and (each is None or place.endswith(".when")):
            raise BadInput(
                f"{file}: {place}: {INDEX} is a place in the list of `each`, which this rule lacks"
            )
    return made


def _how(file: File, where: str, name: str, how: Any) -> Column:
    if isinstance(how, str):
        return Column(where, (_path(file, where, how),))
    how = _keys(file, where, how, {"path", "join", "constant", "values", "default", "unit"}, ())
    if sum(key in how for key in ("path", "join", "constant")) != 1:
        raise BadInput(f"{file}: {where}: say one of path, join, constant")
    if how.get("unit", "s") not in UNITS:
        raise BadInput(f"{file}: {where}.unit: {how['unit']!r}: one of {', '.join(UNITS)}")
    values = how.get("values")
    if values is not None:
        listed = _keys(file, f"{where}.values", values, None, ())
        values = {key: _word(value) for key, value in listed.items()}
    default = _word(how["default"]) if how.get("default") is not None else None
    constant = _word(how["constant"]) if how.get("constant") is not None else None
    if name == "action":
        default = default or ("other" if values is not None else None)
        unknown = sorted({*(values or {}).values(), *filter(None, (default, constant))} - set(ACTIONS))
        if unknown:
            raise BadInput(f"{file}: {where}: no action {unknown[0]!r}; one of {', '.join(ACTIONS)}")
    paths = tuple(_path(file, where, text) for text in _list(how.get("path", how.get("join"))))
    return Column(where, paths, "join" in how, constant, values, default, str(how.get("unit") or ""))


def _word(value: Any) -> str:
    """A value of YAML as files write it: `true` for true."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _path(file: File, where: str, text: Any) -> Path:
    try:
        return parsed(str(text))
    except ValueError as error:
        raise BadInput(f"{file}: {where}: {error}") from error


def _keys(
    file: File, where: str, value: Any, known: set[str] | None, needed: tuple[str, ...]
) -> dict[str, Any]:
    """An object of the mapping, its keys as texts, checked.

    Raises:
        BadInput: It is none, or has a key that is not known, or lacks one.
    """
    place = f"{where}: " if where else ""
    if not isinstance(value, dict):
        raise BadInput(f"{file}: {place}expected keys and values, found {type(value).__name__}")
    found = {_word(key): inner for key, inner in value.items()}
    for key in found:
        if known is not None and key not in known:
            kind = "no table" if where == "tables" else "no key"
            raise BadInput(f"{file}: {place}{kind} {key!r}; known: {', '.join(sorted(known))}")
    for key in needed:
        if key not in found:
            raise BadInput(f"{file}: {place}{key} is missing")
    return found
