"""Rows that cover a pool between them, by name: how `select` fills a stratum's quota."""

from assay.components.select.coverage.methods import COVERAGE, Coverage, Pool, cover

__all__ = ["COVERAGE", "Coverage", "Pool", "cover"]
