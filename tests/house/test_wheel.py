"""The wheel holds every file of the tree that it should, and works alone."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOPS = ("components", "pipelines", "serving", "examples", "manifests")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    import shutil

    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for top in TOPS:
        shutil.copytree(ROOT / top, source / top, ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source],
        check=True, capture_output=True,
    )  # fmt: skip
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_tree(wheel):
    inside = {n for n in zipfile.ZipFile(wheel).namelist() if n.startswith("assay/")}
    tree = {
        f"assay/{f.relative_to(ROOT).as_posix()}"
        for top in TOPS
        for f in (ROOT / top).rglob("*")
        if f.is_file()
        and "__pycache__" not in f.parts
        and "overlays" not in f.parts
        and not f.name.startswith(".")
    }
    assert inside == tree


@pytest.mark.slow
def test_a_clean_environment_simulates_the_store_from_it(wheel, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    lock = ["-c", ROOT / "requirements.lock"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *lock, wheel], check=True)
    assay = tmp_path / "venv" / "bin" / "assay"
    result = subprocess.run(
        [assay, "data", "--out", tmp_path / "store", "--queries", "30"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert Path(result.stdout.strip()) == tmp_path / "store"
    assert (tmp_path / "store" / "judgments.parquet").is_file()
    # A log is read, and bad input found, with these few packages alone.
    pairs = "".join(f"query {q},item {i},{(q + i) % 3}\n" for q in range(40) for i in range(6))
    (tmp_path / "pairs.csv").write_text(f"query,title,grade\n{pairs}")
    command = [assay, "ingest", "pairs.csv", "--out", "out"]
    subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    assert (tmp_path / "out" / "ledger.json").is_file()
    bad = subprocess.run(
        [assay, "run", "--budget", "lots"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (bad.returncode, "--budget lots" in bad.stderr) == (2, True)
