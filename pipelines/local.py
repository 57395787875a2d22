"""The run itself, in a process of its own: kfp's local runner, then what is left in its folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from assay.components.core.checkpoints import resolve
from assay.components.core.manifest import read_manifest, sha256_of, write_json
from assay.pipelines.launch import CURVE, SUMMARY

STEPS = "steps"


def start_runner(out: Path) -> None:
    """Have kfp's local runner keep its steps in the run's folder, and find those it finished there."""
    from kfp import local

    warnings.filterwarnings("ignore", category=FutureWarning)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(out / STEPS), enable_caching=True)


def draw(out: Path, arguments: dict[str, Any], run_hash: str) -> None:
    """Run the `budget_curve` pipeline and collect its outputs into a folder, the curve last and whole.

    Args:
        out: The curve's folder; steps already finished there are not run again.
        arguments: Of the pipeline.
        run_hash: What the curve is a function of.
    """
    start_runner(out)
    from assay.pipelines.budget_curve import budget_curve

    outputs = budget_curve(**arguments, **weights(arguments, run_hash), run_hash=run_hash).outputs
    folders = {key: Path(value.path) for key, value in outputs.items()}
    for key in ("scores", "selection"):
        replace_file(folders[key] / f"{key}.parquet", out / f"{key}.parquet")
    replace_file(folders["figures"] / "predictions.parquet", out / "predictions.parquet")
    replace_file(folders["report"], out / "report.html")
    replace_folder(folders["samples"], out / "samples")
    replace_file(folders["figures"] / CURVE, out / CURVE)


def run(out: Path, arguments: dict[str, Any], run_hash: str) -> None:
    """Run the `importance` pipeline and collect its outputs into a folder, the summary last and whole.

    Args:
        out: The run's folder; steps already finished there are not run again.
        arguments: Of the pipeline.
        run_hash: What the run is a function of.
    """
    started = time.time()
    start_runner(out)
    from assay.pipelines.importance import importance

    champion = champion_seen(arguments["name"], run_hash)
    task = importance(**arguments, **weights(arguments, run_hash), run_hash=run_hash, champion=champion)
    outputs = task.outputs
    folders = {key: Path(value.path) for key, value in outputs.items() if hasattr(value, "path")}
    for key in ("scores", "selection", "predictions"):
        replace_file(folders[key] / f"{key}.parquet", out / f"{key}.parquet")
    (out / "diagnosis.parquet").unlink(missing_ok=True)
    if (folders["scores"] / "diagnosis.parquet").is_file():
        replace_file(folders["scores"] / "diagnosis.parquet", out / "diagnosis.parquet")
    replace_file(folders["report"], out / "report.html")
    replace_folder(folders["samples"], out / "samples")
    replace_folder(folders["truth"], out / "truth")
    write_json(out / SUMMARY, summary(out, arguments, folders, outputs, started))


def champion_seen(name: str, run_hash: str) -> str:
    """State of the registry on which `evaluate` depends: the champion that this run compares with.

    Where the champion came from this very run, that is the one it replaced, so that the same command again
    finds its evaluation in the cache rather than comparing a model with itself.
    """
    from assay.components.core import tracking

    version = tracking.version_by_alias(tracking.connect(), name, tracking.CHAMPION)
    if version is None:
        return "none"
    if version.tags.get(f"{tracking.TAG}run_hash") == run_hash:
        return str(version.tags.get(f"{tracking.TAG}promoted_from", "none"))
    return str(version.version)


def weights(arguments: dict[str, Any], run_hash: str) -> dict[str, str]:
    """Hashes of what is trained from, and an alias taken for the version it names now.

    A folder may be written anew under its name, and an alias moves: neither may find an older run's results,
    nor may the arms of one run start from different weights.
    """
    from assay.components.core import tracking

    found = {}
    for role in ("encoder", "model", *(["tagger"] if arguments["tagger"] else [])):
        model = arguments[role]
        if model.startswith("models:/") and "@" in model:
            name, alias = model.removeprefix("models:/").split("@")
            version = champion_seen(name, run_hash) if alias == tracking.CHAMPION else None
            if version in (None, "none"):
                version = tracking.named_by(tracking.connect(), name, alias).version
            model = arguments[role] = f"models:/{name}/{version}"
        found[f"{role}_sha256"] = sha256_of(resolve(model))
    return found


def summary(
    out: Path, arguments: dict, folders: dict[str, Path], outputs: dict, started: float
) -> dict[str, Any]:
    """The whole run in one JSON object; schema 1."""
    from assay.components.core import tracking

    evidence = json.loads((folders["evidence"] / "evidence.json").read_text())
    facts = read_manifest(folders["samples"])
    name, version = arguments["name"], str(outputs["version"])
    champion = tracking.version_by_alias(tracking.connect(), name, tracking.CHAMPION)
    is_champion = champion is not None and str(champion.version) == version
    promotion = last_output(out / STEPS, "promote", started)
    gate = evidence["gate"]
    if promotion and not promotion["promoted"]:
        gate = gate | {"reasons": [*gate["reasons"], f"not promoted: {promotion['reason']}"]}
    scored = read_manifest(folders["scores"])
    seconds = {
        "ingest": facts["seconds"],
        "embed": read_manifest(folders["vectors"])["seconds"],
        "warmup": scored["warm_up_seconds"],
        "score": scored["seconds"] + scored["measure_seconds"],
        "select": read_manifest(folders["selection"])["seconds"],
        "finetune": evidence["cost"]["challenger_seconds"] + evidence["cost"]["proof_seconds"],
        "evaluate": read_manifest(folders["evidence"])["seconds"],
        "register": float(outputs["register_seconds"]),
        "promote": float(promotion["seconds"]) if promotion else 0.0,
    }
    seconds = {step: round(value, 1) for step, value in seconds.items()}
    return {
        "schema": 1,
        "task": arguments["task"],
        "seed": arguments["seed"],
        "ranker": arguments["ranker"],
        "data": {
            "sha256": facts["data_sha256"],
            "rows_in": facts["ledger"]["rows_in"],
            "dropped": facts["ledger"]["dropped"],
            "repaired": facts["ledger"]["repaired"],
            "noted": facts["ledger"]["noted"],
        },
        "samples": facts["samples"],
        **{key: evidence[key] for key in ("groups", "budget", "selected", "metric", "gain", "relevant_at")},
        **{key: evidence[key] for key in ("results", "comparisons", "resampled", "verdict")},
        **{
            key: evidence[key]
            for key in ("also", "rare", "full_ranking", "best_arm", "baselines", "noise", "cost", "plans")
        },
        "seconds": seconds | {"total": round(sum(seconds.values()), 1)},
        "wall_seconds": round(time.time() - started, 1),
        "gate": gate,
        "model": {"name": name, "version": version, "alias": "champion" if is_champion else "challenger"},
        "files": {
            "report": str(out / "report.html"),
            "samples": str(out / "samples"),
            "scores": str(out / "scores.parquet"),
            "selection": str(out / "selection.parquet"),
            "predictions": str(out / "predictions.parquet"),
        },
    }


def last_output(steps: Path, task: str, since: float) -> dict[str, Any] | None:
    """Output parameters of a task of this run that is inside a condition, which a pipeline cannot return."""
    found = [
        f
        for f in steps.glob(f"importance-*/**/{task}/executor_output.json")
        if f.stat().st_mtime >= since - 1
    ]
    if not found:
        return None
    newest = max(found, key=lambda f: f.stat().st_mtime)
    return json.loads(newest.read_text()).get("parameterValues")


def replace_file(source: Path, target: Path) -> None:
    """Copy beside and rename."""
    beside = target.with_name(f".{target.name}.partial")
    shutil.copyfile(source, beside)
    os.replace(beside, target)


def replace_folder(source: Path, target: Path) -> None:
    """Copy beside and rename; a folder there before goes first."""
    beside = target.with_name(f".{target.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(source, beside)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(beside, target)


def _die_with_parent() -> None:
    # The launcher may be killed outright: then the kernel tells this process, which takes its group along.
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


PIPELINES = {"importance": run, "budget_curve": draw}

if __name__ == "__main__":
    _die_with_parent()
    request = json.loads(Path(sys.argv[1]).read_text())
    PIPELINES[request["pipeline"]](Path(request["out"]), request["arguments"], request["run_hash"])
