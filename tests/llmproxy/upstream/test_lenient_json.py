"""JSON of providers that the standard does not allow must not reach a caller."""

import json

import pytest

from llmproxy import lenient_json

NO_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"]


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize("text", ["plain", "\\ud83d"])
def test_what_json_cannot_say_becomes_null(number: str, text: str) -> None:
    value = lenient_json.decode(f'{{"text": "{text}", "number": {number}, "half": 0.5}}')
    written = lenient_json.encode(value).decode()
    assert json.loads(written) == {"text": json.loads(f'"{text}"'), "number": None, "half": 0.5}
