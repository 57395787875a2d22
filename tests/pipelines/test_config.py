import pytest
from assay.components.core.errors import BadInput
from assay.pipelines.choices import BASELINES
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
    assert (config.budget, config.seed, config.computed_methods) == ("0.4", 2, ["el2n"])
    assert (config.gates.slice_floor, config.gates.max_ece) == (0.05, 0.1)
    assert config.columns == {"query": ["q"], "item": ["a", "b"], "label": ["y"]}


def test_a_setting_of_a_key_leaves_the_other_keys_alone():
    config = load_config(None, {}, ["weights.el2n=2", "weights.margin=1", "columns.item=title"])
    assert (config.weights, config.columns) == ({"el2n": 2.0, "margin": 1.0}, {"item": ["title"]})


def test_a_cross_encoder_gets_a_thousand_rows_at_least_of_the_budget_auto():
    def least(*settings):
        return load_config(None, {}, settings).pipeline_arguments()["rules"]["least"]

    assert (least(), least("ranker=cross"), least("ranker=cross", "rules.least=50")) == (0, 1000, 50)


def test_weights_are_given_or_learned():
    given = load_config(None, {}, ["weights.el2n=2"]).pipeline_arguments()
    assert (given["weights"], given["learn_weights"]) == ({"el2n": 2.0}, False)
    learned = load_config(None, {}, ["weights=learned", "methods=[margin]"]).pipeline_arguments()
    assert (learned["weights"], learned["learn_weights"]) == ({}, True)


def test_a_ranker_is_tuned_on_the_target_only_where_a_method_asks():
    assert load_config(None, {}).pipeline_arguments()["warm_ups"] == ["a", "b"]
    asked = load_config(None, {}, ["methods=[el2n, learnability]"]).pipeline_arguments()
    assert asked["warm_ups"] == ["a", "b", "target"]


def test_a_warm_up_takes_one_pass_unless_it_learns_the_target():
    def passes(*settings):
        return load_config(None, {}, ["epochs=3", *settings]).pipeline_arguments()["warm_up_epochs"]

    assert (passes(), passes("methods=[el2n, learnability]"), passes("warm_up_epochs=2")) == (1, 3, 2)


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
        (["shards=-1"], "shards: Input should be greater than or equal to 0"),
        (["learning_rate=.inf"], "learning-rate: Input should be a finite number"),
        (["seed=4294967296"], "seed: Input should be less than"),
        (["name=a/b"], "name: .*letters, digits"),
        (["name=o'brien"], "name: .*letters, digits"),
        (["columns.lable=y"], "unknown role 'lable'"),
        (["columns.label=[a, b]"], "may join columns, not label"),
        (["columns.item=[]"], "item names no column"),
        (["columns=[a]"], "expected role: column"),
        (["plan=cheap"], "plan: Input should be 'vectors', 'default' or 'full'"),
        (["plan=vectors", "methods=[knn_shapley, el2n]"], "methods el2n: they ask a warm-up ranker"),
        (["plan=vectors", "weights.el2n=1"], "weights of el2n: not among the methods"),
        (["seeds=0"], "seeds: Input should be greater than or equal to 1"),
        (["baselines=[best]"], "baselines: .*unknown best; known: all, stratified"),
        (["plan=vectors", "baselines=loss"], "arms loss: name the methods of these names too"),
        (["methods=[knn_shapley]", "curve.arms=challenger,el2n"], "arms el2n: name the methods"),
        (["curve.arms=full"], "curve.arms: .*one beside full"),
        (["curve.arms=control,control"], "curve.arms: .*each arm once"),
        (["curve.budgets=0.1,0.1"], "curve.budgets: .*each once"),
        (["curve.epsilon=1"], "curve.epsilon: Input should be less than 1"),
        (["rules.noisy=burn"], "rules.noisy: Input should be 'drop'"),
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


def test_arms_are_repeated_by_seeds_and_the_challenger_of_the_first_comes_first():
    assert RunConfig().arms == ["challenger", "control"]
    config = load_config(None, {"seeds": 2, "with_full": True, "baselines": "length, dsir"})
    assert config.arms == [
        *("challenger", "control", "full", "length", "dsir"),
        *("challenger:1", "control:1", "full:1", "length:1", "dsir:1"),
    ]
    assert config.pipeline_arguments()["arms"] == config.arms


def test_all_baselines_are_those_that_the_methods_allow():
    assert load_config(None, {"baselines": "all"}).trained_baselines == list(BASELINES)
    config = load_config(None, {"baselines": "all", "plan": "vectors"})
    assert set(BASELINES) - set(config.trained_baselines) == {"loss", "el2n"}


def test_a_plan_names_methods_and_what_no_method_asks_is_not_trained():
    vectors = load_config(None, {"plan": "vectors"}).pipeline_arguments()
    assert vectors["methods"] == ["label_quality", "target_agreement", "knn_shapley"]
    assert (vectors["warm_ups"], vectors["learn_weights"]) == ([], False)
    full = load_config(None, {"plan": "full"}).pipeline_arguments()
    assert set(full["methods"]) > set(RunConfig().computed_methods)
    assert (full["warm_ups"], full["learn_weights"]) == (["a", "b", "target"], True)
    # What was named by hand is neither more nor less.
    named = load_config(None, {"plan": "full"}, ["methods=[knn_shapley, density]"]).pipeline_arguments()
    assert (named["methods"], named["warm_ups"]) == (["knn_shapley", "density"], [])
    assert not named["learn_weights"]
    given = load_config(None, {"plan": "full"}, ["weights.learnability=1"]).pipeline_arguments()
    assert (given["weights"], given["learn_weights"]) == ({"learnability": 1.0}, False)


def test_the_cells_of_a_curve_are_an_arm_and_seed_a_task():
    config = load_config(None, {"seeds": 2}, ["curve.arms=challenger,full,length", "curve.budgets=0.1,500"])
    assert config.cells == [
        ["full"],
        ["challenger@0.1", "challenger@500"],
        ["length@0.1", "length@500"],
        ["full:1"],
        ["challenger@0.1:1", "challenger@500:1"],
        ["length@0.1:1", "length@500:1"],
    ]
    arguments = config.curve_arguments()
    assert arguments["arms"] == sum(config.cells, [])
    assert load_config(None, {}, ["curve.budgets=0.2"]).curve.budgets == ["0.2"]
    assert load_config(None, {}, ["curve.budgets=[0.2, 500]"]).curve.budgets == ["0.2", "500"]


def test_the_hash_of_a_curve_knows_the_curve_and_that_of_a_run_does_not():
    other, plain = load_config(None, {}, ["curve.budgets=0.2"]), load_config(None, {})
    assert other.run_hash("d", "c") == plain.run_hash("d", "c")
    assert other.run_hash("d", "c", curve=True) != plain.run_hash("d", "c", curve=True)
    assert plain.run_hash("d", "c", curve=True) == load_config(None, {"budget": "0.9"}).run_hash(
        "d", "c", True
    )


def test_traits_are_computed_where_a_surrogate_is_told_them():
    everything = ["category", "tags", "behaviour"]
    assert RunConfig(measured=0.3).pipeline_arguments()["traits"] == everything
    assert RunConfig(measured=0.3, traits=[]).pipeline_arguments()["traits"] == []
    assert RunConfig(traits=["tags"]).pipeline_arguments()["traits"] == ["tags"]
