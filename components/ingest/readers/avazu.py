"""Avazu (2014): ten days of advertisements in sites and apps. Addresses of devices are not read."""

from __future__ import annotations

import polars as pl
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import number, once, placed
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.tables import MOMENT

_PLACES = ("banner_pos", "site_id", "site_domain", "site_category", "app_id", "app_domain", "app_category")
_DEVICE = ("device_model", "device_type", "device_conn_type")
_CODES = ("C1", *(f"C{i}" for i in range(14, 22)))
_NEEDS = ("id", "click", "hour", "C1", "banner_pos", "site_id", "app_id")
_FIELDS = {
    **dict.fromkeys(("id", "hour", "device_id", *_PLACES, *_DEVICE, *_CODES), pl.String),
    "click": None,
}
_NO_DEVICE = "a99f214a"
"""The hash of no device id at all: four rows in five bear it."""
_NO_SITE = "85f751fd"
"""The hash of no site: shown within an app."""


def _claims(source: Source) -> str | None:
    return f"columns {', '.join(_NEEDS)}" if source.has(*_NEEDS) else None


def _read(source: Source, ledger: Ledger) -> Chunks:
    """Impressions, and the advertisements they are of.

    Nothing in the file is called an advertisement: C14, the finest of the codes that go with one, stands for
    it, and its text is the codes that it has. The context is the site or app and the banner's place.
    """
    fresh = once("item_id")
    for chunk in records(source, _FIELDS):
        hour = chunk["hour"].str.zfill(8)
        timestamp = (hour + "00").str.to_datetime("%y%m%d%H%M", time_unit="us", time_zone="UTC", strict=False)
        lost = timestamp.is_null() & chunk["hour"].is_not_null()
        ledger.repair(
            "unreadable_time", int(lost.sum()), [f"{source.name}: hour {h!r}" for h in hour.filter(lost)[:20]]
        )
        device = chunk["device_id"]
        site = (pl.col("site_id") == _NO_SITE).fill_null(True)
        place = pl.when(site).then("app " + pl.col("app_id")).otherwise("site " + pl.col("site_id"))
        shown = chunk.select(
            "row",
            pl.col("id").alias("impression_id"),
            number(chunk, "click", source, ledger).alias("clicked"),
            timestamp.cast(MOMENT).alias("timestamp"),
            device.set((device == _NO_DEVICE).fill_null(False), None).alias("user_id"),
            pl.col("C14").alias("item_id"),
            (place + " banner " + pl.col("banner_pos")).alias("context"),
            *(pl.col(name).alias(f"attribute.{name}") for name in (*_PLACES, *_DEVICE, *_CODES)),
        )
        yield placed("impressions", shown, source)
        words = [pl.lit(name + " ") + pl.col(f"attribute.{name}") for name in ("C14", "C17", "C21")]
        size = pl.col("attribute.C15") + "x" + pl.col("attribute.C16")
        ads = fresh(shown).select(
            "row", "item_id", pl.concat_str(words, separator=" ", ignore_nulls=True).alias("text"), size=size
        )
        yield placed("items", ads, source)


IMPRESSIONS = Reader("avazu", "Avazu: id, click, hour, C1, banner_pos, site_id, ...", _claims, _read)
