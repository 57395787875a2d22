import pytest
from assay.components.core.errors import BadInput
from assay.pipelines.config import RunConfig, load_config


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("columns: {query: q, item: [a, b], label: y}\nbudget: 0.2\ngates: {max_ece: 0.1}\n")
    return path


def test_the_command_line_lies_over_the_file_and_settings_over_both(file):
    config = load_config(
        file, {"budget": "0.4", "seed": 1}, ["seed=2", "gates.slice_floor=0.05", "methods=[el2n]"]
    )
    assert (config.budget, config.seed, config.methods) == ("0.4", 2, ["el2n"])
    assert (config.gates.slice_floor, config.gates.max_ece) == (0.05, 0.1)
    assert config.columns == {"query": ["q"], "item": ["a", "b"], "label": ["y"]}


def test_a_setting_of_a_key_leaves_the_other_keys_alone():
    config = load_config(None, {}, ["weights.el2n=2", "weights.margin=1", "columns.item=title"])
    assert (config.weights, config.columns) == ({"el2n": 2.0, "margin": 1.0}, {"item": ["title"]})


def test_weights_are_given_or_learned():
    given = load_config(None, {}, ["weights.el2n=2"]).pipeline_arguments()
    assert (given["weights"], given["learn_weights"]) == ({"el2n": 2.0}, False)
    learned = load_config(None, {}, ["weights=learned", "methods=[margin]"]).pipeline_arguments()
    assert (learned["weights"], learned["learn_weights"]) == ({}, True)


def test_a_ranker_is_tuned_on_the_target_only_where_a_method_asks():
    assert load_config(None, {}).pipeline_arguments()["warm_ups"] == ["a", "b"]
    asked = load_config(None, {}, ["methods=[el2n, learnability]"]).pipeline_arguments()
    assert asked["warm_ups"] == ["a", "b", "target"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["seed"], "write NAME=VALUE"),
        (["=3"], "write NAME=VALUE"),
        (["methods=[el2n"], "not YAML"),
        (["gates.slice=1"], "gates.slice: Extra inputs"),
        (["seed.x=1"], "seed: Input should be a valid integer"),
        (["epochs=many"], "epochs: Input should be a valid integer"),
        (["weights.colour=1"], "unknown methods colour"),
        (["weights.el2n=-1"], "weights are 0 or more"),
        (["weights.el2n=1", "methods=[margin]"], "weights of el2n: not among the methods"),
        (["methods=[margin]"], "none of them has a weight"),
        (["weights=equal"], "weights.*'learned'"),
        (["weights=learned", "methods=[learnability]"], "learnability cannot be judged on the target"),
        (["score_splits=[test]"], "score-splits: .*train is always scored"),
        (["score_splits=train,target"], "score-splits.1: Input should be 'train', 'validation' or 'test'"),
        (["shards=0"], "shards: Input should be greater than or equal to 1"),
        (["learning_rate=.inf"], "learning-rate: Input should be a finite number"),
        (["seed=4294967296"], "seed: Input should be less than"),
        (["name=a/b"], "name: .*letters, digits"),
        (["name=o'brien"], "name: .*letters, digits"),
        (["columns.lable=y"], "unknown role 'lable'"),
        (["columns.query=[a, b]"], "only item may join columns, not query"),
        (["columns.item=[]"], "item names no column"),
        (["columns=[a]"], "expected role: column"),
    ],
)
def test_a_wrong_setting_names_itself(settings, words):
    with pytest.raises(BadInput, match=words):
        load_config(None, {}, settings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "expected a mapping"),
        ("1: 2", "expected a mapping"),
        ("a: [", "not YAML"),
        (None, "no such file"),
    ],
)
def test_a_wrong_file_names_itself(tmp_path, text, words):
    path = tmp_path / "run.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadInput, match=words):
        load_config(path, {})


def test_splits_to_score_are_a_list_or_names_with_commas():
    for given in ("test, train", "[test, train, test]"):
        assert load_config(None, {}, [f"score_splits={given}"]).score_splits == ["train", "test"]
    assert load_config(None, {"score_splits": "train,validation"}).score_splits == ["train", "validation"]


def test_the_hash_of_a_run_is_a_function_of_config_data_and_code(file):
    config = load_config(file, {})
    same = load_config(file, {"data": "elsewhere.csv"})
    assert config.run_hash("d", "c") == same.run_hash("d", "c")
    assert config.run_hash("d", "c") == load_config(file, {"shards": 4}).run_hash("d", "c")
    other = [
        load_config(file, {"seed": 7}).run_hash("d", "c"),
        config.run_hash("e", "c"),
        config.run_hash("d", "e"),
    ]
    assert len({config.run_hash("d", "c"), *other}) == 4


def test_traits_are_computed_where_a_surrogate_is_told_them():
    everything = ["category", "tags", "behaviour"]
    assert RunConfig(measured=0.3).pipeline_arguments()["traits"] == everything
    assert RunConfig(measured=0.3, traits=[]).pipeline_arguments()["traits"] == []
    assert RunConfig(traits=["tags"]).pipeline_arguments()["traits"] == ["tags"]
