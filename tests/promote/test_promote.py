"""Promotion on a real MLflow store with versions that hold nothing: aliases are what counts here."""

import multiprocessing

import pytest
from assay.components.core import tracking
from assay.components.core.errors import BadInput
from assay.components.promote.promote import Refused, promote, promote_by_hand, registry_lock, rollback


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A sqlite store whose tables are made once; each test uses a model name of its own."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('promote') / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        tracking.connect().search_registered_models()
    return uri


@pytest.fixture
def model(store, monkeypatch, request, tmp_path):
    """(client, name) of a model with four versions whose gate passed, and a fifth whose did not."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    client = tracking.connect()
    name = f"m-{request.node.name[:40]}"
    client.create_registered_model(name)
    for number in range(1, 6):
        client.create_model_version(
            name,
            str(tmp_path),
            tags={"assay.gate": "refused" if number == 5 else "passed", "assay.gate_against": "none"},
        )
    return client, name


def alias(client, name, which):
    found = tracking.version_by_alias(client, name, which)
    return str(found.version) if found else None


def test_the_first_champion_and_the_next(model):
    client, name = model
    assert promote(name, "1", "")["promoted"]
    assert (alias(client, name, "champion"), alias(client, name, "previous")) == ("1", None)
    assert promote(name, "2", "1")["reason"] == "replaced version 1"
    assert (alias(client, name, "champion"), alias(client, name, "previous")) == ("2", "1")
    assert client.get_model_version(name, "2").tags["assay.promoted_from"] == "1"


def test_a_champion_that_changed_meanwhile_is_not_overwritten(model):
    client, name = model
    promote(name, "1", "")
    promote(name, "2", "1")
    refused = promote(name, "3", "1")
    assert not refused["promoted"]
    assert "changed from version 1 to 2" in refused["reason"]
    assert alias(client, name, "champion") == "2"


def test_promoting_the_champion_again_changes_nothing(model):
    client, name = model
    promote(name, "1", "")
    promote(name, "2", "1")
    assert promote(name, "2", "1") == {"promoted": True, "reason": "is champion already", "alias": "champion"}
    assert alias(client, name, "previous") == "1"


def test_rollback_goes_back_and_forth_and_leaves_a_record(model):
    client, name = model
    promote(name, "1", "")
    promote(name, "2", "1")
    assert rollback(name) == ("1", "2")
    assert client.get_model_version(name, "1").tags["assay.rolled_back_from"] == "2"
    assert rollback(name) == ("2", "1")


def test_what_was_rolled_back_comes_again_only_by_hand(model):
    client, name = model
    promote(name, "1", "")
    promote(name, "2", "1")
    rollback(name)
    assert "was rolled back" in promote(name, "2", "1")["reason"]
    client.set_model_version_tag(name, "2", "assay.gate_against", "1")
    assert promote_by_hand(client, name, "2")["promoted"]
    assert alias(client, name, "champion") == "2"


def test_by_hand_a_gate_counts_against_the_champion_it_was_passed_against(model):
    client, name = model
    promote(name, "1", "")
    refused = promote_by_hand(client, name, "3")
    assert (refused["promoted"], alias(client, name, "champion")) == (False, "1")
    assert "against version none, the champion is 1" in refused["reason"]


def test_there_is_nothing_to_roll_back_to(model):
    _, name = model
    with pytest.raises(BadInput, match="has no champion.*registered versions: 1, 2, 3, 4, 5"):
        rollback(name)
    promote(name, "1", "")
    with pytest.raises(BadInput, match="there was none before it"):
        rollback(name)


def test_by_hand_the_gate_holds_too(model):
    client, name = model
    with pytest.raises(BadInput, match="has no challenger"):
        promote_by_hand(client, name)
    client.set_registered_model_alias(name, "challenger", "5")
    assert promote_by_hand(client, name)["reason"].startswith("its gate did not pass")
    assert promote_by_hand(client, name, "3") == {
        "version": "3", "promoted": True, "reason": "first champion", "alias": "champion"
    }  # fmt: skip


def test_a_lock_that_is_held_refuses(model):
    _, name = model
    with registry_lock(name), pytest.raises(Refused, match="under way"), registry_lock(name, seconds=0.1):
        pass


def _race(uri, name, version, start, outcome):
    import os

    os.environ["MLFLOW_TRACKING_URI"] = uri
    start.wait()
    outcome.put((version, promote(name, version, "1")["promoted"]))


def test_of_racing_promoters_exactly_one_wins(model, store):
    """MLflow itself lets all of them overwrite each other."""
    client, name = model
    promote(name, "1", "")
    context = multiprocessing.get_context("spawn")
    start, outcome = context.Event(), context.Queue()
    racers = [context.Process(target=_race, args=(store, name, v, start, outcome)) for v in ("2", "3", "4")]
    for racer in racers:
        racer.start()
    start.set()
    won = [version for version, promoted in (outcome.get(timeout=120) for _ in racers) if promoted]
    for racer in racers:
        racer.join()
    assert len(won) == 1
    assert (alias(client, name, "champion"), alias(client, name, "previous")) == (won[0], "1")
