"""The routes answer as the ranker and the encoder themselves do."""

from __future__ import annotations

import numpy as np
import pytest
from assay.serving.limits import Limits

QUERY = "red running shoe"
ITEMS = {
    "b7": "running shoe for women, red, size 38",
    "a1": "kettle of steel, 1.5 litre",
    "c2": "ein roter Laufschuh für Damen",
    "10": "shoe",
    "9": "a very long title " * 40,
}
BODY = {"context": QUERY, "candidates": [{"id": key, "text": text} for key, text in ITEMS.items()]}


def by_the_ranker(ranker, contexts, items) -> list[float]:
    return ranker.score(ranker.tokenise(contexts, items)).tolist()


def test_rank_orders_as_the_ranker_scores(client, ranker):
    expected = dict(zip(ITEMS, by_the_ranker(ranker, [QUERY] * len(ITEMS), ITEMS.values()), strict=True))
    answer = client.post("/rank", json=BODY).raise_for_status().json()
    assert (answer["name"], answer["version"]) == ("assay-search", "3")
    assert [row["id"] for row in answer["items"]] == sorted(expected, key=expected.get, reverse=True)
    for row in answer["items"]:
        assert row["score"] == pytest.approx(expected[row["id"]], abs=1e-5)


def test_top_k_is_the_head_of_the_whole_answer(client):
    whole = client.post("/rank", json=BODY).json()["items"]
    assert client.post("/rank", json={**BODY, "top_k": 2}).json()["items"] == whole[:2]
    assert client.post("/rank", json={**BODY, "top_k": 100}).json()["items"] == whole


def test_ties_go_by_item_id_and_input_order_changes_nothing(client):
    twins = [{"id": key, "text": ITEMS["b7"]} for key in ("z", "m", "10", "9", "a")]
    items = [*twins, {"id": "other", "text": ITEMS["a1"]}]
    answer = client.post("/rank", json={"context": QUERY, "candidates": items}).json()
    turned = client.post("/rank", json={"context": QUERY, "candidates": items[::-1]}).json()
    assert turned["items"] == answer["items"]
    ranked = [row["id"] for row in answer["items"]]
    assert [key for key in ranked if key != "other"] == ["10", "9", "a", "m", "z"]
    assert len({row["score"] for row in answer["items"]}) == 2


def test_score_keeps_the_order_of_the_pairs(client, ranker):
    contexts = [QUERY, "kettle", "", QUERY, QUERY]
    items = [ITEMS["b7"], ITEMS["a1"], ITEMS["c2"], ITEMS["9"], ITEMS["b7"]]
    pairs = [{"context": context, "text": item} for context, item in zip(contexts, items, strict=True)]
    answer = client.post("/score", json={"pairs": pairs}).raise_for_status().json()
    np.testing.assert_allclose(answer["scores"], by_the_ranker(ranker, contexts, items), atol=1e-5)
    assert answer["scores"][0] == answer["scores"][4]


def test_routes_agree_on_scores(client):
    ranked = {row["id"]: row["score"] for row in client.post("/rank", json=BODY).json()["items"]}
    pairs = [{"context": QUERY, "text": text} for text in ITEMS.values()]
    scores = client.post("/score", json={"pairs": pairs}).json()["scores"]
    documents = list(ITEMS.values())
    answer = client.post("/v1/rerank", json={"query": QUERY, "documents": documents}).json()
    np.testing.assert_allclose(scores, [ranked[key] for key in ITEMS], atol=1e-5)
    for result in answer["results"]:
        logit = np.log(result["relevance_score"] / (1 - result["relevance_score"]))
        assert logit == pytest.approx(scores[result["index"]], abs=1e-5)
    # Alone in its batch, a row still has the score that it had among others.
    for pair, score in zip(pairs, scores, strict=True):
        alone = client.post("/score", json={"pairs": [{**pair, "context": f"{QUERY}"}]}).json()["scores"]
        assert alone[0] == pytest.approx(score, abs=1e-5)


def test_rerank_is_what_clients_of_cohere_and_jina_send_and_read(client):
    body = {
        "model": "rerank-v3.5", "query": QUERY, "top_n": 2, "return_documents": True, "truncation": True,
        "documents": [ITEMS["a1"], {"text": ITEMS["b7"], "id": 7}, "", ITEMS["b7"]],
    }  # fmt: skip
    answer = client.post("/v1/rerank", json=body).raise_for_status().json()
    assert answer["model"] == "rerank-v3.5"
    assert answer["id"]
    assert len(answer["results"]) == 2
    whole = client.post("/v1/rerank", json={**body, "top_n": None}).json()["results"]
    assert whole[:2] == answer["results"]
    scores = [result["relevance_score"] for result in whole]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)
    texts = {result["index"]: result["document"]["text"] for result in whole}
    assert texts == {0: ITEMS["a1"], 1: ITEMS["b7"], 2: "", 3: ITEMS["b7"]}
    # Twins are in the order in which they were sent.
    places = [result["index"] for result in whole]
    assert places.index(1) + 1 == places.index(3)


