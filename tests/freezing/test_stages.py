import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

import zoo
from zoo import registry
from zoo.errors import NotFoundError, ZooError
from zoo.freezing.graphs import legal_cuts
from zoo.freezing.selectors import select
from zoo.freezing.stages import count_params, stages
from zoo.models.blueprint import Blueprint


def chain():
    inputs = keras.Input((4,), name="inputs")
    x = layers.Dense(3, name="a")(inputs)
    x = layers.Dense(2, name="b")(x)
    return keras.Model(inputs, layers.Dense(1, name="c")(x))


def residual():
    inputs = keras.Input((4,), name="inputs")
    x = layers.Dense(4, name="before")(inputs)
    y = layers.Dense(8, name="inner_1")(x)
    y = layers.Dense(4, name="inner_2")(y)
    x = layers.Add(name="add")([x, y])
    return keras.Model(inputs, layers.Dense(1, name="after")(x))


def two_residuals_from_the_input():
    inputs = keras.Input((4,), name="inputs")
    x = layers.Add(name="add_1")([inputs, layers.Dense(4, name="inner_1")(inputs)])
    x = layers.Add(name="add_2")([x, layers.Dense(4, name="inner_2")(x)])
    return keras.Model(inputs, layers.Dense(1, name="after")(x))


def dense_connections():
    # As in DenseNet, every layer sees all before it: only what joins them all is crossed by every path.
    inputs = keras.Input((4,), name="inputs")
    a = layers.Dense(4, name="a")(inputs)
    b = layers.Dense(4, name="b")(a)
    ab = layers.Concatenate(name="ab")([a, b])
    c = layers.Dense(4, name="c")(ab)
    abc = layers.Concatenate(name="abc")([a, b, c])
    return keras.Model(inputs, layers.Dense(1, name="after")(abc))


def two_inputs():
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    x = layers.Dense(3, name="left_1")(left)
    x = layers.Dense(3, name="left_2")(x)
    x = layers.Concatenate(name="join")([x, right])
    return keras.Model([left, right], layers.Dense(1, name="after")(x))


def dropped_branch():
    inputs = keras.Input((4,), name="inputs")
    x = layers.Dense(4, name="a")(inputs)
    layers.Dense(4, name="dropped")(x)
    return keras.Model(inputs, layers.Dense(1, name="b")(x))


def early_output():
    inputs = keras.Input((4,), name="inputs")
    x = layers.Dense(4, name="a")(inputs)
    early = layers.Dense(1, name="early")(x)
    x = layers.Dense(4, name="b")(x)
    return keras.Model(inputs, [early, layers.Dense(1, name="late")(x)])


def output_on_the_way():
    inputs = keras.Input((4,), name="inputs")
    features = layers.Dense(4, name="features")(layers.Dense(4, name="a")(inputs))
    x = layers.Dense(4, name="b")(features)
    return keras.Model(inputs, [features, layers.Dense(1, name="c")(x)])


def twice_called():
    inputs = keras.Input((4,), name="inputs")
    shared = layers.Dense(4, name="shared")
    x = shared(layers.Dense(4, name="a")(inputs))
    x = shared(layers.Dense(4, name="b")(x))
    return keras.Model(inputs, layers.Dense(1, name="c")(x))


def doubled():
    inputs = keras.Input((4,), name="inputs")
    x = layers.Dense(4, name="a")(inputs)
    x = layers.Add(name="twice_a")([x, x])
    return keras.Model(inputs, layers.Dense(1, name="b")(x))


# The last layer is never a cut: nothing is left behind it.
@pytest.mark.parametrize(
    ("graph", "cuts"),
    [
        (chain, ["a", "b"]),
        (residual, ["before", "add"]),
        (two_residuals_from_the_input, ["add_1", "add_2"]),
        (dense_connections, ["a", "abc"]),
        (two_inputs, ["join"]),
        (dropped_branch, ["a"]),
        (early_output, ["a"]),
        (output_on_the_way, ["a"]),
        (twice_called, ["a", "b"]),
        (doubled, ["a", "twice_a"]),
    ],
)
def test_a_cut_is_where_every_path_crosses(graph, cuts):
    assert legal_cuts(graph()) == cuts


