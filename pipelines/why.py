"""The story of one row of a finished run: what it says, how it scored, who trains on it and why."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from assay.components.core.errors import BadInput
from assay.components.core.samples import read_samples
from assay.pipelines.shown import finished

if TYPE_CHECKING:
    from rich.console import RenderableType

ALIKE, LISTED = 5, 10
"""Ids that an error names, and rows of the same list that are shown, at most."""
_ROW = [
    *("sample_id", "split", "task", "group_id", "context", "item_id", "item", "label", "grade", "weight"),
    *("segment", "source", "position"),
]
_JUDGED = ["importance", "noise", "suggested_label", "decision", "reason", "explanation", "scored_by"]
_STRATUM = ["sample_id", "task", "label"]


def story(out: Path, sample_id: str) -> dict[str, Any]:
    """All that a finished run knows of one row.

    Args:
        out: Folder of a finished run or curve.
        sample_id: Of any split; a prefix that only one id has is enough.

    Returns:
        JSON-able:

        - row: as it is in the sample table
        - judged: importance, noise and what follows from it; None where the row was not scored
        - methods: method, value, higher_is_better, rank (mid-rank in (0, 1) among the training rows of its
          stratum, 1 speaks for keeping it) and rows (of the stratum)
        - arms: arm, decision, reason and, of what the selection has, why, label, weight; the arm `none` says
          why the challenger leaves it out
        - planted: flipped, and the label before; None where no noise was planted, or the row is not a
          training row
        - list: rows of the same list, the most important first, with the row among them; and list_rows

    Raises:
        BadInput: No finished run is there, or no row or several are meant.
    """
    finished(out)
    sample_id = meant(out, sample_id)
    row = read_samples(out / "samples", columns=_ROW, ids=[sample_id]).iloc[0]
    scores, diagnosis = pd.read_parquet(out / "scores.parquet"), _diagnosis(out)
    mine = pd.concat([table[table["sample_id"] == sample_id] for table in (scores, diagnosis)])
    return {
        "sample_id": sample_id,
        "row": _plain(row),
        "judged": _plain(mine.iloc[0][_JUDGED]) if len(mine) else None,
        "methods": _methods(out, row, mine.iloc[0], scores) if len(mine) else [],
        "arms": _arms(out, sample_id),
        "planted": _planted(out, sample_id),
        **_list(out, row, pd.concat([scores, diagnosis])),
    }


def meant(out: Path, text: str) -> str:
    """The one id of a run's samples that is, or starts with, a text.

    Raises:
        BadInput: There is none, or there are several.
    """
    ids = read_samples(out / "samples", columns=["sample_id"])["sample_id"]
    alike = ids[ids.str.startswith(text)].tolist()
    if text in alike:
        return text
    if len(alike) == 1:
        return alike[0]
    if alike:
        more = f" and {len(alike) - ALIKE} more" if len(alike) > ALIKE else ""
        raise BadInput(f"{text!r}: {len(alike)} rows start so: {', '.join(alike[:ALIKE])}{more}; write more")
    near = [len(os.path.commonprefix([text, known])) for known in ids]
    closest = [known for known, shared in zip(ids, near, strict=True) if shared == max(near)][:ALIKE]
    hint = f"; there are {', '.join(closest)}" if max(near) > 1 else ""
    raise BadInput(
        f"{text!r}: no row of {out} has such an id{hint}; ids are in the column sample_id of "
        f"{out / 'scores.parquet'} (training rows), predictions.parquet (test) and samples/ (all)"
    )


def _methods(out: Path, row: pd.Series, mine: pd.Series, scores: pd.DataFrame) -> list[dict[str, Any]]:
    from assay.components.score.methods import METHODS

    train = read_samples(out / "samples", ["train"], _STRATUM).drop(columns="task").set_index("sample_id")
    tasks = read_samples(out / "samples", ["train"], ["task"])["task"].astype(str).to_numpy()
    others = scores[scores["sample_id"] != mine["sample_id"]]
    place = train.index.get_indexer(pd.Index(others["sample_id"]))
    label = train["label"].to_numpy()[place].round(2)
    like = (tasks[place] == str(row["task"])) & (label == np.round(row["label"], 2))
    same_ranker = (others["scored_by"] == mine["scored_by"]).to_numpy()
    found = []
    for name in (name for name in scores if name in METHODS):
        method = METHODS[name]
        sign = 1 if method.higher_is_better else -1
        stratum = sign * others.loc[like & same_ranker if method.by_ranker else like, name].to_numpy()
        value = float(mine[name])
        below, equal = (stratum < sign * value).sum(), (stratum == sign * value).sum() + 1
        rank = (below + equal / 2) / (len(stratum) + 1)
        found.append(
            {
                "method": name,
                "value": _value(value),
                "higher_is_better": method.higher_is_better,
                "rank": round(float(rank), 6),
                "rows": len(stratum) + 1,
            }
        )
    return found


def _arms(out: Path, sample_id: str) -> list[dict[str, Any]]:
    rows = pd.read_parquet(out / "selection.parquet", filters=[("sample_id", "==", sample_id)])
    shown = [name for name in ("arm", "decision", "reason", "label", "weight", "why") if name in rows]
    return [_plain(row) for _, row in rows.sort_values("arm")[shown].iterrows()]


def _planted(out: Path, sample_id: str) -> dict[str, Any] | None:
    file = out / "truth" / "truth.parquet"
    truth = pd.read_parquet(file) if file.is_file() else pd.DataFrame({"sample_id": [], "flipped": []})
    mine = truth[truth["sample_id"] == sample_id]
    if mine.empty or not truth["flipped"].any():
        return None
    return _plain(mine.iloc[0][["flipped", "label"]])


def _list(out: Path, row: pd.Series, scores: pd.DataFrame) -> dict[str, Any]:
    columns = ["sample_id", "task", "group_id", "item", "label", "split"]
    rows = read_samples(out / "samples", columns=columns)
    rows = rows[(rows["group_id"] == row["group_id"]) & (rows["task"] == row["task"])]
    rows = rows.merge(scores[["sample_id", "importance", "decision"]], on="sample_id", how="left")
    held = pq.read_table(
        out / "selection.parquet",
        columns=["sample_id"],
        filters=[("arm", "==", "challenger"), ("sample_id", "in", rows["sample_id"].tolist())],
    )
    rows["chosen"] = rows["sample_id"].isin(held["sample_id"].to_pylist())
    rows["this"] = rows["sample_id"] == row["sample_id"]
    rows = rows.sort_values(["importance", "sample_id"], ascending=[False, True])
    # The row itself is always among those shown.
    rows["late"] = (np.arange(len(rows)) >= LISTED - 1) & ~rows["this"]
    listed = rows.sort_values("late", kind="stable").head(LISTED)
    shown = ["this", "sample_id", "split", "item", "label", "importance", "decision", "chosen"]
    return {"list": [_plain(one) for _, one in listed[shown].iterrows()], "list_rows": len(rows)}


def _diagnosis(out: Path) -> pd.DataFrame:
    file = out / "diagnosis.parquet"
    return pd.read_parquet(file) if file.is_file() else pd.DataFrame({"sample_id": []})


def _plain(row: pd.Series) -> dict[str, Any]:
    return {str(name): _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    """As JSON has it: null for what is missing, and no more digits than a float32 holds."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return float(f"{value:.7g}") if isinstance(value, float) else value


