"""Pictures of the report, as inline SVG."""

from __future__ import annotations

import io
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from assay.components.core.metrics import METRICS, gained
from assay.components.evaluate.comparisons import PLAIN, UNTRAINED

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402 - the backend must be chosen first

GOLD, SLATE, ROSE, PALE = "#b8860b", "#43546a", "#b0413e", "#c9d1da"
_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SLATE,
    "svg.fonttype": "none",
    # A fixed salt and no date: the same evidence draws the same bytes.
    "svg.hashsalt": "assay",
}


def _svg(figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    text = stream.getvalue()
    return text[text.index("<svg") :]


def results_bars(results: dict, metric: str) -> str:
    """A bar a model, the challenger in gold."""
    names = [name for name, values in results.items() if values]
    with plt.rc_context(_STYLE):
        figure, axis = plt.subplots(figsize=(5.2, 0.34 * len(names) + 0.6))
        values = [results[name][metric] for name in names]
        colours = [
            GOLD if name == "challenger" else PALE if name in (*UNTRAINED, *PLAIN) else SLATE
            for name in names
        ]
        axis.barh(names, values, color=colours)
        for row, name in enumerate(names):
            sd = results[name].get("sd")
            axis.text(values[row], row, f" {values[row]:.3f}" + (f" ± {sd:.3f}" if sd else ""), va="center")
        axis.invert_yaxis()
        # A loss has no 1 to be seen against; a kappa may be below 0.
        whole = METRICS[metric].greater_is_better
        axis.set_xlim(min(0.0, min(values)), max(1.0, max(values) * 1.08) if whole else max(values) * 1.25)
        axis.set_xlabel(metric)
        return _svg(figure)


def intervals(comparisons: dict, resampled: str, metric: str = "ndcg@10") -> str:
    """Differences with their 95 % intervals; what crosses 0 shows nothing, gold is for the challenger."""
    shown = {name: c for name, c in comparisons.items() if c}
    with plt.rc_context(_STYLE):
        figure, axis = plt.subplots(figsize=(5.2, 0.4 * len(shown) + 0.7))
        for row, c in enumerate(shown.values()):
            _, low, high = gained(c, metric)
            colour = GOLD if low > 0 else ROSE if high < 0 else SLATE
            axis.plot([c["low"], c["high"]], [row, row], color=colour, linewidth=2.5, solid_capstyle="round")
            axis.plot(c["difference"], row, "o", color=colour)
        axis.axvline(0, color=SLATE, linewidth=0.8)
        axis.set_yticks(range(len(shown)), [name.replace("-", " - ") for name in shown])
        axis.set_ylim(len(shown) - 0.5, -0.5)
        axis.set_xlabel(f"difference, 95 % interval {resampled}")
        return _svg(figure)


def importance_histogram(scores: pd.DataFrame, taken: set[str]) -> str:
    """How importance is spread over chosen rows, rows left out, and rows that look mislabelled."""
    chosen = scores["sample_id"].isin(taken)
    wrong = scores["decision"] != "keep"
    parts = {"chosen": chosen, "left out": ~chosen & ~wrong, "looks mislabelled": ~chosen & wrong}
    with plt.rc_context(_STYLE):
        figure, axis = plt.subplots(figsize=(5.2, 2.4))
        axis.hist(
            [scores.loc[mask, "importance"] for mask in parts.values()],
            bins=np.linspace(0, 1, 31).tolist(),
            stacked=True,
            color=[GOLD, PALE, ROSE],
            label=[f"{name} ({int(mask.sum())})" for name, mask in parts.items()],
        )
        axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        axis.set_xlabel("importance")
        axis.set_ylabel("rows")
        return _svg(figure)


def data_map(dynamics: pd.DataFrame, wrong: set[str]) -> str:
    """Where each row of a training stands: easy at the top, hard at the bottom, undecided to the right.

    Swayamdipta et al. 2020, "Dataset Cartography". Rows that look mislabelled are red: they gather below.
    """
    looks_wrong = dynamics["sample_id"].isin(wrong)
    with plt.rc_context(_STYLE):
        figure, axis = plt.subplots(figsize=(5.2, 3.0))
        for mask, colour, name in ((~looks_wrong, SLATE, "other"), (looks_wrong, ROSE, "looks mislabelled")):
            shown = dynamics[mask]
            axis.plot(
                shown["variability"], shown["confidence"], ".", color=colour, alpha=0.6, markersize=4,
                markeredgewidth=0, label=f"{name} ({len(shown)})",
            )  # fmt: skip
        axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        axis.set_xlabel("variability over epochs")
        axis.set_ylabel("probability of the label")
        axis.set_ylim(0, 1)
        return _svg(figure)


def noise_histogram(scores: pd.DataFrame) -> str:
    """How probable a wrong label is, by decision."""
    with plt.rc_context(_STYLE):
        figure, axis = plt.subplots(figsize=(5.2, 2.4))
        decisions = [d for d in ("keep", "drop", "relabel") if (scores["decision"] == d).any()]
        axis.hist(
            [scores.loc[scores["decision"] == d, "noise"] for d in decisions],
            bins=np.linspace(0, 1, 31).tolist(),
            stacked=True,
            color=[{"keep": PALE, "drop": ROSE, "relabel": GOLD}[d] for d in decisions],
            label=[f"{d} ({int((scores['decision'] == d).sum())})" for d in decisions],
        )
        axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        axis.set_xlabel("probability that the label is wrong")
        axis.set_ylabel("rows")
        return _svg(figure)


def budget_lines(curve: dict[str, Any], colours: dict[str, str]) -> str:
    """A line an arm over the rows it trained on, its interval a band; dotted lines need no training.

    Args:
        curve: As `curve_of` gives it.
        colours: {arm: colour}.
    """
    with plt.rc_context(_STYLE):
        figure, axis = plt.subplots(figsize=(8.6, 4.4))
        for name in dict.fromkeys(point["arm"] for point in curve["points"]):
            mine = [point for point in curve["points"] if point["arm"] == name]
            rows, means, low, high = (
                np.asarray([point[key] for point in mine], dtype=float)
                for key in ("rows", "mean", "low", "high")
            )
            width = 2.4 if name == "challenger" else 1.4
            if len(mine) > 1:
                axis.plot(rows, means, "o-", color=colours[name], linewidth=width, markersize=4, label=name)
                axis.fill_between(rows, low, high, color=colours[name], alpha=0.12, linewidth=0)
            else:
                axis.errorbar(
                    rows, means, [means - low, high - means], fmt="D", color=colours[name], markersize=5,
                    capsize=3, label=name,
                )  # fmt: skip
        for name, value in curve["lines"].items():
            axis.axhline(value, color=SLATE, linewidth=0.9, linestyle=":")
            axis.annotate(name, (1, value), xycoords=("axes fraction", "data"), color=SLATE, va="center")
        axis.set_xlabel("rows trained on")
        axis.set_ylabel(curve["metric"])
        axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5)
        return _svg(figure)


