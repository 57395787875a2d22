"""Rows that somebody would choose otherwise: what a selection has to be better than."""

from assay.components.select.baselines.given import Given, read_given, row_features
from assay.components.select.baselines.table import BASELINES, NEEDS, Baseline, pick

__all__ = ["BASELINES", "NEEDS", "Baseline", "Given", "pick", "read_given", "row_features"]