@pytest.mark.parametrize("graph", [chain, residual, two_residuals_from_the_input, dense_connections, twice_called])
def test_splitting_at_a_cut_gives_the_whole_exactly(graph):
    model = graph()
    inputs = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    whole = keras.ops.convert_to_numpy(model(inputs))
    for cut in legal_cuts(model):
        tensor = model.get_layer(cut).output
        prefix, suffix = keras.Model(model.input, tensor), keras.Model(tensor, model.output)
        assert np.array_equal(suffix(prefix(inputs)), whole)
        shared = {id(layer) for layer in model.layers}
        own = [layer for layer in (*prefix.layers, *suffix.layers) if not isinstance(layer, layers.InputLayer)]
        assert all(id(layer) in shared for layer in own)


def test_splitting_a_model_leaves_its_stages_as_they_were():
    # The suffix calls our layers a second time; those calls are not in our graph.
    model = zoo.build("mnist_conv", weights=None)
    before = [(stage.name, [layer.name for layer in stage.layers]) for stage in stages(model)]
    cuts = legal_cuts(model)
    for stage in stages(model)[:-1]:
        keras.Model(stage.last.output, model.output)
    assert legal_cuts(model) == cuts
    assert [(stage.name, [layer.name for layer in stage.layers]) for stage in stages(model)] == before


def maps():
    """16x16 to 8x8 to 4x4: a cut before each halving, then two dense layers."""
    inputs = keras.Input((16, 16, 1), name="inputs")
    x = layers.Conv2D(2, 3, padding="same", name="full")(inputs)
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="half")(x)
    y = layers.Conv2D(4, 3, padding="same", name="inner")(x)
    x = layers.Add(name="half_add")([x, y])
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="quarter")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(16, name="hidden")(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="maps")


def names(model):
    return {stage.name: [layer.name for layer in stage.layers] for stage in stages(model)}


def test_stages_of_a_model_without_a_table_end_where_the_maps_shrink():
    assert names(maps()) == {
        "stem": ["full"],
        "stage1": ["half", "inner", "half_add"],
        "stage2": ["quarter"],
        "head": ["pool", "hidden", "logits"],
    }


def test_a_model_without_maps_is_all_head():
    assert names(chain()) == {"head": ["a", "b", "c"]}


def test_stages_count_parameters_by_hand():
    # 3x3 kernels and biases; then 8 -> 16 -> 3 dense.
    assert [stage.params for stage in stages(maps())] == [
        3 * 3 * 1 * 2 + 2,
        (3 * 3 * 2 * 4 + 4) + (3 * 3 * 4 * 4 + 4),
        3 * 3 * 4 * 8 + 8,
        (8 * 16 + 16) + (16 * 3 + 3),
    ]


def test_batchnorm_statistics_count_as_parameters():
    inputs = keras.Input((4, 4, 5))
    layer = layers.BatchNormalization()
    layer(inputs)
    assert count_params(layer) == 4 * 5
    assert count_params(layers.Flatten()) == 0


def test_stages_of_a_built_model_are_its_cards():
    assert names(zoo.build("mnist_striding_batchnorm")) == {
        "stem": ["rescaling", "stem_1_conv", "stem_1_bn", "stem_1_activation"],
        "stage1": ["stage1_1_conv", "stage1_1_bn", "stage1_1_activation"],
        "head": ["head_flatten", "head_dense1", "head_dense2", "classifier", "probabilities"],
    }


def test_a_card_without_stages_gets_them_from_the_graph(monkeypatch):
    model = maps()
    model.blueprint = Blueprint(architecture="mapped", input_shape=(8, 8, 1), classes=("a", "b", "c"))
    card = replace(zoo.info("mnist_conv_tiny"), name="mapped", stages=())
    monkeypatch.setitem(registry.entries._entries, "mapped", registry.Entry(card, lambda inputs, **_: inputs))
    assert names(model) == names(maps())
    assert list(names(model)) == ["stem", "stage1", "stage2", "head"]


def test_a_model_without_a_graph_is_refused():
    class Subclassed(keras.Model):
        pass

    with pytest.raises(ZooError) as raised:
        stages(Subclassed(name="mine"))
    assert str(raised.value) == "model 'mine' has no graph; expected a functional keras.Model"