def shown(told: dict[str, Any]) -> RenderableType:
    """What `story` found, for a terminal."""
    from rich.console import Group

    row, judged, parts = told["row"], told["judged"], []
    facts = [("context", row["context"]), ("item", row["item"])]
    facts += [(name, row[name]) for name in _ROW[3:] if name not in ("context", "item")]
    parts.append(_facts(f"row {told['sample_id']} ({row['split']}, {row['task']})", facts))
    if told["planted"]:
        was = f"planted: the label was {told['planted']['label']:g}"
        parts.append(_line(was if told["planted"]["flipped"] else "not planted: the label is the log's own"))
    if judged is None:
        parts.append(_line(f"rows of the split {row['split']} were not scored in this run"))
    else:
        parts.append(_facts("judgement", list(judged.items())))
        rows = [
            (m["method"], _number(m["value"]), "high" if m["higher_is_better"] else "low",
             f"{m['rank']:.3f}", str(m["rows"]))
            for m in told["methods"]
        ]  # fmt: skip
        parts.append(
            _table("methods", ["method", "value", "good is", "rank", "among"], rows, right=(1, 3, 4))
        )
    if told["arms"]:
        names = list(told["arms"][0])
        parts.append(_table("arms", names, [[_number(a[n]) for n in names] for a in told["arms"]]))
    names = ["", "sample_id", "item", "label", "importance", "decision", "chosen"]
    listed = [
        ("->" if one["this"] else "", one["sample_id"][:12], one["item"], _number(one["label"]),
         _number(one["importance"]), one["decision"] or "", "yes" if one["chosen"] else "")
        for one in told["list"]
    ]  # fmt: skip
    title = f"the list {row['group_id']}: {len(listed)} of {told['list_rows']} rows"
    parts.append(_table(title, names, listed, right=(3, 4)))
    return Group(*parts)


def _facts(title: str, pairs: list[tuple[str, Any]]) -> RenderableType:
    rows = [(name, _number(value)) for name, value in pairs if value is not None and value != ""]
    return _table(title, None, rows)


def _table(title: str, names: list[str] | None, rows: Any, right: tuple[int, ...] = ()) -> RenderableType:
    from rich.table import Table

    table = Table(title=_line(title), title_justify="left", show_header=names is not None)
    for n, name in enumerate(names or ["", ""]):
        table.add_column(name, justify="right" if n in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_line, row))
    return table


def _line(text: str) -> Any:
    """Text as it is: what a log says is neither markup nor an order to the terminal."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() else " " for c in text))


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
