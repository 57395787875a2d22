"""What the selection path costs, from how many epochs it pays, and what the proof costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.components.core.manifest import read_manifest


def costs(vectors: str, scores: str, selection: str, models: Mapping[str, str]) -> dict[str, Any]:
    """CPU seconds of the selection path against training on everything, and of the proof, apart.

    Args:
        vectors: What `embed` wrote.
        scores: What `score` wrote.
        selection: What `select` wrote.
        models: {arm as written: model folder of `finetune`}.

    Returns:
        `selection_seconds` and its `parts` (embed, warm_up, measure, score, select); `challenger_seconds`;
        `full_seconds` and `ratio`, the path's share of it, None where it was not measured;
        `break_even_epochs`, as `break_even` says; `proof_seconds` of all other trainings.
    """
    manifests = {arm: read_manifest(folder) for arm, folder in models.items()}
    scored = read_manifest(scores)
    parts = {
        "embed": read_manifest(vectors)["seconds"],
        "warm_up": scored["warm_up_seconds"],
        "measure": scored["measure_seconds"],
        "score": scored["seconds"],
        "select": read_manifest(selection)["seconds"],
    }
    # The ratio is that of the figures beside it, so that a reader finds the same.
    selecting, challenger = round(sum(parts.values()), 1), round(manifests["challenger"]["seconds"], 1)
    full = round(manifests["full"]["seconds"], 1) if "full" in manifests else None
    return {
        "selection_seconds": selecting,
        "challenger_seconds": challenger,
        "full_seconds": full,
        "ratio": round((selecting + challenger) / full, 3) if full else None,
        "proof_seconds": round(sum(m["seconds"] for a, m in manifests.items() if a != "challenger"), 1),
        "parts": {name: round(float(seconds), 1) for name, seconds in parts.items()},
        "break_even_epochs": break_even(selecting, manifests["challenger"], manifests.get("full")),
    }


def break_even(
    selection: float, challenger: Mapping[str, Any], full: Mapping[str, Any] | None
) -> float | None:
    """Epochs from which selecting and training on the selection costs less than training on all rows.

    A training costs a fixed part (imports, the model, the reload) and so much a row and epoch. Two trainings
    of as many epochs differ by their rows alone: the fixed part is the same and falls out.

    Args:
        selection: Seconds, paid once.
        challenger: Manifest of its training.
        full: Of the training on all rows, or None.

    Returns:
        None where training on all rows was not measured, or costs no more.
    """
    if full is None:
        return None
    seen = [_epochs(manifest) * manifest["train_rows"] for manifest in (challenger, full)]
    more_rows, more_seconds = (
        full["train_rows"] - challenger["train_rows"],
        full["seconds"] - challenger["seconds"],
    )
    if more_rows <= 0 or seen[1] <= seen[0] or more_seconds <= 0:
        return None
    return round(selection / (more_seconds / (seen[1] - seen[0]) * more_rows), 2)


def _epochs(manifest: Mapping[str, Any]) -> float:
    """Epochs that a training ran: fewer than it was asked for where it stopped early."""
    return float(manifest["history"][-1]["epoch"])
