"""What each route does, from a checked body to an answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from assay.components.core.errors import BadInput
from assay.serving.api import answers, contract
from assay.serving.door.asked import ASKED
from assay.serving.door.refused import Refused
from assay.serving.engine.diversity import maximal_marginal_relevance
from assay.serving.feedback.exploration import shown_order
from assay.serving.feedback.log import Full, NotKept
from assay.serving.feedback.records import Event, Served, Shown, new_query_id
from assay.serving.runtime import Runtime
from assay.serving.telemetry.request import current


async def rank(runtime: Runtime, body: contract.RankRequest) -> answers.RankAnswer:
    """The candidates of a list in the order in which they are to be shown."""
    ids = [candidate.id for candidate in body.candidates]
    rows = [(body.context, candidate.text) for candidate in body.candidates]
    query_id, shown = body.query_id or new_query_id(), body.top_k or len(ids)
    key = body.user_id or body.session_id or query_id
    with runtime.using(key) as model:
        scored = await runtime.compute.logits(model, rows, ASKED.get().deadline)
        order = best_first(scored.values, ids)
        if body.diversity and len(ids) > 1:
            texts = [candidate.text for candidate in body.candidates]
            vectors = await runtime.compute.vectors(model, texts, ASKED.get().deadline)
            order = maximal_marginal_relevance(scored.values, vectors.values, body.diversity, shown, order)
        order = order[:shown]
        chances = [1.0] * len(order)
        if runtime.feedback is not None:
            swapped, chances = shown_order(query_id, len(order), runtime.feedback.settings)
            order = [order[place] for place in swapped]
    scores = scored.values.tolist()
    if runtime.feedback is not None:
        items = [
            Shown(ids[i], body.candidates[i].text, scores[i], chance)
            for i, chance in zip(order, chances, strict=True)
        ]
        runtime.feedback.served(
            Served(query_id, body.context, model.name, model.version, items, body.user_id, body.session_id)
        )
    runtime.shadow.consider(key, _request_id(), model.version, rows, scored.values)
    return answers.RankAnswer(
        name=model.name,
        version=model.version,
        query_id=query_id,
        items=[answers.Ranked(id=ids[i], score=scores[i]) for i in order],
        truncated=[ids[i] for i in order if scored.truncated[i]],
    )


async def rerank(runtime: Runtime, body: contract.RerankRequest) -> answers.RerankAnswer:
    """Documents by falling relevance, in the shape of Cohere and Jina."""
    rows = [(body.query, document) for document in body.documents]
    with runtime.using(_request_id()) as model:
        scored = await runtime.compute.logits(model, rows, ASKED.get().deadline)
    order = best_first(scored.values, range(len(rows)))
    results = [
        answers.RerankResult(
            index=i,
            relevance_score=_sigmoid(float(scored.values[i])),
            document=answers.RerankDocument(text=body.documents[i]) if body.return_documents else None,
        )
        for i in order[: body.top_n]
    ]
    meta = {"api_version": {"version": "1"}, "truncated": np.flatnonzero(scored.truncated).tolist()}
    return answers.RerankAnswer(
        id=_request_id(), model=body.model or f"{model.name}/{model.version}", results=results, meta=meta
    )


async def score(runtime: Runtime, body: contract.ScoreRequest) -> answers.ScoreAnswer:
    """Scores of pairs, in their order."""
    rows = [(pair.context, pair.text) for pair in body.pairs]
    with runtime.using(_request_id()) as model:
        scored = await runtime.compute.logits(model, rows, ASKED.get().deadline)
    return answers.ScoreAnswer(
        name=model.name,
        version=model.version,
        scores=scored.values.tolist(),
        truncated=np.flatnonzero(scored.truncated).tolist(),
    )


async def embed(runtime: Runtime, body: contract.EmbedRequest) -> answers.EmbedAnswer:
    """Vectors of texts, in their order."""
    with runtime.using(_request_id()) as model:
        found = await runtime.compute.vectors(model, body.texts, ASKED.get().deadline)
    return answers.EmbedAnswer(
        name=model.name,
        version=model.version,
        vectors=found.values.tolist(),
        truncated=np.flatnonzero(found.truncated).tolist(),
    )


async def feedback(runtime: Runtime, body: contract.FeedbackRequest) -> answers.FeedbackAnswer:
    """Keep events; once they are answered they outlive this process."""
    if runtime.feedback is None:
        raise Refused(404, "off", "no feedback is kept here: ASSAY_FEEDBACK_FOLDER names no folder")
    try:
        events = [
            Event(**event.model_dump(exclude={"timestamp"}), timestamp=_seconds(event))
            for event in body.events
        ]
        kept = await runtime.feedback.add(events)
    except BadInput as error:
        raise Refused(400, "invalid", str(error)) from None
    except Full as full:
        raise Refused(429, "full", str(full), 1.0) from None
    except NotKept as failed:
        raise Refused(503, "disk", str(failed), 5.0) from None
    return answers.FeedbackAnswer(accepted=kept.accepted, duplicates=kept.duplicates)


async def info(runtime: Runtime) -> answers.InfoAnswer:
    """What is served, and what may be asked."""
    with runtime.using(_request_id()) as model:
        return answers.InfoAnswer(
            name=model.name,
            version=model.version,
            kind=model.kind,
            backend=model.backend,
            sha256=model.sha256,
            dimensions=model.encoder.network.width,
            limits=asdict(runtime.limits),
            versions=runtime.stage.info(),
            feedback=runtime.feedback is not None,
        )


def best_first(scores: np.ndarray, ids: Sequence[Any]) -> list[int]:
    """Numbers of items by falling score, ties by id."""
    values = scores.tolist()
    return sorted(range(len(ids)), key=lambda i: (-values[i], ids[i]))


def _request_id() -> str:
    request = current.get()
    # There is one wherever a route is asked by HTTP.
    return request.id if request is not None else "-"


def _seconds(event: contract.FeedbackEvent) -> float | None:
    return None if event.timestamp is None else event.timestamp.timestamp()


def _sigmoid(logit: float) -> float:
    # In the form that does not overflow.
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    power = math.exp(logit)
    return power / (1 + power)
