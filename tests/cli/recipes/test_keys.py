import json

from tests.cli.recipes.conftest import run


def test_schema_prints_the_json_schema():
    schema = json.loads(run("schema").stdout)
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Phase"]["properties"]["learning_rate"] == {
        "default": 0.001,
        "description": "The highest learning rate of the phase; `zoo lr-find` suggests one.",
        "exclusiveMinimum": 0,
        "maximum": 100,
        "title": "Learning Rate",
        "type": "number",
    }
