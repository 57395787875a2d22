"""Recommendations are ranked over the whole catalogue: never against negatives that were drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from assay.components.core.full_ranking import Catalogue
from assay.components.core.ranker import open_ranker
from assay.components.core.ranker.batches import TOKEN_BUDGET, bucketed
from assay.components.core.samples import hash_unit
from assay.components.core.vectors import PAIRS, SAMPLE_IDS, TEXTS
from assay.components.evaluate.baselines import bm25_of_all, item_knn

FIRST = 10
"""Ranks that a metric looks at."""
RERANKED = 50
"""Items that a cross-encoder ranks anew: the first of item-kNN."""


class FullRanking:
    """Test lists and the items they are ranked over, in an order of their own that breaks ties.

    Args:
        catalogue: Of the sample table.
        test: Its test rows: group_id, context, item_id of what is right.
    """

    def __init__(self, catalogue: Catalogue, test: pd.DataFrame):
        """Put the items in the order of a hash, so that no tie favours the first of the alphabet."""
        order = np.argsort(hash_unit(catalogue.items["item_id"].tolist(), "assay-catalogue-1"), kind="stable")
        self.items = catalogue.items.iloc[order].reset_index(drop=True)
        self.lists = test.drop_duplicates("group_id").reset_index(drop=True)
        self.contexts: list[str] = self.lists["context"].tolist()
        self.texts: list[str] = self.items["item"].tolist()
        place = pd.Series(self.items.index, index=self.items["item_id"])
        number = pd.Series(self.lists.index, index=self.lists["group_id"])
        seen = catalogue.seen[catalogue.seen["group_id"].isin(number.index)]
        self._known = number[seen["group_id"]].to_numpy(), place[seen["item_id"]].to_numpy()
        self._right = number[test["group_id"]].to_numpy(), place[test["item_id"]].to_numpy()
        self.knn = item_knn(
            catalogue.interactions, seen, self.lists["group_id"].tolist(), self.items["item_id"].tolist()
        )

    def baselines(self, vectors_folder: str) -> dict[str, np.ndarray]:
        """Scores of what needs no training. {model: (lists, items) float32}."""
        shape = len(self.lists), len(self.items)
        return {
            "random": np.random.default_rng(0).random(shape, dtype=np.float32),
            "lexical": bm25_of_all(self.contexts, self.texts),
            "base": self._cosines(Path(vectors_folder)),
            "popularity": np.broadcast_to(self.items["popularity"].to_numpy(np.float32), shape),
            "item_knn": self.knn,
        }

    def _cosines(self, folder: Path) -> np.ndarray:
        """The encoder's own opinion, from the vectors of texts that are there already."""
        vectors, pairs = np.load(folder / TEXTS, mmap_mode="r"), np.load(folder / PAIRS)
        ids = pd.read_parquet(folder / SAMPLE_IDS)["sample_id"]
        row = pd.Series(np.arange(len(ids)), index=ids)[self.lists["sample_id"]].to_numpy()
        left, right = vectors[pairs[row, 0]], vectors[self.items["text"].to_numpy()]
        left, right = (v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (left, right))
        return (left @ right.T).astype(np.float32)

    def scored(self, folder: Path) -> np.ndarray:
        """Scores of a ranker. (lists, items) float32.

        A bi-encoder scores every item; a cross-encoder those that item-kNN has first, all others being at
        minus infinity.
        """
        ranker = open_ranker(folder)
        if ranker.kind == "bi":
            return _of_all(ranker, self.contexts, self.texts)
        out = np.full((len(self.lists), len(self.items)), -np.inf, dtype=np.float32)
        first = self._first(self.knn, RERANKED)
        rows = np.repeat(np.arange(len(first)), first.shape[1])
        texts = [self.texts[place] for place in first.ravel()]
        pairs = ranker.tokenise([self.contexts[row] for row in rows], texts)
        out[rows, first.ravel()] = ranker.score(pairs)
        return out

    def table(self, scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
        """What every model has among its first 10, and what is right: all that metrics at 10 look at.

        The first 10 of each model are in the table, and nothing in it that comes before them elsewhere: ranks
        up to 10 in it are those over the whole catalogue. Ties are broken by `sample_id`, whose order is the
        catalogue's here.

        Args:
            scores: {model: (lists, items)}.

        Returns:
            sample_id, group_id, context, item_id, item, segment, grade, label (float64), and a float64 column
            a model.
        """
        there = np.zeros((len(self.lists), len(self.items)), dtype=bool)
        for found in scores.values():
            first = self._first(found, FIRST)
            there[np.arange(len(first))[:, None], first] = True
        there[self._known] = False
        there[self._right] = True
        rows, places = np.nonzero(there)
        right = np.zeros_like(there)
        right[self._right] = True
        lists, items = self.lists.iloc[rows], self.items.iloc[places]
        table = pd.DataFrame(
            {
                "sample_id": [f"{place:08d}-{row:06d}" for row, place in zip(rows, places, strict=True)],
                **{name: lists[name].to_numpy() for name in ("group_id", "context", "segment")},
                "item_id": items["item_id"].to_numpy(),
                "item": items["item"].to_numpy(),
                "grade": right[rows, places].astype(np.float64),
                "label": right[rows, places].astype(np.float64),
            }
        )
        for name, found in scores.items():
            mine = found[rows, places].astype(np.float64)
            # What a cross-encoder never saw comes last.
            table[name] = np.where(np.isfinite(mine), mine, mine[np.isfinite(mine)].min() - 1)
        return table

    def _first(self, scores: np.ndarray, count: int) -> np.ndarray:
        """Places of each list's best items, without those that its user knows. (lists, count) int64."""
        candidates = scores.astype(np.float32, copy=True)
        candidates[self._known] = -np.inf
        return np.argsort(-candidates, axis=1, kind="stable")[:, :count]


def _of_all(ranker, contexts: list[str], items: list[str]) -> np.ndarray:
    """A bi-encoder's logits of every item for every context, each text encoded once."""
    import torch

    left, right = (_encoded(ranker, rows) for rows in ranker.towers(contexts, items))
    left, right = (torch.nn.functional.normalize(vectors, dim=1) for vectors in (left, right))
    with torch.inference_mode():
        cosine = (left @ right.T).reshape(-1, 1)
        return ranker.network.head(cosine).reshape(len(contexts), -1).float().cpu().numpy()


def _encoded(ranker, rows: list[dict]):
    import torch

    with torch.inference_mode():
        out = torch.empty(len(rows), ranker.network.encoder.config.hidden_size, device=ranker.device)
        for index in bucketed([len(row["input_ids"]) for row in rows], TOKEN_BUDGET):
            inputs = ranker.tokenizer.pad([rows[i] for i in index], return_tensors="pt").to(ranker.device)
            out[index] = ranker.network.pooled(inputs)
    return out