def test_what_was_cut_is_told(client):
    answer = client.post("/rank", json=BODY).json()
    assert answer["truncated"] == ["9"]
    pairs = [{"context": QUERY, "text": ITEMS[key]} for key in ("10", "9")]
    assert client.post("/score", json={"pairs": pairs}).json()["truncated"] == [1]
    texts = [ITEMS["9"], ITEMS["10"]]
    assert client.post("/embed", json={"texts": texts}).json()["truncated"] == [0]
    meta = client.post("/v1/rerank", json={"query": QUERY, "documents": texts}).json()["meta"]
    assert meta["truncated"] == [0]


def test_diversity_parts_twins(client):
    items = [
        *({"id": key, "text": ITEMS["b7"]} for key in ("x1", "x2", "x3")),
        {"id": "y", "text": ITEMS["a1"]},
    ]  # fmt: skip
    body = {"context": QUERY, "candidates": items}
    plain = [row["id"] for row in client.post("/rank", json={**body, "diversity": 0.0}).json()["items"]]
    diverse = [row["id"] for row in client.post("/rank", json={**body, "diversity": 0.9}).json()["items"]]
    assert plain in (["x1", "x2", "x3", "y"], ["y", "x1", "x2", "x3"])
    assert diverse[0] == plain[0]
    assert "y" in diverse[:2]
    assert sorted(diverse) == sorted(plain)


def test_answers_say_which_version_and_which_request(client):
    answer = client.post("/rank", json=BODY, headers={"X-Request-Id": "cart-17"})
    assert answer.headers["X-Model-Version"] == "3"
    assert answer.headers["X-Request-Id"] == "cart-17"
    odd = client.post("/rank", json=BODY, headers={"X-Request-Id": "who is this?"})
    assert odd.headers["X-Request-Id"] != "who is this?"


def test_each_list_has_an_id_of_its_own_or_the_caller_s(client):
    made = {client.post("/rank", json=BODY).json()["query_id"] for _ in range(3)}
    assert len(made) == 3
    given = client.post("/rank", json={**BODY, "query_id": "list-17"}).json()
    assert given["query_id"] == "list-17"


def test_embed_is_the_encoder_and_not_the_ranker(client, encoder):
    texts = [*ITEMS.values(), ITEMS["a1"]]
    vectors = np.array(client.post("/embed", json={"texts": texts}).raise_for_status().json()["vectors"])
    assert vectors.shape == (6, 384)
    np.testing.assert_allclose(vectors, encoder.encode(texts), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_info_says_what_is_served(client, bundle, method):
    answer = client.request(method, "/info").raise_for_status().json()
    assert (answer["name"], answer["version"], answer["kind"]) == ("assay-search", "3", "cross")
    assert answer["sha256"] == bundle.sha256
    assert answer["dimensions"] == 384
    assert answer["limits"] == vars(Limits(drain_seconds=0))


def test_ids_may_be_numbers_and_come_back_as_text(client):
    items = [{"id": 5, "text": "shoe"}, {"id": "x", "text": "kettle"}]
    answer = client.post("/rank", json={"context": QUERY, "candidates": items}).raise_for_status().json()
    assert {row["id"] for row in answer["items"]} == {"5", "x"}


def test_the_largest_request_fits(client):
    limits = Limits()
    items = [{"id": str(i), "text": f"shoe {i}"} for i in range(limits.items)]
    items[0]["text"] = "s" * limits.characters
    answer = client.post("/rank", json={"context": "c" * limits.characters, "candidates": items})
    assert answer.status_code == 200
    assert len(answer.json()["items"]) == limits.items


def test_the_index_page_with_its_foreign_script_is_closed(client):
    answer = client.get("/")
    assert answer.status_code == 404
    assert "script" not in answer.text
    assert "/info" in answer.json()["error"]


def test_openapi_names_every_route(client):
    paths = client.get("/docs.json").raise_for_status().json()["paths"]
    assert {"/rank", "/v1/rerank", "/score", "/embed", "/feedback", "/info", "/livez", "/readyz"} <= set(
        paths
    )
