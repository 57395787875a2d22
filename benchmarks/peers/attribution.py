"""Peers on the same work: one process each, so that none of them touches ours.

Called by `benchmarks/influence.py` as `attribution.py PEER FOLDER`: the folder holds `model/` (the same
weights; or `ranker/` and `adapter/`) and `work.pt` (train and target rows, padded batch by batch in the same
length-bucketed order).
Writes `PEER.npz`: scores (n,) of the mean target loss, and the CPU seconds of the calls that fit and score.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoModelForSequenceClassification

MASKED = ("input_ids", "attention_mask", "token_type_ids")


class Rows(torch.utils.data.Dataset):
    """Rows already padded to the longest of their batch; peers read them in order."""

    def __init__(self, rows: list[dict[str, torch.Tensor]]):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        return self.rows[i]


def logits_of(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """(b,) of a bare classifier, or of our network with its adapter apart."""
    inputs = {k: batch[k] for k in MASKED}
    return model(inputs) if hasattr(model, "peft_config") else model(**inputs).logits[:, 0]


def summed_loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Binary cross-entropy of the one logit, summed: a mean would weigh rows by their batch's size."""
    logits = logits_of(model, batch)
    return F.binary_cross_entropy_with_logits(logits, batch["labels"], reduction="sum")


def kronfluence(model, work, folder: str, strategy: str = "identity") -> tuple[np.ndarray, dict]:
    """kronfluence, all linear layers (of an adapter: its own), the query gradients aggregated."""
    from kronfluence.analyzer import Analyzer, prepare_model
    from kronfluence.arguments import FactorArguments, ScoreArguments
    from kronfluence.task import Task

    trained = sorted({n.rsplit(".", 1)[0] for n, p in model.named_parameters() if p.requires_grad})

    class Ours(Task):
        def compute_train_loss(self, batch, model, sample=False):
            if not sample:
                return summed_loss(model, batch)
            logits = logits_of(model, batch)
            with torch.no_grad():
                drawn = torch.bernoulli(torch.sigmoid(logits))
            return F.binary_cross_entropy_with_logits(logits, drawn, reduction="sum")

        def compute_measurement(self, batch, model):
            return summed_loss(model, batch)

        def get_influence_tracked_modules(self):
            return trained if hasattr(model, "peft_config") else None

        def get_attention_mask(self, batch):
            return batch["attention_mask"]

    task = Ours()
    analyzer = Analyzer(
        "peer", prepare_model(model, task), task, cpu=True, output_dir=folder, disable_tqdm=True
    )
    size, target_size = work["batch"], work["target_batch"]
    started = time.process_time()
    analyzer.fit_all_factors(
        "factors", dataset=Rows(work["train"]), per_device_batch_size=size,
        factor_args=FactorArguments(strategy=strategy), overwrite_output_dir=True,
    )  # fmt: skip
    fitted = time.process_time()
    analyzer.compute_pairwise_scores(
        "scores", "factors", query_dataset=Rows(work["target"]), train_dataset=Rows(work["train"]),
        per_device_query_batch_size=target_size, per_device_train_batch_size=size,
        score_args=ScoreArguments(aggregate_query_gradients=True), overwrite_output_dir=True,
    )  # fmt: skip
    seconds = {"fit": fitted - started, "score": time.process_time() - fitted}
    scores = analyzer.load_pairwise_scores("scores")["all_modules"][0] / len(work["target"])
    return scores.float().numpy(), seconds


def kronfluence_ekfac(model, work, folder: str) -> tuple[np.ndarray, dict]:
    """The same with EK-FAC."""
    return kronfluence(model, work, folder, "ekfac")


