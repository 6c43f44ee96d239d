"""Python sends the keys that the SQL functions read, and reads those that they return.

The keys of the SQL are taken from the functions and the table in the database.
"""

import json
import re
from collections.abc import Callable, Iterator, Set
from typing import Any, get_args

import pytest
from django.db import connection

from accounts.models import User
from llmproxy.completion import settlement
from llmproxy.database import contract
from llmproxy.database.contract import (
    AdmissionGranted,
    AdmissionRequest,
    Answered,
    FreeGranted,
    FreeRequest,
    Repeated,
    Settled,
    SettlementRequest,
)
from llmproxy.metering.price_kinds import COLUMN_KINDS, COUNT_COLUMNS

pytestmark = pytest.mark.django_db


def differences(sent: Set[str], read: Set[str]) -> list[str]:
    """Return one message for each key that only one side has."""
    return sorted(
        [f"{key} is missing" for key in read - sent] + [f"{key} is surplus" for key in sent - read]
    )


def source(function: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = %s", [function])
        ((text,),) = cursor.fetchall()
        return re.sub("--.*", "", text)


def columns(table: str) -> set[str]:
    with connection.cursor() as cursor:
        return {
            column.name for column in connection.introspection.get_table_description(cursor, table)
        }


def record_columns(text: str) -> set[str]:
    """Return the names in `jsonb_to_record(p) AS a(...)`."""
    ((signature,),) = [re.findall(r"jsonb_to_record\(p\) AS a\(([^)]*)\)", text)]
    return {column.split()[0].strip('"') for column in signature.split(",")}


def members(text: str) -> set[str]:
    """Return the names in `p -> 'name'` and `p ->> 'name'`."""
    return set(re.findall(r"\bp\s*->>?\s*'(\w+)'", text))


def assigned(text: str) -> set[str]:
    """Return the columns of `completion` that the function computes itself."""
    return set(re.findall(r"\bcompletion\.(\w+)\s*:=", text)) | set(
        re.findall(r"INTO completion\.(\w+)", text)
    )


def answers(text: str) -> list[frozenset[str]]:
    """Return the keys of each object that the function returns."""
    return [
        frozenset(keys(text[match.end() :]))
        for match in re.finditer(r"RETURN json_build_object\(", text)
    ]


def keys(arguments: str) -> Iterator[str]:
    """Yield the 1st, 3rd, 5th … argument of a call; `arguments` is the text after its bracket."""
    depth, start, number = 0, 0, 0
    for position, character in enumerate(arguments):
        depth += (character == "(") - (character == ")")
        if depth < 0 or (depth == 0 and character == ","):
            if number % 2 == 0:
                yield arguments[start:position].strip().strip("'")
            start, number = position + 1, number + 1
        if depth < 0:
            return


def sent_to_settlement() -> set[str]:
    prices = (kind.column for kind in COLUMN_KINDS)
    return {*SettlementRequest.__annotations__, *COUNT_COLUMNS, *prices}


def read_by_settlement() -> set[str]:
    text = source("gateway_settle")
    return columns("completions") - assigned(text) - {"id"} | members(text)


def keys_of(*types: Any) -> set[frozenset[str]]:
    return {frozenset(each.__annotations__) for each in types}


def test_admission_is_asked_with_the_keys_that_it_reads() -> None:
    text = source("gateway_admit")
    assert (
        differences(set(AdmissionRequest.__annotations__), record_columns(text) | members(text))
        == []
    )


def test_a_free_admission_is_asked_with_the_keys_that_it_reads() -> None:
    read = record_columns(source("gateway_admit_free"))
    assert differences(set(FreeRequest.__annotations__), read) == []
    assert set(FreeRequest.__annotations__) < set(AdmissionRequest.__annotations__)


@pytest.mark.parametrize("function", ["gateway_admit", "gateway_admit_free"])
def test_every_key_of_an_admission_is_used(function: str) -> None:
    text = source(function)
    used = set(re.findall(r'\brequest\."?(\w+)', text))
    assert differences(used, record_columns(text)) == []


def test_settlement_is_asked_with_the_keys_that_it_reads() -> None:
    assert differences(sent_to_settlement(), read_by_settlement()) == []


def test_what_is_sent_to_settlement_is_what_the_types_say(
    chat: Callable[..., Any], user: User, upstream: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_once, sent = settlement._settle_once, []

    def noted(run: Any, argument: str) -> Any:
        sent.append(json.loads(argument))
        return settle_once(run, argument)

    monkeypatch.setattr(settlement, "_settle_once", noted)
    assert chat(user).status_code == 200
    assert [differences(set(each), sent_to_settlement()) for each in sent] == [[]]


def test_a_missing_and_a_surplus_key_are_found() -> None:
    read = read_by_settlement()
    sent = sent_to_settlement()
    assert differences(sent - {"metadata"}, read) == ["metadata is missing"]
    assert differences(sent - {"prompt_tokens"}, read) == ["prompt_tokens is missing"]
    assert differences(sent | {"charged"}, read) == ["charged is surplus"]
    admission = record_columns(source("gateway_admit"))
    assert differences(admission - {"digest"}, admission) == ["digest is missing"]
    assert differences(admission | {"colour"}, admission) == ["colour is surplus"]


def test_a_key_that_only_the_sql_was_given_is_found() -> None:
    text = source("gateway_settle").replace("p ->> 'answer'", "p ->> 'reply'")
    read = columns("completions") - assigned(text) - {"id"} | members(text)
    assert differences(sent_to_settlement(), read) == ["answer is surplus", "reply is missing"]


def test_a_column_that_only_the_table_was_given_is_found() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE completions ADD COLUMN more_tokens bigint")
    assert differences(sent_to_settlement(), read_by_settlement()) == ["more_tokens is missing"]


def test_admission_answers_with_the_keys_that_python_reads() -> None:
    refused = set(get_args(contract.AdmissionRefused)) - {Answered}
    assert set(answers(source("gateway_admit"))) == keys_of(AdmissionGranted, *refused)


def test_a_free_admission_answers_with_the_keys_that_python_reads() -> None:
    refused = set(get_args(contract.FreeRefused))
    assert set(answers(source("gateway_admit_free"))) == keys_of(FreeGranted, *refused)


def test_a_repetition_is_answered_with_the_keys_that_python_reads() -> None:
    (known,) = answers(source("gateway_known"))
    assert {known | {"rates"}} == keys_of(Repeated) == keys_of(Answered)


def test_settlement_answers_with_the_keys_that_python_reads() -> None:
    assert set(answers(source("gateway_settle"))) == keys_of(Settled)
