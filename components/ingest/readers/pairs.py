"""Graded pairs: one row says how relevant an item is to a query."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.ingest.attributes import extras
from assay.components.ingest.columns import as_text, numbers, text_of
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.privacy import pseudonyms


def read_pairs(
    frame: pd.DataFrame,
    columns: dict[str, list[str]],
    ledger: Ledger,
    max_grade: float | None = None,
    split_column: str | None = None,
    drop_unlabelled: bool = False,
) -> tuple[pd.DataFrame, float]:
    """Judgments out of a table of graded pairs.

    Args:
        frame: The file's table.
        columns: A complete column map.
        ledger: Where drops are counted.
        max_grade: No grade may lie above; None is no bound.
        split_column: Column that names each row's split, if any.
        drop_unlabelled: Drop rows with a negative, missing or unreadable grade rather than refuse the file.

    Returns:
        (judgments, largest grade): columns context, item, item_id, group_id, segment, grade, split (None
        where the file does not say), and what `extras` and `whose` find.

    Raises:
        BadInput: Grades that cannot be used; a split of another name.
    """
    name = columns["label"][0]
    grade = numbers(frame[name])
    usable = grade.notna() & np.isfinite(grade) & (grade >= 0)
    if not usable.all():
        bad = frame.loc[~usable, name]
        examples = ", ".join(repr(v) for v in bad.drop_duplicates().head(3).tolist())
        if not drop_unlabelled:
            raise BadInput(
                f"column {name!r}: {len(bad)} of {len(frame)} grades are negative, missing or not numbers "
                f"(e.g. {examples}); mend them, or drop those rows with --drop-unlabelled"
            )
        ledger.drop("unlabelled", len(bad), [f"row {i}: {v!r}" for i, v in bad.head(20).items()])
        frame, grade = frame[usable], grade[usable]
    largest = float(grade.max()) if len(grade) else 0.0
    if max_grade is not None and largest > max_grade:
        over = int((grade > max_grade).sum())
        raise BadInput(
            f"column {name!r}: {over} grades above --max-grade {max_grade:g} (largest {largest:g})"
        )
    item = text_of(frame, columns["item"])
    judgments = pd.DataFrame(
        {
            "context": text_of(frame, columns["query"]),
            "item": item,
            "item_id": as_text(frame[columns["item_id"][0]]) if "item_id" in columns else item,
            "group_id": as_text(frame[columns["group"][0]]),
            "segment": as_text(frame[columns["segment"][0]]) if "segment" in columns else "all",
            "grade": grade,
            "split": splits(frame, split_column),
        }
        | extras(frame, columns)
        | whose(frame, columns)
    )
    return judgments.reset_index(drop=True), largest


def whose(frame: pd.DataFrame, columns: dict[str, list[str]]) -> dict[str, pd.Series]:
    """Columns `user_id`, the user or else the session of a row, and `session_id`, where there are some.

    Text, None where nobody is named; pseudonyms where there is a key for them.
    """
    found = {
        f"{role}_id": ids(frame[columns[role][0]], pseudonyms)
        for role in ("user", "session")
        if role in columns
    }
    if "session_id" in found:
        user = found.get("user_id", found["session_id"])
        found["user_id"] = user.where(user.notna(), found["session_id"])
    return found


def ids(column: pd.Series, renamed: Callable[[list[str]], list[str]] = list) -> pd.Series:
    """Ids as text, None where there is none; each distinct one is looked at once.

    Args:
        column: Texts or numbers.
        renamed: (distinct ids) -> what stands in their place.
    """
    codes, distinct = pd.factorize(column)
    texts = as_text(pd.Series(distinct, name=column.name)).tolist()
    named = [new if old else None for new, old in zip(renamed(texts), texts, strict=True)]
    return pd.Series(np.array([*named, None], dtype=object)[codes], index=column.index)


_SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "target": "target",
}


def splits(frame: pd.DataFrame, column: str | None) -> pd.Series:
    """Each row's split as a column names it; None where no column does.

    Raises:
        BadInput: There is no such column, or a value is no split's name.
    """
    if column is None:
        return pd.Series(None, index=frame.index, dtype=object)
    if column not in frame:
        raise BadInput(
            f"--split-column {column}: not in the file; it has: {', '.join(map(str, frame.columns))}"
        )
    names = as_text(frame[column]).str.strip().str.lower()
    unknown = sorted(set(names) - set(_SPLIT_NAMES))
    if "" in unknown:
        raise BadInput(
            f"--split-column {column}: {int((names == '').sum())} cells are empty; name a split in each"
        )
    if unknown:
        raise BadInput(
            f"--split-column {column}: unknown values {', '.join(map(repr, unknown[:5]))}; "
            f"known: {', '.join(_SPLIT_NAMES)}"
        )
    return names.map(_SPLIT_NAMES)
