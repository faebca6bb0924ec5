import json

import pytest

from zoo.models.saved_card import CardError, parse_card
from zoo.registry.fitting import ImageFit

CARD = {
    "schema": 1,
    "kind": "card",
    "architecture": "mnist_conv",
    "input_shape": [28, 28, 1],
    "classes": ["cat", "dog"],
    "weights": "none",
    "dropout": None,
    "options": {},
    "precision": "float32",
    "preprocessing": {"pixels": "0..1", "resize": "crop", "crop_share": 0.5, "interpolation": "bicubic", "white": 4095},
    "licence": {"code": "Apache-2.0", "initial_weights": "CC0-1.0"},
    "sha256": "00",
}


def test_a_card_is_read():
    card = parse_card(CARD)
    assert card.blueprint.classes == ("cat", "dog")
    assert card.blueprint.input_shape == (28, 28, 1)
    assert card.blueprint.fit == ImageFit(crop_share=0.5, interpolation="bicubic", white=4095)
    assert (card.precision, card.sha256, card.blueprint.licence) == ("float32", "00", "CC0-1.0")


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("schema", 2, "schema is 2; expected 1; use a newer zoo"),
        ("architecture", ["mnist_conv"], "architecture is ['mnist_conv']; expected a text"),
        ("architecture", "", "architecture is ''; expected a name"),
        ("architecture", "a" * 2000, "expected a name"),
        ("input_shape", True, "input_shape is True; expected a list"),
        ("input_shape", [28, True, 1], "expected positive whole numbers"),
        ("input_shape", [28, 2.5, 1], "expected positive whole numbers"),
        ("input_shape", [28, 0, 1], "expected positive whole numbers"),
        ("input_shape", [], "expected positive whole numbers"),
        ("input_shape", [20000, 20000, 1], "expected at most 8192 a side and 67,108,864 values"),
        ("input_shape", [28, 28, 10**9], "expected at most 8192 a side and 67,108,864 values"),
        ("input_shape", [8192, 8192, 4], "expected at most 8192 a side and 67,108,864 values"),
        ("input_shape", [10**400, 1, 1], "expected at most 8192 a side"),
        ("classes", "abcd", "classes is 'abcd'; expected a list"),
        ("classes", {"a": 1}, "classes is {'a': 1}; expected a list"),
        ("classes", ["a"], "classes has 1 names; expected 2 to 1,000,000"),
        ("classes", ["a", "b", "a"], "classes holds 'a' twice; expected different names"),
        ("classes", ["a", ""], "classes holds ''; expected texts"),
        ("classes", ["a", " \t"], "expected texts"),
        ("classes", ["a", {"b": 1}], "classes holds {'b': 1}; expected texts"),
        ("classes", ["a", "\x1b]0;title\x07"], "expected names that any line can show"),
        ("classes", ["a", "b\nzoo: ok"], "expected names that any line can show"),
        ("classes", ["a", "\u202egnp.exe"], "expected names that any line can show"),
        ("weights", 3, "weights is 3; expected a text"),
        ("dropout", 5, "dropout is 5; expected a number in [0, 1) or null"),
        ("dropout", float("nan"), "dropout is nan; expected a number in [0, 1) or null"),
        ("dropout", "half", "dropout is 'half'; expected a number in [0, 1) or null"),
        ("options", [1], "options is [1]; expected an object"),
        ("precision", None, "precision is None; expected a text"),
        ("sha256", 7, "sha256 is 7; expected a text"),
        ("licence", "MIT", "licence is 'MIT'; expected an object"),
        ("preprocessing", [], "preprocessing is []; expected an object"),
        ("preprocessing", {"pixels": "none"}, "resize is missing; expected a text"),
        ("preprocessing", {"resize": ["crop"]}, "resize is ['crop']; expected a text"),
        ("preprocessing", {"resize": "squash"}, "data.resize is 'squash'"),
        ("preprocessing", {"resize": "crop", "crop_share": True}, "crop_share is True; expected a number"),
        ("preprocessing", {"resize": "crop", "crop_share": 87.5}, "data.crop_share is 87.5"),
        ("preprocessing", {"resize": "crop", "white": 1.5}, "white is 1.5; expected a whole number"),
        ("preprocessing", {"resize": "crop", "white": -1}, "data.white is -1"),
    ],
)
def test_a_value_that_no_zoo_writes_is_refused_by_its_key(key, value, text):
    with pytest.raises(CardError) as raised:
        parse_card({**CARD, key: value})
    assert text in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("key", ["architecture", "input_shape", "classes", "weights", "options", "preprocessing"])
def test_a_key_that_is_missing_is_named(key):
    with pytest.raises(CardError, match=f"^{key} is missing; expected "):
        parse_card({name: value for name, value in CARD.items() if name != key})


def test_a_message_quotes_no_more_than_a_line():
    with pytest.raises(CardError) as raised:
        parse_card({**CARD, "classes": ["a" * 10_000_000, 3]})
    assert len(str(raised.value)) < 300
    with pytest.raises(CardError) as raised:
        parse_card({**CARD, "input_shape": json.loads("[" * 90 + "]" * 90)})
    assert len(str(raised.value)) < 300
