"""The three rules of the house: core knows no step, a step no other step, and nothing knows the pipelines."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STEPS = sorted(
    p.name for p in (ROOT / "components").iterdir() if p.is_dir() and p.name not in ("core", "__pycache__")
)
SOURCES = sorted(
    f for top in ("components", "pipelines", "serving", "examples") for f in (ROOT / top).rglob("*.py")
)


def imported(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            dots = node.level
            if dots:
                package = ("assay", *file.relative_to(ROOT).parts[:-1])
                prefix = ".".join(package[: len(package) - dots + 1])
                found.add(f"{prefix}.{node.module}" if node.module else prefix)
            else:
                found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def may_not(file: Path) -> tuple[str, ...]:
    top, *rest = file.relative_to(ROOT).parts
    outside = ("assay.pipelines", "assay.serving", "assay.examples")
    if top == "components":
        others = STEPS if rest[0] == "core" else [s for s in STEPS if s != rest[0]]
        return (*outside, *(f"assay.components.{s}" for s in others))
    if top == "serving":
        return ("assay.pipelines", "assay.examples", *(f"assay.components.{s}" for s in STEPS))
    if top == "examples":
        return ("assay.components", "assay.pipelines", "assay.serving")
    return ()


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_run_one_way(file):
    found = imported(file)
    # A second copy of the package would be loaded under another name.
    assert not {
        n for n in found if n.split(".")[0] in ("components", "pipelines", "serving", "examples", "manifests")
    }
    for name in may_not(file):
        assert not {n for n in found if n == name or n.startswith(f"{name}.")}, name


def test_a_step_has_its_face_its_readme_and_its_metadata():
    assert STEPS == ["embed", "evaluate", "finetune", "ingest", "promote", "register", "score", "select"]
    for step in STEPS:
        for name in ("component.py", "README.md", "metadata.yaml"):
            assert (ROOT / "components" / step / name).is_file(), f"{step}/{name}"


def test_components_stay_thin_and_import_nothing_heavy():
    for step in STEPS:
        tree = ast.parse((ROOT / "components" / step / "component.py").read_text())
        top = {n.module if isinstance(n, ast.ImportFrom) else n.names[0].name for n in tree.body
               if isinstance(n, ast.Import | ast.ImportFrom)}  # fmt: skip
        assert top <= {"kfp", "typing", "assay.components.core.images"}, step
        functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
        assert functions, step
        for function in functions:
            body = [
                n
                for n in function.body
                if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))
            ]
            assert body[-1].end_lineno - body[0].lineno < 25, function.name
