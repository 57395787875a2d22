"""The command line: `assay run | curve | report | why | export | compile | promote | serve | ...`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from assay.components.core.errors import BadInput
from assay.pipelines.config import RunConfig, load_config
from assay.pipelines.settings import Curve

app = typer.Typer(
    help="Find out which rows of a behaviour log are worth training a ranker on, and prove it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
Name = Annotated[str, typer.Option(help="Registered model.")]
_NAME = "assay-search"


def _option(field: str, *names: str, **more: Any) -> Any:
    """An option that overrides a field of the configuration; its help and default are the field's."""
    about = (Curve.model_fields | RunConfig.model_fields)[field]
    default = ",".join(about.default) if isinstance(about.default, list) else about.default
    shown = "" if default in ("", 0, 0.0, False, {}, None) else f" [default: {default}]"
    return typer.Option(
        *(names or (f"--{field.replace('_', '-')}",)), help=f"{about.description}{shown}", **more
    )


@app.command()
def run(
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings; options given here override it.")
    ] = None,
    data: Annotated[str | None, _option("data")] = None,
    task: Annotated[str | None, _option("task")] = None,
    columns: Annotated[str | None, _option("columns")] = None,
    max_grade: Annotated[float | None, _option("max_grade")] = None,
    relevant_at: Annotated[float | None, _option("relevant_at")] = None,
    gain: Annotated[str | None, _option("gain")] = None,
    split_column: Annotated[str | None, _option("split_column")] = None,
    sample: Annotated[int | None, _option("sample")] = None,
    test_sample: Annotated[int | None, _option("test_sample")] = None,
    budget: Annotated[str | None, _option("budget")] = None,
    noise: Annotated[float | None, _option("noise")] = None,
    with_full: Annotated[bool | None, _option("with_full", "--with-full")] = None,
    baselines: Annotated[str | None, _option("baselines")] = None,
    seeds: Annotated[int | None, _option("seeds")] = None,
    plan: Annotated[str | None, _option("plan")] = None,
    score_splits: Annotated[str | None, _option("score_splits")] = None,
    store: Annotated[str | None, _option("store")] = None,
    no_control: Annotated[
        bool, typer.Option("--no-control", help="skip the proof; the verdict is `unproven`")
    ] = False,
    drop_unlabelled: Annotated[bool | None, _option("drop_unlabelled", "--drop-unlabelled")] = None,
    ranker: Annotated[str | None, _option("ranker")] = None,
    model: Annotated[str | None, _option("model")] = None,
    name: Annotated[str | None, _option("name")] = None,
    epochs: Annotated[int | None, _option("epochs")] = None,
    learning_rate: Annotated[float | None, _option("learning_rate")] = None,
    seed: Annotated[int | None, _option("seed")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting of the file, as NAME=VALUE, e.g. gates.slice_floor=0.05."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run [default: runs/<hash of the run>].")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget the steps an earlier run finished there.")
    ] = False,
) -> None:
    """From a log to a champion: score, select, fine-tune, prove, register, promote.

    Without --data it runs on a simulated store. Started again after an interruption, it goes on from the last
    finished step. The last line on stdout is the path of summary.json; progress goes to stderr.

    Exit codes: 0 finished, also when the gate refuses; 1 failed; 2 bad input; 130 interrupted.

    Example: assay run --data pairs.csv --columns query=q,item=title+brand,label=grade --budget 0.3
    """
    given = {
        k: v
        for k, v in locals().items()
        if k not in ("config", "no_control", "set_", "out", "fresh") and v is not None
    }
    if no_control:
        given["control"] = False
    _start("importance", config, given, set_ or [], out, fresh)


