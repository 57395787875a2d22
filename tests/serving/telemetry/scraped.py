"""A page of metrics as a scraper reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(text: str | bytes) -> Samples:
    """{(name, sorted labels): value} of every sample."""
    text = text.decode() if isinstance(text, bytes) else text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(page: str | bytes | Samples, name: str, /, **labels: str) -> float:
    """Of one sample of a page, or of what was read of one; 0 where it is not there."""
    samples = page if isinstance(page, dict) else scraped(page)
    return samples.get((name, tuple(sorted(labels.items()))), 0.0)
