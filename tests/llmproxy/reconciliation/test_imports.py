"""A file is imported once, however often it is sent, and replaces what it covers."""

from decimal import Decimal

import pytest

from accounts.models import User
from llmproxy.models import Provider, ProviderRequest, ProviderUsage, UsageImport
from llmproxy.reconciliation import imports
from llmproxy.reconciliation.files import read_file
from tests.llmproxy.reconciliation import exports
from tests.llmproxy.reconciliation.conftest import load

pytestmark = pytest.mark.django_db
HEADER = exports.OPENROUTER_DAYS.splitlines()[0]


def make_days(*days: tuple[str, int]) -> str:
    lines = (f"2025-03-{day},openai/gpt-4o,0.5,0,1,{tokens},0,0" for day, tokens in days)
    return "\n".join([HEADER, *lines])


def list_current() -> list[tuple[str, str, int | None, Decimal | None]]:
    rows = ProviderUsage.objects.filter(is_current=True).order_by("day", "scope")
    return [(f"{row.day:%d}", row.scope, row.prompt_tokens, row.cost) for row in rows]


def test_a_draft_changes_nothing_and_an_import_all(router: Provider, boss: User) -> None:
    draft = imports.make_draft(
        read_file(exports.OPENROUTER.encode()), provider=router, file_name="a.csv", user=boss
    )
    assert list_current() == []
    seen = imports.preview(draft)
    assert (seen.totals.tokens, seen.totals.cost) == (330, Decimal("0.0065"))
    assert (seen.count("new"), seen.is_useless) == (2, False)
    imports.import_draft(draft.pk, digest=seen.digest, user=boss)
    cost = ("02", "cost", None, Decimal("0.0065"))
    assert list_current() == [cost, ("02", "tokens", 300, None)]
    assert ProviderRequest.objects.filter(is_current=True).count() == 2


def test_the_same_file_twice_counts_once(router: Provider, boss: User) -> None:
    load(exports.OPENROUTER, router, boss)
    before = list_current()
    again = load(exports.OPENROUTER, router, boss)
    assert again.is_useless
    assert list_current() == before
    assert ProviderRequest.objects.count() == 2
    assert ProviderUsage.objects.exclude(replaced_by=None).count() == 2  # the history


def test_overlapping_days_are_replaced_and_others_stay(router: Provider, boss: User) -> None:
    load(make_days(("01", 10), ("02", 20), ("03", 30), ("05", 50)), router, boss)
    seen = load(make_days(("02", 25), ("04", 40)), router, boss)
    assert {day.kind for day in seen.days if day.day.day == 3} == {"gone"}
    tokens = [(day, count) for day, scope, count, _cost in list_current() if scope == "tokens"]
    assert tokens == [("01", 10), ("02", 25), ("04", 40), ("05", 50)]
    old = ProviderUsage.objects.get(day="2025-03-03", scope="tokens")
    assert old.replaced_by == UsageImport.objects.latest("pk")


def test_tokens_and_cost_from_two_files_replace_only_their_own(
    router: Provider, boss: User
) -> None:
    for text in (exports.OPENAI_USAGE, exports.OPENAI_EMBEDDINGS, exports.OPENAI_COSTS):
        load(text, router, boss)
    assert [row[1:] for row in list_current()] == [
        ("cost", None, Decimal("0.0065")),
        ("embeddings", 50, None),
        ("tokens", 300, None),
    ]


def test_files_of_other_providers_are_left_alone(router: Provider, boss: User) -> None:
    other = Provider.objects.create(slug="other", name="Other", base_url="http://10.0.0.1/v1")
    load(exports.OPENROUTER_DAYS, router, boss)
    load(exports.OPENROUTER_DAYS, other, boss)
    assert len(list_current()) == 4


def test_what_was_imported_after_the_preview_is_shown_again(router: Provider, boss: User) -> None:
    draft = imports.make_draft(
        read_file(make_days(("02", 25)).encode()), provider=router, file_name="", user=boss
    )
    digest = imports.preview(draft).digest
    load(make_days(("02", 20)), router, boss)
    with pytest.raises(imports.ImportChanged):
        imports.import_draft(draft.pk, digest=digest, user=boss)
    assert ("02", "tokens", 20, None) in list_current()
    digest = imports.preview(draft).digest
    imports.import_draft(draft.pk, digest=digest, user=boss)
    with pytest.raises(imports.ImportChanged):  # a second click
        imports.import_draft(draft.pk, digest=digest, user=boss)
    assert ("02", "tokens", 25, None) in list_current()


def test_the_provider_is_found_by_its_url_or_its_name(router: Provider) -> None:
    file = read_file(exports.OPENROUTER.encode())
    assert imports.find_provider(file) == router
    claude = Provider.objects.create(slug="anthropic-eu", name="EU", base_url="http://10.0.0.1/v1")
    assert imports.find_provider(read_file(exports.ANTHROPIC_COST.encode())) == claude
    assert imports.find_provider(read_file(exports.OPENAI_USAGE.encode())) is None
    Provider.objects.create(slug="second", name="B", base_url="https://openrouter.ai/api/v1")
    assert imports.find_provider(file) is None