@app.command()
def curve(
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings; options given here override it.")
    ] = None,
    data: Annotated[str | None, _option("data")] = None,
    task: Annotated[str | None, _option("task")] = None,
    columns: Annotated[str | None, _option("columns")] = None,
    max_grade: Annotated[float | None, _option("max_grade")] = None,
    relevant_at: Annotated[float | None, _option("relevant_at")] = None,
    gain: Annotated[str | None, _option("gain")] = None,
    split_column: Annotated[str | None, _option("split_column")] = None,
    sample: Annotated[int | None, _option("sample")] = None,
    test_sample: Annotated[int | None, _option("test_sample")] = None,
    arms: Annotated[str | None, _option("arms")] = None,
    budgets: Annotated[str | None, _option("budgets")] = None,
    seeds: Annotated[int | None, _option("seeds")] = None,
    epsilon: Annotated[float | None, _option("epsilon")] = None,
    plan: Annotated[str | None, _option("plan")] = None,
    noise: Annotated[float | None, _option("noise")] = None,
    store: Annotated[str | None, _option("store")] = None,
    drop_unlabelled: Annotated[bool | None, _option("drop_unlabelled", "--drop-unlabelled")] = None,
    ranker: Annotated[str | None, _option("ranker")] = None,
    model: Annotated[str | None, _option("model")] = None,
    name: Annotated[str | None, _option("name")] = None,
    epochs: Annotated[int | None, _option("epochs")] = None,
    learning_rate: Annotated[float | None, _option("learning_rate")] = None,
    seed: Annotated[int | None, _option("seed")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting of the file, as NAME=VALUE, e.g. rules.noisy=relabel."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the curve.")] = Path("runs/curve"),
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget the steps an earlier curve finished there.")
    ] = False,
) -> None:
    """How many rows are enough: train every arm on every budget, and draw the curve.

    Without --data it runs on a simulated store. Started again, with the same arms and budgets or with more,
    it trains only what is missing. The last line on stdout is the path of curve.json; progress goes to
    stderr.

    Exit codes: 0 finished; 1 failed; 2 bad input; 130 interrupted.

    Example: assay curve --arms challenger,control,stratified,full --budgets 0.1,0.3,0.5 --seeds 3
    """
    given = {
        k: v for k, v in locals().items() if k not in ("config", "set_", "out", "fresh") and v is not None
    }
    of_curve = [f"curve.{name}={given.pop(name)}" for name in Curve.model_fields if name in given]
    _start("budget_curve", config, given, [*of_curve, *(set_ or [])], out, fresh)


def _start(
    pipeline: str,
    file: Path | None,
    given: dict[str, Any],
    settings: list[str],
    out: Path | None,
    fresh: bool,
) -> None:
    """Check, claim the folder, run the pipeline, show what came out, and exit with its code."""
    if given.get("data") == "":
        raise BadInput("--data: is empty; leave it out for the simulated store")
    from assay.pipelines.launch import RESULTS, claimed, launch
    from assay.pipelines.preflight import check

    checked = check(load_config(file, given, settings), pipeline)
    folder = out or Path("runs") / checked.run_hash
    with claimed(folder, fresh, pipeline):
        for note in checked.notes:
            print(note, file=sys.stderr)
        code = launch(checked, folder)
    if code == 0:
        report(folder)
        print(folder / RESULTS[pipeline])
    raise typer.Exit(code)


@app.command()
def ingest(
    files: Annotated[
        list[str], typer.Argument(help="Files, folders or globs, plain or compressed, local or s3://.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the samples [default: runs/<name of the first file>].")
    ] = None,
    task: Annotated[str, _option("task")] = "search",
    columns: Annotated[str | None, _option("columns")] = None,
    format_: Annotated[str, _option("format")] = "",
    mapping: Annotated[str, _option("mapping")] = "",
    max_grade: Annotated[float, _option("max_grade")] = 0.0,
    relevant_at: Annotated[float, _option("relevant_at")] = 0.0,
    split_column: Annotated[str, _option("split_column")] = "",
    sample: Annotated[int, _option("sample")] = 0,
    test_sample: Annotated[int, _option("test_sample")] = 0,
    drop_unlabelled: Annotated[bool, _option("drop_unlabelled", "--drop-unlabelled")] = False,
    shards: Annotated[int, _option("shards")] = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A setting of the policy, as policy.NAME=VALUE, e.g. policy.predict=action."
        ),
    ] = None,
    append: Annotated[
        bool,
        typer.Option(
            "--append",
            help="Keep what is read, and add to what --out holds; a file read before adds nothing.",
        ),
    ] = False,
    late_days: Annotated[
        float,
        typer.Option(min=0, help="With --append: drop rows so many days before what was there; 0 is none."),
    ] = 0.0,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say which reader each file has and why, and stop.")
    ] = False,
) -> None:
    """Read a log of any known format, clean it, and write the samples of a task and the ledger.

    Every row is accounted for in ledger.json: rows in = rows out + rows dropped, by reason. The last line on
    stdout is its path.

    Exit codes: 0 finished; 2 bad input.

    Example: assay ingest ubi_queries.jsonl.gz ubi_events.jsonl.gz --task search --out runs/ubi
    """
    from assay.pipelines.ingesting import LEDGER, explained, ingested, shown

    given = {
        "task": task,
        "format": format_,
        "mapping": mapping,
        "max_grade": max_grade,
        "relevant_at": relevant_at,
        "split_column": split_column,
        "sample": sample,
        "test_sample": test_sample,
        "drop_unlabelled": drop_unlabelled,
        "shards": shards,
        **({"columns": columns} if columns else {}),
    }
    config = load_config(None, given, set_ or [])
    if explain:
        for line in explained(files, config):
            print(line)
        return
    folder = out or Path("runs") / Path(files[0]).name.partition(".")[0]
    ledger = ingested(files, config, folder, append, late_days)
    shown(ledger)
    print(folder / LEDGER)


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="Folder of a finished run or curve.")] = Path("runs/demo"),
) -> None:
    """Show the results of a finished run or curve, and where its report is."""
    from assay.pipelines.launch import CURVE
    from assay.pipelines.shown import show_curve, show_run

    show_curve(out) if (out / CURVE).is_file() else show_run(out)


