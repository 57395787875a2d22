"""Scores -> selection: which training rows each arm trains on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from assay.components.core.arms import Arm, parse_arm
from assay.components.core.errors import BadInput
from assay.components.core.manifest import read_manifest
from assay.components.core.samples import read_samples
from assay.components.select.arms import CHALLENGER, Arms, as_it_is, blocks_of
from assay.components.select.budget import Measured, parse_budget
from assay.components.select.challenger import columns_read
from assay.components.select.rules import Rules
from assay.components.select.scored import IDS, draws, first, publish, read_scored

OWN = ("challenger", "control", "full")
"""Arms that are no baseline."""


def warm_up_shares(
    samples_folder: str, selection_folder: str, share: float, seed: int, arms: Sequence[str] = ("a", "b")
) -> int:
    """Two disjoint random shares of the training rows, as arms `a` and `b`; and the target, where asked for.

    Args:
        samples_folder: A sample table.
        selection_folder: Gets the selection.
        share: Of the training rows, each.
        seed: Of the draw.
        arms: With `target` among them, all rows of the target are an arm of that name.

    Returns:
        Rows a share.
    """
    rows = read_samples(samples_folder, ["train"], [*IDS, "label"])
    count = max(1, min(len(rows) // 2, math.floor(share * len(rows) + 0.5)))
    drawn = first(draws(rows["sample_id"], f"assay-warm-up-{seed}"), 2 * count)
    blocks = {
        arm: blocks_of(rows, np.sort(half), as_it_is(rows, "random", "drawn at random for a warm-up"))
        for arm, half in (("a", drawn[:count]), ("b", drawn[count:]))
    }
    if "target" in arms:
        target = read_samples(samples_folder, ["target"], [*IDS, "label"])
        every = np.arange(len(target))
        blocks["target"] = blocks_of(target, every, as_it_is(target, "target", "a row of the target"))
    about = {"share": share, "seed": seed, "selected": count}
    publish(selection_folder, blocks, read_manifest(samples_folder), about)
    return count


def select(
    samples_folder: str,
    scores_folder: str,
    selection_folder: str,
    arms: Sequence[str],
    budget: str,
    seed: int,
    vectors_folder: str = "",
    rules: Rules | None = None,
) -> dict:
    """Publish the rows of each arm, and under arm `none` those the challenger leaves out.

    Where near-duplicates are collapsed, `conflicts.parquet` tells whose labels differ, as `conflicts` says.

    Every arm but `full`, and those that hold rows of the target, has exactly as many rows as its budget says;
    of a budget in tokens each has as many as fit. `control` is drawn uniformly from all training rows, before
    any cut. Where lists are taken whole, the others have as many rows as the challenger.

    Args:
        samples_folder: A sample table.
        scores_folder: What `score` wrote.
        selection_folder: Gets the selection.
        arms: As `parse_arm` reads them: challenger, control, full, or a name of `BASELINES`.
        budget: As `parse_budget` reads it, of arms without one of their own.
        seed: Of random draws; repeat k of an arm draws by seed + k.
        vectors_folder: What `embed` wrote; for baselines, coverage, near-duplicates and the budget `auto`.
        rules: How the challenger is chosen; the plainest if None.

    Returns:
        {"selected": rows of the challenger at `budget`}.

    Raises:
        BadInput: An arm, a budget or a rule cannot be held.
    """
    rules = rules or Rules()
    parsed = [parse_arm(arm) for arm in arms]
    _check(parsed)
    rows = read_scored(samples_folder, scores_folder, columns_read(rules))
    chosen = Arms((samples_folder, scores_folder, vectors_folder), rows, rules, budget, seed)
    counts, selected = {str(arm): chosen.size(arm) for arm in parsed}, chosen.size(CHALLENGER)
    blocks, given = {str(arm): chosen.blocks(arm) for arm in parsed}, parse_budget(budget)
    about = {
        "budget": str(given) if isinstance(given, Measured) else given,
        "selected": selected,
        "seed": seed,
        "arms": list(arms),
        "rows": counts,
        "rules": asdict(rules),
        "facts": chosen.facts,
        "scores_sha256": read_manifest(scores_folder)["sha256"],
    }
    blocks |= {"none": chosen.left_out()}
    publish(selection_folder, blocks, read_manifest(samples_folder), about, chosen.conflicts)
    return {"selected": selected}


def _check(arms: Sequence[Arm]) -> None:
    """See that the arms are known before anything is read.

    Raises:
        BadInput: One is none, or is there twice.
    """
    from assay.components.select.baselines import BASELINES

    for arm in arms:
        if arm.name not in (*OWN, *BASELINES):
            raise BadInput(f"arm {arm}: no arm of that name; known: {', '.join([*OWN, *BASELINES])}")
        if arm.budget and arm.name == "full":
            raise BadInput(f"arm {arm}: full is all rows, whatever the budget; leave it out")
        if arm.budget:
            parse_budget(arm.budget)
    if len(set(map(str, arms))) < len(arms):
        raise BadInput(f"arms {', '.join(map(str, arms))}: name each once")
