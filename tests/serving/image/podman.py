"""podman as the container tests use it: whatever machine they run on, without root's privileges inside."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

CONF = """\
[containers]
default_ulimits = ["nofile=1000:1000", "nproc=1000:1000"]
[engine]
cgroup_manager = "cgroupfs"
"""
"""Limits that a machine without CAP_SYS_RESOURCE grants too, and no systemd."""

HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop=all", "--security-opt", "no-new-privileges")


@dataclass(frozen=True)
class Podman:
    """The command.

    Args:
        conf: Its `containers.conf`.
    """

    conf: Path

    @classmethod
    def found(cls, folder: Path) -> Podman | None:
        """podman with a configuration in that folder; None where there is none or it does not work."""
        if shutil.which("podman") is None:
            return None
        conf = folder / "containers.conf"
        # crun of Debian 12 refuses hosts whose cgroups are of both versions.
        conf.write_text(CONF + ('runtime = "runc"\n' if shutil.which("runc") else ""))
        podman = cls(Path(os.environ.get("CONTAINERS_CONF", conf)))
        return podman if podman.run("info", check=False).returncode == 0 else None

    def run(
        self, *arguments: str | Path, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess:
        """Run a command; fail with what it said."""
        done = subprocess.run(
            ["podman", *map(str, arguments)],
            env={**os.environ, "CONTAINERS_CONF": str(self.conf)},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stdout[-4000:] + done.stderr[-4000:]
        return done

    def base_image(self) -> str | None:
        """An image with the Python of ours: `ASSAY_TEST_BASE_IMAGE`, or the first that is here."""
        if named := os.environ.get("ASSAY_TEST_BASE_IMAGE"):
            return named
        listed = self.run(
            "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "dangling=false"
        ).stdout
        for image in listed.split():
            name = image.rpartition("/")[2]
            if name.startswith(("python:", "debian")) and self._has_python(image):
                return image
        return None

    def _has_python(self, image: str) -> bool:
        asked = (
            "run",
            "--rm",
            "--network=none",
            "--entrypoint",
            "python3.11",
            image,
            "-c",
            "import ensurepip",
        )
        return self.run(*asked, check=False).returncode == 0

    def build(self, context: Path, tag: str, base: str, scratch: Path) -> None:
        """Build a context as its README says, with this machine's own settings of pip."""
        command = ["build", "--isolation", "chroot", "--network", "host", "--layers=false", "-t", tag]
        command += ["--build-arg", f"BASE_IMAGE={base}", *_pip_of_this_machine(scratch), str(context)]
        self.run(*command, timeout=580)

    def wait_until_ready(self, container: str, url: str, seconds: float = 120) -> None:
        """Return when `/readyz` says so; fail with the log where the container ended or took too long."""
        for _ in range(int(seconds / 0.2)):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                    return
            assert self.inspect(container)["State"]["Running"], self.logs(container)
            time.sleep(0.2)
        raise AssertionError(f"not ready after {seconds} s:\n{self.logs(container)}")

    def inspect(self, container: str) -> dict:
        """What podman knows of a container or an image."""
        return json.loads(self.run("inspect", container).stdout)[0]

    def logs(self, container: str) -> str:
        """What it said."""
        done = self.run("logs", container)
        return done.stdout + done.stderr


def _pip_of_this_machine(scratch: Path) -> list[str]:
    """Options that mount pip's configuration and the local files that it names; none where there is none."""
    told = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True)
    settings: dict[str, str] = {}
    for line in told.stdout.splitlines():
        key, _, value = line.partition("=")
        settings[key.rpartition(".")[2]] = value.strip("'\"")
    if not settings:
        return []
    conf = scratch / "pip.conf"
    conf.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))
    options = ["--volume", f"{conf}:/etc/pip.conf:ro"]
    mounted = set()
    for word in " ".join(settings.values()).split():
        path = Path(word.removeprefix("file://"))
        if path.is_absolute() and path.exists():
            mounted.add(path.parent if path.is_file() else path)
    for path in sorted(mounted):
        options += ["--volume", f"{path}:{path}:ro"]
        # An index of local files names files beside it.
        if path.name == "simple":
            options += ["--volume", f"{path.parent}:{path.parent}:ro"]
    return options