@app.command()
def why(
    sample_id: Annotated[str, typer.Argument(help="Of any split; as much of it as no other id starts with.")],
    out: Annotated[Path, typer.Option(help="Folder of a finished run or curve.")] = Path("runs/demo"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell the whole story of one row: texts, scores, decision, who trains on it and why, and its list."""
    from assay.pipelines.why import shown, story
    from rich.console import Console

    told = story(out, sample_id)
    if as_json:
        print(json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        Console(width=None if sys.stdout.isatty() else 110).print(shown(told))


@app.command()
def export(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_FOLDER", help="Folder of a finished run or curve, or its name under runs/."
        ),
    ],
    to: Annotated[str, typer.Option("--to", help="Format: bge, sentence-transformers or trec.")],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder to write; or a file, .jsonl of bge, .parquet (pairs) of sentence-transformers, .txt "
            "(qrels) of trec. Must not exist."
        ),
    ],
    arm: Annotated[str, typer.Option(help="Whose rows, as the report names it.")] = "challenger",
) -> None:
    """Write the rows that an arm trains on in the format of another trainer: the chosen subset, elsewhere.

    The labels are the selection's, corrected where it corrected them; weights have no place in these formats.
    The last line on stdout is what was written.

    Exit codes: 0 written; 2 bad input, and nothing is written.

    Example: assay export runs/demo --to bge --arm challenger --out chosen.jsonl
    """
    from assay.pipelines.exporting import exported

    counts = exported(run, to, arm, out)
    files = ", ".join(counts.pop("files"))
    said = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())
    print(f"{arm} as {to}: {said}; {files}", file=sys.stderr)
    print(out)


@app.command("compile")
def compile_(out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("pipelines")) -> None:
    """Compile the pipelines to the YAML that Kubeflow runs: importance, budget_curve, ingest_log."""
    from assay.pipelines.compiled import compile_pipelines

    for file in compile_pipelines(out):
        print(file)


@app.command()
def promote(
    name: Name = _NAME,
    version: Annotated[str | None, typer.Option(help="Which version [default: the challenger].")] = None,
) -> None:
    """Make a version champion, if its gate passed; refused otherwise, with the reason and exit code 1."""
    from assay.components.core import tracking
    from assay.components.promote.promote import promote_by_hand

    client = tracking.connect()
    outcome = promote_by_hand(client, name, version)
    word = "champion" if outcome["promoted"] else "refused"
    print(f"{name} version {outcome['version']}: {word} ({outcome['reason']})")
    raise typer.Exit(0 if outcome["promoted"] else 1)


@app.command()
def rollback(name: Name = _NAME) -> None:
    """Make the previous champion champion again."""
    from assay.components.promote.promote import Refused
    from assay.components.promote.promote import rollback as run_rollback

    try:
        now, was = run_rollback(name)
    except Refused as refusal:
        print(f"{name}: refused ({refusal})", file=sys.stderr)
        raise typer.Exit(1) from refusal
    print(f"{name}: version {now} is champion again, version {was} was")


@app.command()
def serve(
    name: Name = _NAME,
    version: Annotated[str | None, typer.Option(help="Which version [default: the champion].")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 3000,
    follow: Annotated[bool, typer.Option("--follow", help="Swap to each new champion.")] = False,
    shadow_share: Annotated[
        float | None, typer.Option(help="Share of lists that the challenger scores too; only logged.")
    ] = None,
    canary_share: Annotated[
        float | None, typer.Option(help="Share of requests that the challenger answers.")
    ] = None,
) -> None:
    """Serve the champion: /rank, /v1/rerank, /score, /embed, /feedback, /info, /livez, /readyz, /metrics."""
    from assay.serving.run import serve as run_serve
    from assay.serving.versions.settings import Following

    try:
        mode = "follow" if follow else None
        following = Following.from_environment(
            mode=mode, shadow_share=shadow_share, canary_share=canary_share
        )
        code = run_serve(name, version, host, port, following)
    except (ValueError, RuntimeError) as error:
        if isinstance(error, BadInput):
            raise
        print(f"failed: {error}", file=sys.stderr)
        code = 1
    raise typer.Exit(code)


@app.command()
def bundle(
    name: Name = _NAME,
    version: Annotated[str | None, typer.Option(help="Which version [default: the champion].")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the build context [default: runs/bundle, or none with --image alone]."),
    ] = None,
    variant: Annotated[str, typer.Option(help="cpu or gpu.")] = "cpu",
    from_registry: Annotated[
        bool,
        typer.Option(
            "--from-registry", help="Leave the weights out: the container fetches a version from MLflow."
        ),
    ] = False,
    image: Annotated[
        str | None, typer.Option(help="Image, with tag or digest: writes the kustomize overlay that runs it.")
    ] = None,
    overlay: Annotated[Path, typer.Option(help="Folder of the overlay.")] = Path(
        "manifests/overlays/champion"
    ),
) -> None:
    """Write what a container of a version is built from, a bento too; and what Kubernetes runs it by.

    The context holds a Containerfile, code, weights, pinned requirements and an SBOM; its README has the next
    commands. The overlay pins image and model version. The last lines on stdout are the folders.

    Exit codes: 0 written; 1 failed; 2 bad input.

    Example: assay bundle --name assay-search --variant cpu --out runs/bundle
    """
    from assay.pipelines.bundling import bundled

    try:
        written = bundled(name, version, out, variant, from_registry, image, overlay)
    except (ValueError, RuntimeError) as error:
        if isinstance(error, BadInput):
            raise
        print(f"failed: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    for folder in written:
        print(folder)


@app.command()
def data(
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("runs/store"),
    queries: Annotated[int, typer.Option(help="Distinct queries; each has 20 judged items.")] = 450,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    label_noise: Annotated[float, typer.Option(help="Share of judgments to plant wrong grades in.")] = 0.0,
) -> None:
    """Write the simulated store: judgments, search events, sessions, reviews, ads, and the truth apart."""
    from assay.examples.store import StoreConfig, simulate, write

    try:
        write(simulate(StoreConfig(queries=queries, seed=seed, label_noise=label_noise)), out)
    except ValueError as error:
        raise BadInput(f"assay data: {error}") from error
    print(out)


@app.command()
def erase(
    user: Annotated[str, typer.Option(help="Id of the user, as the log has it.")],
    runs: Annotated[Path, typer.Option(help="Folder that holds the runs.")] = Path("runs"),
    key_file: Annotated[
        Path | None, typer.Option(help="File of the key of pseudonyms [default: ASSAY_ID_KEY, if set].")
    ] = None,
) -> None:
    """Forget a user: rows, samples and texts in every file under a folder of runs, and prove it.

    Exit codes: 0 nothing is left; 1 something is, and where; 2 bad input.
    """
    from assay.components.ingest.privacy import KEY, KEY_FILE, id_key
    from assay.pipelines.erase import erase as run_erase
    from assay.pipelines.erase import told

    key = id_key(key_file) if key_file or os.environ.get(KEY) or os.environ.get(KEY_FILE) else None
    if key is None:
        print(f"no {KEY} is set: the id is looked for, its pseudonym is not", file=sys.stderr)
    done = run_erase(user, runs, key)
    print(told(done))
    raise typer.Exit(1 if done.left else 0)


def main() -> None:
    """Entry point: a bad input is one clear line and exit code 2."""
    try:
        app()
    except BadInput as error:
        print(f"bad input: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
