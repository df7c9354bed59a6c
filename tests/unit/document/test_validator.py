"""The schema, and the validator that is made from it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import fastjsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrun.document import validator
from fastrun.document.check import compile_schema, load_schema
from fastrun.document.task import SCHEMA_PATH
from tests.support.documents import exec_
from tests.support.strategies import json_values
from tools import make_validator


def test_the_shipped_validator_is_made_from_the_schema():
    with open(SCHEMA_PATH, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    assert digest == validator.SCHEMA_SHA256, "run: python -m tools.make_validator"
    assert load_schema()["definitions"]["task"]["properties"].keys() == validator.KEYS


def rules() -> dict[str, Any]:
    """What the schema says of a task, without the rule that the validator leaves to the reader."""
    task: dict[str, Any] = load_schema()["definitions"]["task"]
    del task["dependencies"]["arguments"]
    return task


compiled = compile_schema(rules())

texts = st.text(max_size=3) | st.sampled_from(["exec", "eval", "\0", "a=b", ""])

# Valid, or wrong in one or two keys.
near_tasks = st.fixed_dictionaries(
    {
        "name": texts,
        "type": st.sampled_from(["exec", "eval"]) | texts,
        "arguments": texts | st.lists(texts | json_values, max_size=3),
    },
    optional={
        "dependencies": st.lists(texts, max_size=3) | json_values,
        "cwd": texts | json_values,
        "env": st.dictionaries(texts, texts | json_values, max_size=3) | json_values,
        "where": st.sampled_from(["cluster", "local", "process", "thread"]) | texts | json_values,
        "script": texts | json_values,
        "shell": st.sampled_from(["sh", "bash", "fish"]) | st.lists(texts | json_values, max_size=2) | json_values,
        "detach": st.booleans(),
        "x": json_values,
    },
)
less_or_more = st.builds(
    lambda task, without, change: {key: value for key, value in {**task, **change}.items() if key not in without},
    near_tasks,
    st.sets(st.sampled_from(sorted(validator.KEYS)), max_size=2),
    st.dictionaries(st.sampled_from(sorted(validator.KEYS)), json_values, max_size=2),
)


plain = less_or_more.map(lambda item: {key: item[key] for key in item.keys() & validator.PLAIN_KEYS})


@given(near_tasks | less_or_more | plain | json_values)
def test_the_shipped_validator_and_a_new_one_agree(item):
    def verdict(validate, exception) -> bool:
        before = json.dumps(item)
        try:
            validate(item)
        except exception:
            return False
        finally:
            assert json.dumps(item) == before
        return True

    right = verdict(compiled, fastjsonschema.JsonSchemaException)
    assert verdict(validator.validate, validator.Invalid) is right
    if not isinstance(item, dict) or item.keys() <= validator.PLAIN_KEYS:
        assert verdict(validator.validate_plain, validator.Invalid) is right


def test_the_generator_writes_a_validator_that_agrees():
    made: dict[str, Any] = {}
    exec(make_validator.generate(), made)
    assert (made["SCHEMA_SHA256"], made["KEYS"]) == (validator.SCHEMA_SHA256, validator.KEYS)
    assert made["PLAIN_KEYS"] == validator.PLAIN_KEYS
    assert made["validate"](exec_("a", "true", "b")) == exec_("a", "true", "b")
    with pytest.raises(made["Invalid"]):
        made["validate"](exec_("a", "true", cwd=""))


def test_the_schema_is_a_superset_of_what_it_began_as():
    with open(SCHEMA_PATH) as file:
        schema = json.load(file)
    task = schema["definitions"]["task"]
    assert schema["required"] == ["tasks"]
    assert task["required"] == ["name", "type"]
    assert task["anyOf"][0] == {"required": ["arguments"]}
    assert task["properties"]["type"]["enum"] == ["exec", "eval"]
    assert "additionalProperties" not in schema
    assert "additionalProperties" not in task
