"""Answers of many providers, changed at random: `bench.fuzz` does the same for longer."""

from random import Random
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from bench.provider_bytes import answers, rounds
from bench.provider_bytes.answers import ANSWERS
from bench.provider_bytes.mutations import Sent, mutate
from bench.provider_bytes.rounds import Reply
from credits.models import Hold
from credits.proof import audit
from llmproxy.models import Completion, LanguageModel
from tests.llmproxy.scripted_upstream import Upstream
from tests.llmproxy.wild.conftest import PRICES, read_all

pytestmark = pytest.mark.django_db(transaction=True)
SEEDS, ROUNDS = range(3), 40


@pytest.mark.parametrize("seed", SEEDS)
def test_what_holds_for_every_answer(
    seed: int,
    client: Client,
    bearer: Any,
    model: LanguageModel,
    payer: User,
    upstream: Upstream,
    settings: Any,
) -> None:
    settings.WEB_LLM_RPM = settings.WEB_LLM_TPM = 10**9
    headers = bearer(payer)

    def ask(sent: Sent, body: dict[str, Any]) -> Reply:
        upstream.script = lambda handler: rounds.send(handler, sent)
        response = client.post(
            sent.answer.path, body, content_type="application/json", headers=headers
        )
        text = read_all(response)
        row = Completion.objects.get(generation_id=response["x-generation-id"])
        return response.status_code, text, row

    faults = [
        (sent.answer.name, sent.mutation, wrong, sent.pieces)
        for sent, wrong in rounds.play(Random(seed), ask, ROUNDS)
        if wrong
    ]
    assert faults == []
    assert not Hold.objects.filter(state="open").exists()
    assert audit.run().findings == []


def test_the_prices_are_those_of_the_examples() -> None:
    assert {name: int(price) for name, price in PRICES.items()} == answers.PRICES


def test_a_mutation_follows_from_its_seed() -> None:
    assert mutate(ANSWERS[0], Random(1)) == mutate(ANSWERS[0], Random(1))


class Row:
    charged, cost, held, prompt_tokens = 120, 120, 500, 20
    usage_source, status = "exact", "completed"


WHOLE = Sent(ANSWERS[0], "keep", ANSWERS[0].pieces, ANSWERS[0].texts, is_exact=True)
BODY = b"".join(ANSWERS[0].pieces)


@pytest.mark.parametrize(
    ("status", "body", "changed", "fault"),
    [
        (200, BODY, {}, ""),
        (500, BODY, {}, "status 500"),
        (502, BODY, {}, "status 502"),
        (200, BODY, {"charged": 119}, "119 exact completed"),
        (200, BODY, {"usage_source": "estimated"}, "120 estimated"),
        (200, BODY, {"held": 100}, "charged 120 of 100"),
        (200, BODY.replace(b"quick", b"slow"), {}, "without"),
    ],
)
def test_a_violated_invariant_is_noticed(
    status: int, body: bytes, changed: dict[str, Any], fault: str
) -> None:
    row = Row()
    vars(row).update(changed)
    found = list(rounds.find_faults(WHOLE, status, body, row))
    assert [fault in one for one in found] == ([True] if fault else [])
