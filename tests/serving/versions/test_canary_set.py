"""The canary set is read whole, or told; what nothing can be measured on says so."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.serving.versions.canary_set import FACTS, FILE, CanarySet


def test_the_metric_is_that_of_the_version(bundles):
    bundle = bundles("1", 1)
    found = CanarySet.read(bundle)
    assert (found.metric, found.lists.gain, found.measurable) == ("ndcg@10", "linear", True)
    facts = bundle.canary / FACTS
    about = json.loads(facts.read_text())
    facts.write_text(json.dumps(about | {"metric": "log_loss", "gain": "exponential"}))
    found = CanarySet.read(bundle)
    assert (found.metric, found.lists.gain, found.measurable) == ("log_loss", "exponential", True)
    facts.write_text(json.dumps(about | {"metric": "beauty"}))
    with pytest.raises(BadInput, match=r"cannot be read: .*there is no metric 'beauty'"):
        CanarySet.read(bundle)


def test_where_nothing_can_be_measured(bundles):
    bundle = bundles("1", 1)
    file = bundle.canary / FILE
    table = pd.read_parquet(file)
    table.assign(label=0.0).to_parquet(file)
    assert not CanarySet.read(bundle).measurable
    table.drop(columns="label").to_parquet(file)
    with pytest.raises(BadInput, match="cannot be read"):
        CanarySet.read(bundle)


def test_there_is_none_where_all_rows_were_erased(bundles):
    bundle = bundles("1", 1)
    pd.read_parquet(bundle.canary / FILE).iloc[:0].to_parquet(bundle.canary / FILE)
    assert CanarySet.read(bundle) is None
    assert CanarySet.read(bundles("2", 1, canary=None)) is None
