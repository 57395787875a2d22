"""Runs the service on one model version: `assay serve`."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from assay.components.core.errors import BadInput
from assay.serving import environment
from assay.serving.door.keys import Keys
from assay.serving.engine.backends.choose import BackendSettings
from assay.serving.feedback.settings import FeedbackSettings
from assay.serving.limits import Limits
from assay.serving.telemetry.telemetry import Telemetry
from assay.serving.versions.settings import Following

SERVICE = "assay.serving.service:Assay"


def bundles_folder(name: str) -> Path:
    """Where bundles of a registered model are kept: below `ASSAY_CACHE`, else `assay` in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay"
    return Path(os.environ.get(environment.CACHE) or cache) / re.sub(r"[^\w.-]", "_", name)


def serve(
    name: str,
    version: str | None = None,
    host: str = "127.0.0.1",
    port: int = 3000,
    following: Following | None = None,
) -> int:
    """Fetch a registered version, check it, and serve it until a signal comes.

    Where `ASSAY_BUNDLE` names a folder, that bundle is served and the registry is not asked.
    SIGTERM and SIGINT are passed on: the service takes no new request, answers those in flight, and ends.

    Args:
        name: Registered model.
        version: Its number; None for the champion.
        host: Address to listen on.
        port: Port to listen on.
        following: Which versions replace it while it runs; None as the environment says.

    Returns:
        The service's exit code: 0 after a signal that it followed, 1 if it could not start.

    Raises:
        BadInput: There is no such version, no champion, or the bundle is damaged; or the settings contradict
            each other.
        ValueError: The registry's weights are not those that were registered.
        RuntimeError: What computes the bundle could not be made.
    """
    from assay.serving.versions.bundle import Bundle
    from assay.serving.versions.fetch import prepare
    from assay.serving.versions.starting import Started, starting

    # What is wrong is told here, not by a worker that cannot start.
    Limits.from_environment()
    BackendSettings.from_environment()
    Keys.from_environment()
    FeedbackSettings.from_environment()
    Telemetry.from_environment()
    following = following or Following.from_environment()
    folder = os.environ.get(environment.BUNDLE)
    if folder and (following.shares or following.mode != "pinned"):
        raise BadInput(
            f"{environment.BUNDLE} names one bundle, which nothing can replace: unset it to follow"
        )
    if version and following.mode != "pinned":
        raise BadInput(f"version {version} and mode {following.mode}: name a version or follow the champion")
    with _passing_signals_on() as run, contextlib.ExitStack() as served:
        if folder:
            started = Started(Bundle.open(folder), following.environment())
            if version and version != started.bundle.version:
                raise BadInput(
                    f"{environment.BUNDLE} holds version {started.bundle.version}, and version {version} is "
                    "asked for: take another image, or unset one of them"
                )
            prepare(started.bundle)
        else:
            at = re.sub(r"[^\w.-]", "_", f"{host}-{port}")
            started = served.enter_context(starting(name, version, bundles_folder(name), at, following))
        bundle = started.bundle
        what = f"{bundle.name} version {bundle.version} ({bundle.kind})"
        print(f"serving {what} on http://{host}:{port}", file=sys.stderr, flush=True)
        return run(
            [sys.executable, "-m", "bentoml", "serve", SERVICE, "--host", host, "--port", str(port)],
            {
                **os.environ,
                **started.variables,
                environment.BUNDLE: str(bundle.folder.resolve()),
                # BentoML reports each start to its makers unless told not to.
                "BENTOML_DO_NOT_TRACK": "True",
                # Threads for the few texts of a request cost more than the texts.
                "TOKENIZERS_PARALLELISM": os.environ.get("TOKENIZERS_PARALLELISM", "false"),
            },
        )


@contextlib.contextmanager
def _passing_signals_on() -> Iterator[Callable[[list[str], dict[str, str]], int]]:
    """Yields a `run(command, variables) -> exit code`, to whose child SIGTERM and SIGINT are passed."""
    child: subprocess.Popen | None = None
    begun = asked = False

    def stop(number: int, _frame: object) -> None:
        nonlocal asked
        if not begun:
            # Set even so: the first process of a container ignores a signal that it has no handler for.
            raise SystemExit(128 + number)
        asked = True
        if child is not None:
            child.terminate()

    def run(command: list[str], variables: dict[str, str]) -> int:
        nonlocal begun, child
        begun = True
        # In a session of its own: Ctrl-C in a terminal would reach the workers too, before their supervisor.
        child = subprocess.Popen(command, env=variables, start_new_session=True)
        if asked:
            # The signal came while there was no child yet to pass it on to.
            child.terminate()
        code = child.wait()
        if asked:
            # A signal that came before the supervisor had its own handlers ended it all the same.
            return 0 if code in (0, -signal.SIGTERM) else 1
        # Nobody asked it to end.
        return code if code > 0 else 1

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield run
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(arguments: list[str] | None = None) -> int:
    """The command of the container: `python -m assay.serving.run`."""
    name, version = os.environ.get(environment.NAME), os.environ.get(environment.VERSION)
    parser = argparse.ArgumentParser("python -m assay.serving.run", description="Serve a registered version.")
    parser.add_argument("--name", default=name or "assay-search", help=f"also {environment.NAME}")
    parser.add_argument("--version", default=version or None, help=f"also {environment.VERSION}")
    parser.add_argument("--follow", action="store_true", help="serve the champion, whichever it is by now")
    parser.add_argument("--shadow-share", type=float, help="of lists that the challenger scores too; logged")
    parser.add_argument("--canary-share", type=float, help="of requests that the challenger answers")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    given = parser.parse_args(arguments)
    try:
        following = Following.from_environment(
            mode="follow" if given.follow else None,
            shadow_share=given.shadow_share,
            canary_share=given.canary_share,
        )
        return serve(given.name, given.version, given.host, given.port, following)
    except (ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, BadInput) else 1


if __name__ == "__main__":
    sys.exit(main())
