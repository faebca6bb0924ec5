"""Every public function answers arguments of a wrong kind with a sentence, never with a fault from its inside."""

import io
import types
from pathlib import Path

import numpy as np
import pytest

import zoo
from tests.tiny import phase, recipe
from zoo.errors import ZooError

WRONG = [
    None,
    3,
    -1,
    1.5,
    float("nan"),
    True,
    "",
    " ",
    "no_such_thing",
    "a\0b",
    b"",
    b"bytes",
    [],
    [None],
    ["", 3],
    {},
    {"key": "value"},
    set(),
    {"a", "b"},
    object(),
    object,
    len,
    (one for one in "ab"),
    range(3),
    np.zeros(0),
    np.zeros((2, 3)),
    np.array("text"),
    np.datetime64("2020-01-01"),
    Path("no/such/path"),
    io.BytesIO(b"x"),
    ZooError("x"),
    1j,
]


def model():
    return zoo.build("conv2d_small", weights=None, classes=2)


@pytest.fixture(scope="module")
def photos(finished):
    return finished.data


IMAGES = np.zeros((2, 32, 32, 3), np.uint8)
FINISHED = Path(__file__).parents[1] / "runs" / "made_before" / "finished"
TINY = recipe(phase("all", "all", epochs=1), model="mnist_conv_tiny")

PLAIN = (str, list, set, dict, int, float)
TEXTS = ("", " ", "no_such_thing", "a\0b")

# Function and argument: how it is called with a wrong value, and which of the values above are right there.
CALLS = {
    "build name": (lambda x, _: zoo.build(x), ()),
    "build classes": (lambda x, _: zoo.build("mnist_simple", classes=x), (None, 3)),
    "build input_shape": (lambda x, _: zoo.build("mnist_simple", input_shape=x), (None,)),
    "build weights": (lambda x, _: zoo.build("mnist_conv_tiny", weights=x), (None,)),
    "build precision": (lambda x, _: zoo.build("mnist_simple", precision=x), (None,)),
    "build dropout": (lambda x, _: zoo.build("mnist_conv_tiny", weights=None, dropout=x), (None,)),
    "build option": (lambda x, _: zoo.build("mobilenet_v2", weights=None, alpha=x), (1.5, 3)),
    "info": (lambda x, _: zoo.info(x), ()),
    "list_models pattern": (
        lambda x, _: zoo.list_models(x),
        (None, "", " ", "no_such_thing", "a\0b", [], set(), {"a", "b"}),
    ),
    "stages": (lambda x, _: zoo.stages(x), ()),
    "freeze model": (lambda x, _: zoo.freeze(x), ()),
    "freeze selector": (lambda x, _: zoo.freeze(model(), x), ()),
    "unfreeze model": (lambda x, _: zoo.unfreeze(x), ()),
    "unfreeze selector": (lambda x, _: zoo.unfreeze(model(), x), ()),
    "unfreeze batchnorm": (lambda x, _: zoo.unfreeze(model(), batchnorm=x), ()),
    "features model": (lambda x, _: zoo.features(x, IMAGES), ()),
    "features images": (lambda x, _: zoo.features(model(), x), ()),
    "features at": (lambda x, _: zoo.features(model(), IMAGES, at=x), (None,)),
    "features pooling": (lambda x, _: zoo.features(model(), IMAGES, pooling=x), (None,)),
    "features resize": (lambda x, _: zoo.features(model(), IMAGES, resize=x), (None,)),
    "load": (lambda x, _: zoo.load(x), ()),
    "evaluate run": (lambda x, _: zoo.evaluate(x), ()),
    "verify": (lambda x, _: zoo.verify(x), ()),
    "export_run run": (lambda x, _: zoo.export_run(x, "keras"), ()),
    "export_run to": (lambda x, _: zoo.export_run(FINISHED, x), ()),
    "export_run data": (lambda x, _: zoo.export_run(FINISHED, "keras", data=x), ()),
    "export_run out": (lambda x, _: zoo.export_run("no_such_run", "keras", out=x), ()),
    "export_run quantize": (lambda x, _: zoo.export_run("no_such_run", "onnx", quantize=x), ()),
    "export_run in_float": (lambda x, _: zoo.export_run("no_such_run", "onnx", quantize="int8", in_float=x), ()),
    "export_run verbose": (lambda x, _: zoo.export_run("no_such_run", "keras", verbose=x), ()),
    "trust": (lambda x, _: zoo.trust(x), ()),
    "register": (lambda x, _: zoo.register(x)(model), ()),
    "finetune recipe": (lambda x, photos: zoo.finetune(x, photos), ()),
    "finetune data": (lambda x, _: zoo.finetune(TINY, x), ()),
    "finetune overrides": (lambda x, photos: zoo.finetune(TINY, photos, x, run="/dev/null/x"), (None, [], {})),
    "finetune weights": (lambda x, photos: zoo.finetune(TINY, photos, weights=x, run="/dev/null/x"), (None,)),
    "finetune run": (lambda x, _: zoo.finetune("no_such_recipe", run=x), ()),
    "finetune callbacks": (lambda x, photos: zoo.finetune(TINY, photos, callbacks=x, run="/dev/null/x"), ()),
    "finetune verbose": (lambda x, _: zoo.finetune("no_such_recipe", verbose=x), ()),
    "finetune devices": (lambda x, _: zoo.finetune("no_such_recipe", devices=x), ()),
    "evaluate verbose": (lambda x, _: zoo.evaluate("no_such_run", verbose=x), ()),
    "Estimator recipe": (lambda x, _: zoo.Estimator(x).fit(IMAGES, [0, 1]), ()),
    "Estimator overrides": (lambda x, _: zoo.Estimator("no_such_recipe", overrides=x).fit(IMAGES, [0, 1]), ()),
    "Estimator X": (lambda x, _: zoo.Estimator(TINY).fit(x, [0, 1]), ()),
    "Estimator y": (lambda x, _: zoo.Estimator(TINY).fit(IMAGES, x), ()),
    "Run": (lambda x, _: zoo.Run(x).record, ()),
    "reproduce run": (lambda x, _: zoo.reproduce(x), ()),
    "reproduce data": (lambda x, _: zoo.reproduce(FINISHED, x), ()),
    "reproduce run to make": (lambda x, _: zoo.reproduce("no_such_run", run=x), ()),
    "reproduce weights": (lambda x, _: zoo.reproduce("no_such_run", weights=x), ()),
    "reproduce verbose": (lambda x, _: zoo.reproduce("no_such_run", verbose=x), ()),
}


def is_one_of(value, right):
    plain = [one for one in right if type(one) is type(value) and type(one) in PLAIN]
    return any(value is one for one in right) or (type(value) in map(type, plain) and value in plain)


@pytest.mark.filterwarnings("ignore:freeze")
@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_argument_is_answered_by_a_sentence(call, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function, right = CALLS[call]
    raw = []
    for value in WRONG:
        if is_one_of(value, right):
            continue
        try:
            function(value, photos)
        except ZooError as fault:
            text = str(fault)
            if not text.strip() or (call.split()[0] != "finetune" and "\n" in text):
                raw.append((value, text))
        except Exception as fault:
            raw.append((value, f"{type(fault).__name__}: {fault}"))
        else:
            raw.append((value, "was taken"))
    assert not raw, "\n".join(f"{call} = {value!r}: {text[:150]}" for value, text in raw)


def test_every_public_function_is_tried():
    tried = {call.split()[0] for call in CALLS}
    assert {name for name in zoo.__all__ if isinstance(getattr(zoo, name), types.FunctionType)} <= tried
    assert {"Estimator", "Run"} <= tried
