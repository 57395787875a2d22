"""Claim: a ranker in 8 bits takes at most 0.4 of torch's time, ranks the same, and its batches do not matter.

Work: MiniLM fine-tuned as a cross-encoder on MSRD movie search (the simulated store where ASSAY_DATA is not);
requests of 20 titles of one query, padded to the longest, and of one. One thread, processor time of the
network alone, backends in turn, the order reversed each round; ratios are medians of paired runs. The gate is
that of serving, on all test rows. Beside it: torch with the padding left out as in the exported network, and
onnxruntime's own dynamic quantisation, of the batch and a row at a time.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from arena import WORK, Arena, Method, once, sets
from assay.components.core.manifest import write_json
from assay.components.core.samples import relevance
from assay.serving.engine.backends.choose import BackendSettings
from assay.serving.engine.backends.derived import FILES, FOLDER, Derived
from assay.serving.engine.backends.network import open_network
from assay.serving.engine.backends.onnx_network import OnnxNetwork
from assay.serving.engine.backends.prepare import prepare
from assay.serving.engine.tokens import Tokenizer
from assay.serving.versions.bundle import Bundle, write_bundle
from assay.serving.versions.canary_set import FACTS, FILE
from record import record
from rich.console import Console
from rich.table import Table

QUICK = bool(os.environ.get("QUICK"))
TITLES, REQUESTS, ROUNDS = 20, 12, 4 if QUICK else 12
FULL = Method("all rows", "full", "vectors")
Compute = Callable[[dict[str, np.ndarray]], np.ndarray]


def main() -> None:
    """Train, prepare, measure, print, write."""
    import torch

    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    # A seed whose short training does not fail, as that of seed 0 does: a collapsed ranker's order is noise.
    work = Arena(sets()[0], 0.0, 1, rows=2_460 if QUICK else 6_150, epochs=2 if QUICK else 3)
    trained = work.cell(FULL, "0.3")["ndcg"]
    bundle = bundle_of(work)
    chosen = prepare(bundle.folder, BackendSettings())
    derived = Derived.read(bundle.folder, bundle.sha256)
    assert derived is not None
    networks = opened(bundle)
    lists, alone = requests(work, bundle)
    found = {"20 titles": timed(networks, lists), "one title": timed(networks, alone)}
    apart = {name: by_batch(compute, lists) for name, compute in networks.items()}
    gate = {
        name: {"ndcg": each.value, "torch": each.reference, "logit_off": each.apart, "refused": each.refused}
        for name, each in derived.ranker.items()
        if name != "torch-fp32"
    }
    shown(found, apart)
    print(gate)
    int8 = derived.ranker["onnx-int8"]
    record(
        "backends",
        {
            "set": work.name,
            "ndcg": trained,
            "real_tokens": round(float(np.mean([x["attention_mask"].mean() for x in lists])), 3),
            "milliseconds_a_pair": {k: {name: each[0] for name, each in v.items()} for k, v in found.items()},
            "of_torch": {k: {name: each[1] for name, each in v.items()} for k, v in found.items()},
            "score_depends_on_batch_by": apart,
            "gate": gate,
            "chosen": chosen,
        },
        {
            "onnx-int8 / torch, 20 titles": (found["20 titles"]["onnx-int8"][1], "<=", 0.40),
            "onnx-int8 / torch, one title": (found["one title"]["onnx-int8"][1], "<=", 0.40),
            "onnx-int8, change of nDCG@10": (abs(int8.value - int8.reference), "<=", 0.005),
            "onnx-int8, score by batch": (apart["onnx-int8"], "<=", 1e-5),
        },
    )


def bundle_of(work: Arena) -> Bundle:
    """The trained ranker as a version whose canary set is all test rows."""
    from assay.components.core.ranker import open_ranker

    folder = work.at("backends-bundle")

    def make(out: str) -> None:
        ranker = work.at(f"cells/{FULL.name.replace(' ', '-')}-0.3/model/ranker")
        rows, lists = work.test
        trained = open_ranker(ranker)
        scores = trained.score(trained.tokenise(rows["context"].tolist(), rows["item"].tolist()))
        rows = rows.assign(label=relevance(rows), score=scores.astype(float))
        columns = ["sample_id", "group_id", "context", "item", "label", "score"]
        about = {"metric": "ndcg@10", "relevant_at": lists.relevant_at, "gain": lists.gain, "scale": 0.0}
        with tempfile.TemporaryDirectory() as canary:
            write_json(Path(canary) / FACTS, about)
            rows[columns].to_parquet(Path(canary) / FILE)
            write_bundle(out, "assay-search", "1", ranker, work.at("encoder"), canary)

    once(folder, make)
    return Bundle.open(folder)


def opened(bundle: Bundle) -> dict[str, Compute]:
    """Everything that is measured, by name; torch first."""
    import torch
    from assay.components.core.ranker import open_ranker
    from assay.serving.engine.backends.packed import PackedLogit
    from onnxruntime.quantization import QuantType, quantize_dynamic

    folder, names = bundle.folder / FOLDER, Tokenizer(bundle.ranker).names
    exact = folder / FILES["ranker", "onnx-fp32"]
    dynamic = WORK / "dynamic.onnx"
    quantize_dynamic(
        exact, dynamic, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul", "Gemm"]
    )
    packed = PackedLogit(open_ranker(bundle.ranker).network.model, names).eval()

    def without_padding(inputs: dict[str, np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            return packed(*(torch.as_tensor(inputs[name]) for name in names)).numpy()

    def row_by_row(inputs: dict[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([compute(row) for row in each_row(inputs)])

    compute = OnnxNetwork(dynamic)
    return {
        "torch-fp32": open_network(bundle.ranker, "cross", "torch-fp32"),
        "torch, padding left out": without_padding,
        "onnx-fp32": OnnxNetwork(exact),
        "onnx-int8": OnnxNetwork(folder / FILES["ranker", "onnx-int8"]),
        "onnxruntime dynamic": compute,
        "onnxruntime dynamic, a row a batch": row_by_row,
    }


def each_row(inputs: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Each row of a batch alone, without its padding."""
    lengths = inputs["attention_mask"].sum(1)
    return [
        {name: array[row : row + 1, :length] for name, array in inputs.items()}
        for row, length in enumerate(lengths)
    ]


