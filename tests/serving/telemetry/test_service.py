"""The real service tells what it does: each part of it, by its own metrics."""

from __future__ import annotations

import pytest

from tests.serving.telemetry.scraped import Samples, scraped, value

BODY = {
    "context": "red shoe",
    "candidates": [{"id": "a", "text": "kettle"}, {"id": "b", "text": "a running shoe that is red"}],
}


def page(client) -> Samples:
    """All samples, once what was asked before is counted: that is after its answer has left."""
    for _ in range(100):
        samples = scraped(client.get("/metrics").text)
        if not samples[("assay_requests_in_flight", ())]:
            return samples
    pytest.fail("requests are in flight though none is")


def grown(client, body: dict, route: str = "/rank", status: int = 200) -> Samples:
    """Samples by which one request makes the page grow."""
    before = page(client)
    assert client.post(route, json=body).status_code == status
    after = page(client)
    return {key: number - before.get(key, 0) for key, number in after.items() if number != before.get(key, 0)}


def test_a_request_is_told_from_its_arrival_to_its_answer(client):
    fresh = {**BODY, "context": "a shoe that nobody has asked for"}
    told = grown(client, fresh)
    assert value(told, "assay_requests_total", route="/rank", status="200") == 1
    assert value(told, "assay_request_seconds_count", route="/rank") == 1
    for stage in ("tokenise", "queue", "model", "respond"):
        assert value(told, "assay_stage_seconds_count", stage=stage) == 1, stage
    assert value(told, "assay_batch_rows_sum") == 2
    assert value(told, "assay_cache_misses_total") == 2
    # Two rows of different length: some of the batch is padding.
    assert 0 < value(told, "assay_batch_padding_share_sum") < 1

    again = grown(client, fresh)
    assert value(again, "assay_cache_hits_total") == 2
    assert value(again, "assay_batch_rows_count") == 0


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [({}, 400, "invalid"), ({**BODY, "context": "x" * 3_000_000}, 413, "body")],
)
def test_a_refusal_has_its_reason(client, body, status, reason):
    told = grown(client, body, status=status)
    assert value(told, "assay_rejected_total", reason=reason) == 1
    assert value(told, "assay_requests_total", route="/rank", status=str(status)) == 1
    assert value(told, "assay_request_seconds_count", route="/rank") == 0


def test_it_says_which_version_is_open_and_that_it_is_ready(client):
    told = page(client)
    assert value(told, "assay_ready") == 1
    assert value(told, "assay_queue_capacity_tokens") > 0
    (open_now,) = [dict(labels) for name, labels in told if name == "assay_model_info"]
    assert (open_now["name"], open_now["version"], open_now["role"]) == ("assay-search", "3", "champion")
    assert told["assay_failed_rows_total", (("version", "3"),)] == 0
