"""Lineage: every output is published whole, with a manifest of what made it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import resource
import shutil
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
_LIBRARIES = ("numpy", "pandas", "pyarrow", "torch", "transformers", "peft", "scikit-learn", "kfp", "mlflow")


def cpu_seconds() -> float:
    """User plus system CPU seconds of this process and of the children it has waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def sha256_of(path: str | Path) -> str:
    """Hex sha256 of a file's bytes, or of a folder's file names and bytes in name order.

    Manifests are left out of a folder's hash: they hold times, the data does not.

    Raises:
        FileNotFoundError: There is nothing at `path`.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: nothing to hash there")
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        if file.name == MANIFEST:
            continue
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def code_version() -> str:
    """Hash of the installed source of the components, 16 hex digits.

    kfp's cache key holds a component's text but not the modules it imports, so an edit would give stale hits.
    """
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def library_versions() -> dict[str, str]:
    """Versions of the libraries that can change a result, where installed."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON beside `path` and rename, so that a reader sees the old file or the new one, never half."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(content, indent=2, sort_keys=False, allow_nan=False) + "\n")
    os.replace(beside, path)


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of a published output."""
    return json.loads((Path(folder) / MANIFEST).read_text())


@contextlib.contextmanager
def publishing(folder: str | Path, **about: Any) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Fill a folder beside its final place, then rename it: an output exists whole or not at all.

    Args:
        folder: The final place; replaced if it exists.
        **about: First entries of the manifest: parameters, seed, sha256 of inputs.

    Yields:
        (beside, manifest): the folder to write into, and a dict that becomes `manifest.json` at the end,
        with the CPU seconds of the whole process so far, imports included, and the wall seconds of the block.
    """
    folder = Path(folder)
    beside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    manifest: dict[str, Any] = dict(about)
    started = time.perf_counter()
    yield beside, manifest
    manifest["code"] = code_version()
    manifest["libraries"] = library_versions()
    manifest["sha256"] = sha256_of(beside)
    manifest["wall_seconds"] = round(time.perf_counter() - started, 3)
    manifest["seconds"] = round(cpu_seconds(), 3)
    write_json(beside / MANIFEST, manifest)
    shutil.rmtree(folder, ignore_errors=True)
    if folder.is_file():
        folder.unlink()
    os.replace(beside, folder)
