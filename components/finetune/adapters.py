"""Adapters by name: what of a ranker is trained, in peft's terms."""

from __future__ import annotations

from collections.abc import Callable

from assay.components.core.ranker import Ranker
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

RANK = 16


def _lora(targets: list[str], head: str) -> LoraConfig:
    # The head is new: unless it is named here, peft freezes it and does not save it. Dropout inside the
    # adapter costs a quarter of a step's time on a processor, and the encoder has its own.
    return LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=targets, modules_to_save=[head])


ADAPTERS: dict[str, Callable[[list[str], str], LoraConfig]] = {"lora": _lora}
"""{name: (names of linear layers, name of the head) -> peft config}."""


def wrap(ranker: Ranker, adapter: str) -> PeftModel:
    """Put an adapter on all linear layers of a ranker but its head, which is trained whole.

    Returns:
        The wrapped network, which is also `ranker.network` from now on.
    """
    head = next(name for name, _ in ranker.network.named_modules() if name.split(".")[-1] == ranker.head)
    targets = [
        name
        for name, module in ranker.network.named_modules()
        if isinstance(module, nn.Linear) and name != head and not name.startswith(f"{head}.")
    ]
    ranker.network = get_peft_model(ranker.network, ADAPTERS[adapter](targets, head))
    return ranker.network


def merge(ranker: Ranker) -> None:
    """Fold the adapter into the weights: `ranker.network` is a plain module again."""
    ranker.network = ranker.network.merge_and_unload()