def test_the_cuts_of_a_model_are_found_once():
    model = zoo.build("mnist_simple", weights=None)
    calls = []

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_name == "legal_cuts":
            calls.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        stages(model)
    finally:
        sys.setprofile(before)
    assert len(calls) == 1


def test_a_table_that_names_no_cut_is_refused():
    model = residual()
    model.blueprint = zoo.build("mnist_simple").blueprint
    with pytest.raises(ZooError, match="stem_1_conv is not a layer that every path crosses"):
        stages(model)


STEM, STAGE1, STAGE2 = {"full"}, {"half", "inner", "half_add"}, {"quarter"}
HEAD = {"pool", "hidden", "logits"}
ALL = STEM | STAGE1 | STAGE2 | HEAD


# Of the six layers with weights, in order: full 20, half 76, inner 148, quarter 296, hidden 144, logits 51; 735 in all.
@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("all", ALL),
        ("none", set()),
        ("stem", STEM),
        ("stage1", STAGE1),
        ("head", HEAD),
        ("stage2+", STAGE2 | HEAD),
        ("stem+", ALL),
        ("head+", HEAD),
        ("last:1", HEAD),
        ("last:2", STAGE2 | HEAD),
        ("last:4", ALL),
        ("last:5", ALL),
        ("layers:2", {"full", "half"}),
        ("layers:-2", {"hidden", "logits"}),
        ("layers:-99", ALL - {"half_add", "pool"}),
        # 1 % of 735 is 7.35, which logits alone holds; 51 + 144 = 195 is the first to reach 26 %, 191.1.
        ("params:1%", {"logits"}),
        ("params:26%", {"hidden", "logits"}),
        # 195 / 735 is 26.53 %: a tenth more needs the next layer.
        ("params:26.6%", {"quarter", "hidden", "logits"}),
        ("params:100%", ALL - {"half_add", "pool"}),
        ("re:^half", {"half", "half_add"}),
        ("re:add|pool", {"half_add", "pool"}),
        ("head,stem", HEAD | STEM),
        (" head , stem ", HEAD | STEM),
        ("all,!head", ALL - HEAD),
        ("!head", ALL - HEAD),
        ("!head,!stem", STAGE1 | STAGE2),
        ("stage1+,!re:pool", STAGE1 | STAGE2 | {"hidden", "logits"}),
        ("!stage1+,head", STEM | HEAD),
        ("head,none", HEAD),
        ("head,!head", set()),
    ],
)
def test_a_selector_names_layers(selector, selected):
    assert select(maps(), selector) == selected


FORMS = "head, all, none, stage4, stage3+, last:2, layers:-20, params:30%, re:REGEX"
EXISTS = f"The stages are stem, stage1, stage2, head; a selector is {FORMS}"


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ("haed", f"selector 'haed' matches nothing. Did you mean 'head'? {EXISTS}"),
        ("stage9", f"selector 'stage9' matches nothing. Did you mean 'stage2'? {EXISTS}"),
        ("head,!stag1", f"selector 'stag1' matches nothing. Did you mean 'stage1'? {EXISTS}"),
        ("hiden", f"selector 'hiden' matches nothing. Did you mean 'hidden'? {EXISTS}"),
        ("re:quarterr", f"selector 're:quarterr' matches nothing. Did you mean 'quarter'? {EXISTS}"),
        ("zzz", f"selector 'zzz' matches nothing. {EXISTS}"),
        ("last:0", f"selector 'last:0' matches nothing. {EXISTS}"),
        ("last:²", f"selector 'last:²' matches nothing. {EXISTS}"),
        ("layers:0", f"selector 'layers:0' matches nothing. {EXISTS}"),
        ("layers:few", f"selector 'layers:few' matches nothing. {EXISTS}"),
        ("params:30", f"selector 'params:30' matches nothing. {EXISTS}"),
        ("params:0%", f"selector 'params:0%' matches nothing. {EXISTS}"),
        ("re:(", "selector 're:(' is not a regular expression for names of layers: missing ): ("),
        ("", f"selector '' is empty; expected one or more of {FORMS}, joined by commas"),
        (" , ", f"selector ' , ' is empty; expected one or more of {FORMS}, joined by commas"),
    ],
)
def test_a_selector_that_matches_nothing_says_what_exists(selector, text):
    with pytest.raises(NotFoundError) as raised:
        select(maps(), selector)
    assert str(raised.value) == text
