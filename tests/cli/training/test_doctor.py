import json

import pytest


def test_the_doctor_says_what_is_there_and_what_to_type(typed, monkeypatch):
    monkeypatch.setenv("ZOO_NATIVE_OPERATIONS", "0")
    code, out, _ = typed("doctor")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if line][:1] == ["cores"]
    assert "\nengines       TensorFlow " in out
    advice = "faster: nets train by Keras' own operations, which are slower: unset ZOO_NATIVE_OPERATIONS"
    assert advice in out.splitlines()


def test_the_doctors_document_holds_the_same(typed, monkeypatch):
    monkeypatch.setenv("ZOO_NATIVE_OPERATIONS", "0")
    code, out, _ = typed("doctor", "--json")
    document = json.loads(out)
    assert code == 0
    keys = ["cores", "all_cores", "memory", "free_memory", "instructions", "engines", "has_nvidia", "advice"]
    assert list(document) == ["schema", "kind", *keys]
    assert document["kind"] == "doctor"
    assert "unset ZOO_NATIVE_OPERATIONS" in [one["type"] for one in document["advice"]]


@pytest.mark.slow
def test_measuring_shows_three_nets(typed):
    code, out, _ = typed("doctor", "--measure", "--json")
    assert code == 0
    speeds = json.loads(out)["speeds"]
    assert [one["name"] for one in speeds] == ["mnist_conv", "efficientnet_lite0", "resnet50"]
    assert all(one["forward"] > one["training"] > 0 for one in speeds)
    assert all(one["first_pass"] > one["training"] and one["engine"] for one in speeds)
