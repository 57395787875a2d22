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
BODY = {"context": QUERY, "items": [{"item_id": key, "item": text} for key, text in ITEMS.items()]}


def by_the_ranker(ranker, contexts, items) -> list[float]:
    return ranker.score(ranker.tokenise(contexts, items)).tolist()


def test_rank_orders_as_the_ranker_scores(client, ranker):
    expected = dict(zip(ITEMS, by_the_ranker(ranker, [QUERY] * len(ITEMS), ITEMS.values()), strict=True))
    answer = client.post("/rank", json=BODY).raise_for_status().json()
    assert (answer["name"], answer["version"]) == ("assay-search", "3")
    assert [row["item_id"] for row in answer["items"]] == sorted(expected, key=expected.get, reverse=True)
    for row in answer["items"]:
        assert row["score"] == pytest.approx(expected[row["item_id"]], abs=1e-5)


def test_top_k_is_the_head_of_the_whole_answer(client):
    whole = client.post("/rank", json=BODY).json()["items"]
    assert client.post("/rank", json={**BODY, "top_k": 2}).json()["items"] == whole[:2]
    assert client.post("/rank", json={**BODY, "top_k": 100}).json()["items"] == whole


def test_ties_go_by_item_id_and_input_order_changes_nothing(client):
    twins = [{"item_id": key, "item": ITEMS["b7"]} for key in ("z", "m", "10", "9", "a")]
    items = [*twins, {"item_id": "other", "item": ITEMS["a1"]}]
    answer = client.post("/rank", json={"context": QUERY, "items": items}).json()
    assert client.post("/rank", json={"context": QUERY, "items": items[::-1]}).json() == answer
    ranked = [row["item_id"] for row in answer["items"]]
    assert [key for key in ranked if key != "other"] == ["10", "9", "a", "m", "z"]
    assert len({row["score"] for row in answer["items"]}) == 2


def test_score_keeps_the_order_of_the_pairs(client, ranker):
    contexts = [QUERY, "kettle", "", QUERY, QUERY]
    items = [ITEMS["b7"], ITEMS["a1"], ITEMS["c2"], ITEMS["9"], ITEMS["b7"]]
    pairs = [{"context": context, "item": item} for context, item in zip(contexts, items, strict=True)]
    answer = client.post("/score", json={"pairs": pairs}).raise_for_status().json()
    np.testing.assert_allclose(answer["scores"], by_the_ranker(ranker, contexts, items), atol=1e-5)
    assert answer["scores"][0] == answer["scores"][4]


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
    assert answer["limits"] == vars(Limits())


def test_ids_may_be_numbers_and_come_back_as_text(client):
    items = [{"item_id": 5, "item": "shoe"}, {"item_id": "x", "item": "kettle"}]
    answer = client.post("/rank", json={"context": QUERY, "items": items}).raise_for_status().json()
    assert {row["item_id"] for row in answer["items"]} == {"5", "x"}


def test_the_largest_request_fits(client):
    limits = Limits()
    items = [{"item_id": str(i), "item": f"shoe {i}"} for i in range(limits.items)]
    items[0]["item"] = "s" * limits.characters
    answer = client.post("/rank", json={"context": "c" * limits.characters, "items": items})
    assert answer.status_code == 200
    assert len(answer.json()["items"]) == limits.items


def test_the_index_page_with_its_foreign_script_is_closed(client):
    answer = client.get("/")
    assert answer.status_code == 404
    assert "script" not in answer.text
    assert "/info" in answer.json()["error"]


def test_openapi_names_every_route(client):
    paths = client.get("/docs.json").raise_for_status().json()["paths"]
    assert {"/rank", "/score", "/embed", "/info", "/livez", "/readyz"} <= set(paths)