def dattri_llm(model, work, folder: str) -> tuple[np.ndarray, dict]:
    """dattri-llm's TracIn: all pairs of train and target rows, then their mean."""
    from dattri_llm import AttributionArguments, AttributionTask, HookManagerConfig, TracInAttributor

    names = [n for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    arguments = AttributionArguments(
        output_dir=folder, per_device_train_batch_size=work["batch"],
        per_device_eval_batch_size=work["target_batch"],
    )  # fmt: skip
    attributor = TracInAttributor(arguments, task=AttributionTask(loss_func=summed_loss, model=model))
    config = HookManagerConfig(hook_types=dict.fromkeys(names, "linear_io"))
    started = time.process_time()
    _, matrix = attributor.attribute(
        Rows(work["train"]), Rows(work["target"]), hook_config=config
    ).agnostic_matrix()
    seconds = time.process_time() - started
    return torch.as_tensor(matrix).mean(1).float().numpy(), {"fit": 0.0, "score": seconds}


def trak(model, work, folder: str) -> tuple[np.ndarray, dict]:
    """TRAK's featurising of the training rows alone, in the last layer's weights; its scores come on top."""
    from trak import TRAKer
    from trak.modelout_functions import AbstractModelOutput

    class OneLogit(AbstractModelOutput):
        def __init__(self):
            """There is nothing to set up, but TRAK asks to be told so."""

        @staticmethod
        def get_output(model, weights, buffers, input_ids, mask, types, label):
            inputs = {
                "input_ids": input_ids[None],
                "attention_mask": mask[None, None, None],
                "token_type_ids": types[None],
            }
            logit = torch.func.functional_call(model, (weights, buffers), args=(), kwargs=inputs).logits[0, 0]
            return logit * (2 * label - 1)

        def get_out_to_loss_grad(self, model, weights, buffers, batch):
            ids, _, types, label = batch
            mask = (ids != 0).long()
            logits = model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits[:, 0]
            return torch.sigmoid(-logits * (2 * label - 1)).detach()[:, None]

    last = [n for n, _ in model.named_parameters() if ".layer.5." in n]
    tracker = TRAKer(
        model=model, task=OneLogit(), train_set_size=len(work["train"]), device="cpu", proj_dim=64,
        use_half_precision=False, grad_wrt=last, save_dir=folder,
    )  # fmt: skip
    tracker.load_checkpoint(model.state_dict(), model_id=0)
    rows, size = work["train"], work["batch"]
    started = time.process_time()
    for start in range(0, len(rows), size):
        chunk = rows[start : start + size]
        ids, mask, types, labels = (torch.stack([row[k] for row in chunk]) for k in (*MASKED, "labels"))
        # A 2-d mask makes the model look at data, which vmap does not allow.
        spread = (1.0 - mask.float()) * torch.finfo(torch.float32).min
        tracker.featurize(batch=[ids, spread, types, labels], num_samples=len(chunk))
    tracker.finalize_features()
    return np.zeros(0), {"fit": 0.0, "score": time.process_time() - started}


PEERS = {
    "kronfluence": kronfluence,
    "kronfluence_ekfac": kronfluence_ekfac,
    "dattri_llm": dattri_llm,
    "trak": trak,
}


def opened(folder: Path, attention: str) -> nn.Module:
    """The weights to be looked at: a bare classifier, or our ranker's network with its adapter apart."""
    if (folder / "adapter").is_dir():
        from assay.components.core.ranker import open_ranker

        return open_ranker(folder / "ranker", folder / "adapter").network
    return AutoModelForSequenceClassification.from_pretrained(
        folder / "model", dtype=torch.float32, attn_implementation=attention
    )


def main() -> None:
    """Run one peer."""
    peer, folder = sys.argv[1], Path(sys.argv[2])
    work = torch.load(folder / "work.pt", weights_only=False)
    torch.set_num_threads(work["threads"])
    model = opened(folder, "eager" if peer == "trak" else "sdpa").eval()
    with tempfile.TemporaryDirectory() as scratch:
        scores, seconds = PEERS[peer](model, work, scratch)
    np.savez(folder / f"{peer}.npz", scores=scores, **seconds)


if __name__ == "__main__":
    main()