def budget_points(points: list[dict[str, Any]], base: float, metric: str) -> str:
    """A run's arms over the rows they trained on, with intervals; those of as many rows side by side.

    Args:
        points: As `Judged.points` gives them.
        base: What the encoder reaches untrained.
        metric: Name.
    """
    own = {"challenger": (GOLD, "o"), "control": (SLATE, "o"), "full": (SLATE, "D")}
    marks = cycle("s^vP<>*pX")
    step = 0.025 * max(point["rows"] for point in points)
    with plt.rc_context(_STYLE):
        figure, axis = plt.subplots(figsize=(5.2, 2.8))
        seen: dict[int, int] = {}
        for point in points:
            aside = seen[point["rows"]] = seen.get(point["rows"], -1) + 1
            mine = point["arm"] in own
            colour, mark = own[point["arm"]] if mine else (SLATE, next(marks))
            axis.errorbar(
                point["rows"] + step * aside, point["metric"],
                [[point["metric"] - point["low"]], [point["high"] - point["metric"]]],
                linestyle="none", marker=mark, color=colour, markerfacecolor=colour if mine else "white",
                markersize=6, label=point["arm"],
            )  # fmt: skip
        axis.axhline(base, color=SLATE, linewidth=0.9, linestyle=":", label="base")
        axis.set_xlim(left=0)
        axis.set_xlabel("rows trained on")
        axis.set_ylabel(metric)
        axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
        return _svg(figure)


def auto_curve(auto: dict[str, Any]) -> str:
    """The curve of cheap rankers that the budget was read off, its control, and what was chosen.

    Args:
        auto: Facts of the budget `auto`: `curve`, `chosen`, `metric`.
    """
    curve = pd.DataFrame(auto["curve"])
    with plt.rc_context(_STYLE):
        figure, axis = plt.subplots(figsize=(5.2, 2.8))
        for value, low, high, colour, name in (
            ("metric", "low", "high", GOLD, "chosen rows"),
            ("control", "control_low", "control_high", SLATE, "as many at random"),
        ):
            axis.plot(curve["rows"], curve[value], "o-", color=colour, markersize=4, label=name)
            axis.fill_between(curve["rows"], curve[low], curve[high], color=colour, alpha=0.12, linewidth=0)
        axis.axvline(auto["chosen"], color=ROSE, linewidth=1, linestyle="--", label="budget")
        axis.set_xlabel("rows")
        axis.set_ylabel(f"{auto['metric']}, cheap rankers")
        axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        return _svg(figure)