def requests(work: Arena, bundle: Bundle) -> tuple[list[dict], list[dict]]:
    """Requests of 20 titles and of one, as a network is given them."""
    rows, _ = work.test
    tokenizer = Tokenizer(bundle.ranker)
    groups = [group.head(TITLES) for _, group in rows.groupby("group_id") if len(group) >= TITLES][:REQUESTS]
    pairs = [(group["context"].tolist(), group["item"].tolist()) for group in groups]
    lists = [tokenizer.pad(tokenizer.pairs(*each)) for each in pairs]
    return lists, [tokenizer.pad(tokenizer.pairs(contexts[:1], items[:1])) for contexts, items in pairs]


def timed(networks: dict[str, Compute], batches: list[dict]) -> dict[str, tuple[float, float]]:
    """Milliseconds a pair and the share of torch's, medians of paired runs."""
    names = list(networks)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(ROUNDS + 1):
        for batch in batches:
            for name in names if turn % 2 else names[::-1]:
                started = time.process_time()
                networks[name](batch)
                if turn:
                    seconds[name].append((time.process_time() - started) / len(batch["input_ids"]))
    base = np.array(seconds["torch-fp32"])
    return {
        name: (round(float(np.median(each)) * 1e3, 3), round(float(np.median(np.array(each) / base)), 3))
        for name, each in seconds.items()
    }


def by_batch(compute: Compute, batches: list[dict]) -> float:
    """Largest difference of a row's score in its batch and alone."""
    apart = [
        np.abs(compute(batch) - np.concatenate([compute(row) for row in each_row(batch)])).max()
        for batch in batches
    ]
    return float(max(apart))


def shown(found: dict[str, dict[str, tuple[float, float]]], apart: dict[str, Any]) -> None:
    """Print them."""
    columns = [f"{each}, {what}" for each in found for what in ("ms a pair", "of torch")]
    table = Table("", *columns, "by batch")
    for name in apart:
        figures = [f"{value:.3f}" for each in found.values() for value in each[name]]
        table.add_row(name, *figures, f"{apart[name]:.1g}")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
