"""Start a run in a process group of its own, show its progress, and end it whole."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from assay.components.core.errors import BadInput
from assay.components.core.manifest import write_json
from assay.components.core.progress import MARK
from assay.components.core.tracking import default_uri
from assay.pipelines.preflight import Checked
from filelock import FileLock, Timeout

REQUEST, LOG, LOCK = "run.json", "run.log", ".lock"
SUMMARY, CURVE = "summary.json", "curve.json"
RESULTS = {"importance": SUMMARY, "budget_curve": CURVE}
"""{pipeline: file that says it is finished}."""
_RAISED = re.compile(r"[A-Za-z_][\w.]*(: .*)?$")
"""Last line of a traceback: an exception's name, and what it says."""
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
OURS = (
    *(REQUEST, LOG, SUMMARY, CURVE, "report.html", "samples", "truth", "steps", "work"),
    *("scores.parquet", "selection.parquet", "predictions.parquet", "diagnosis.parquet"),
)
"""What a run writes into its folder, and `--fresh` removes."""
GRACE = 5.0
"""Seconds between asking a run's processes to end and ending them."""


@contextmanager
def claimed(out: Path, fresh: bool, pipeline: str = "importance") -> Iterator[None]:
    """Make a run's folder, or take over the one of an earlier run of the same pipeline, and hold it.

    Raises:
        BadInput: The folder holds something else than such a run, or one that is under way.
    """
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out}: is a file")
    held = {path.name for path in out.iterdir()} - {LOCK} if out.is_dir() else set()
    if held and REQUEST not in held:
        raise BadInput(f"--out {out}: holds something else than a run; name an empty folder")
    if held and _pipeline_of(out) != pipeline:
        raise BadInput(f"--out {out}: holds a run of {_pipeline_of(out)}; name another folder")
    lock = FileLock(out / LOCK, timeout=0)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        for name in OURS if fresh else ():
            shutil.rmtree(out / name) if (out / name).is_dir() else (out / name).unlink(missing_ok=True)
        # Its result says that a run is finished: the one that starts now is not.
        (out / RESULTS[pipeline]).unlink(missing_ok=True)
    except Timeout as error:
        raise BadInput(
            f"--out {out}: a run is under way there; wait for it, or name another folder"
        ) from error
    except OSError as error:
        raise BadInput(f"--out {out}: cannot be written: {error.strerror}") from error
    with lock:
        yield


def _pipeline_of(out: Path) -> str:
    try:
        return str(json.loads((out / REQUEST).read_text()).get("pipeline", "importance"))
    except ValueError:
        # Whoever was killed while it was written left nothing to be mixed up with.
        return "importance"


def launch(checked: Checked, out: Path, stream: IO[str] = sys.stderr) -> int:
    """Run a pipeline to its end.

    Args:
        checked: What to run, and by which pipeline.
        out: Its folder, claimed.
        stream: Where progress goes.

    Returns:
        0 finished, 1 failed, 2 bad input found on the way, 130 interrupted.
    """
    curve = checked.pipeline == "budget_curve"
    given = checked.config.curve_arguments() if curve else checked.config.pipeline_arguments()
    arguments = given | {
        "data": str(Path(checked.config.data).resolve()),
        "store": str(Path(checked.config.store).resolve()) if checked.config.store else "",
        "data_sha256": checked.data_sha256,
        "code": checked.code,
    }
    if arguments["rules"]["attributes"]:
        arguments["rules"]["attributes"] = str(Path(arguments["rules"]["attributes"]).resolve())
    if Path(arguments["mapping"]).is_file():
        arguments["mapping"] = str(Path(arguments["mapping"]).resolve())
    request = {
        "out": str(out.resolve()),
        "pipeline": checked.pipeline,
        "run_hash": checked.run_hash,
        "arguments": arguments,
    }
    write_json(out / REQUEST, request)
    environment = os.environ | {
        "ASSAY_WORK": str((out / "work").resolve()),
        "MLFLOW_TRACKING_URI": default_uri(),
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
        # The local runner starts each task with the `python` it finds.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    if curve:
        # The local runner trains two arms side by side: a thread for each core of each would be too many.
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 2) // 2)))
    with (out / LOG).open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "assay.pipelines.local", str(out / REQUEST)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,
        )
        previous = signal.signal(signal.SIGTERM, _interrupt)
        try:
            last = _follow(process, log, stream)
            code = process.wait()
        except KeyboardInterrupt:
            print("interrupted; the same command goes on from the last finished step", file=stream)
            return 130
        finally:
            end(process)
            signal.signal(signal.SIGTERM, previous)
    if code == 0:
        return 0
    print(f"failed: {last or f'exit code {code}'}\nthe whole log: {out / LOG}", file=stream)
    return 2 if "BadInput" in last else 1


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _follow(process: subprocess.Popen, log: IO[str], stream: IO[str]) -> str:
    """Log every line, show the ones that tell of progress; returns the last line of the last traceback."""
    last, margin, started = "", -1, time.monotonic()
    assert process.stdout is not None
    for raw in process.stdout:
        log.write(raw)
        log.flush()
        line = _ANSI.sub("", raw).rstrip()
        text = line.strip()
        shown = ""
        if text.startswith(MARK):
            _, step, rest = text.split("|", 2)
            shown = f"  {step}: {rest}"
        elif "Executing task" in text:
            shown = text[text.find("Executing task") :]
        if shown:
            print(f"{time.monotonic() - started:6.0f} s {shown}", file=stream, flush=True)
        indent = len(line) - len(text)
        if text.startswith("Traceback (most recent call last)"):
            margin = indent
        # The exception stands at the margin of its traceback, lines of code deeper.
        elif indent == margin and _RAISED.match(text):
            # The step's own error comes first; kfp's, that the step failed, says less.
            last = last if last and "finished with status" in text else text
            margin = -1
    return last


def end(process: subprocess.Popen) -> None:
    """End a run's whole process group: ask, wait, then kill. Nothing is left alive."""
    for sign, grace in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        try:
            os.killpg(process.pid, sign)
        except (ProcessLookupError, PermissionError):
            break
        until = time.monotonic() + grace
        while time.monotonic() < until and _alive(process):
            time.sleep(0.05)
    process.wait()


def _alive(process: subprocess.Popen) -> bool:
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
