"""The box of the admin that finds anything."""

import io
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import ApiKey, User
from deviceauth.models import DeviceSession
from smartspec.admin.find.terms import read_term
from tests.smartspec.admin_find.world import CODE, KEY, TOKEN, World, allow, make_completion

pytestmark = pytest.mark.django_db
FIND = "/admin/find/"
BAD_TERMS = [
    "",
    "   ",
    "\x00",
    "ann\x00.lee@example.com",
    "a" * 10_000,
    "%" * 300,
    "1" * 300,
    str(2**63),
    "０１２",
    "٣",
    "-1",
    "%_\\",
    "สมชาย@ทดสอบ.ไทย",
    "somchai@ทด",
    "\u202eevil",
    "é́" * 120,
    "'; DROP TABLE users; --",
    "usr_",
    "gen_",
    "req_",
    "pi_",
    "re_",
    "@",
    "a@b@c",
    "….",
    "🦊" * 60,
    "sk-",
    "ch_123456789012345678901234",
]


def search(client: Client, term: str) -> list[str]:
    """Return the addresses that the open box offers."""
    answer = client.post(FIND, {"q": term, "box": "1"})
    assert answer.status_code == 200
    return [hit.link for hit in answer.context["hits"].rows]


def locate(row: Any) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"


def test_each_kind_of_term_finds_its_row(client: Client, world: World) -> None:
    user, completion = world["user"], world["completion"]
    expected = {
        "ann.lee@example.com": "user",
        " ANN.lee@Example.com\n": "user",
        "ann.l": "user",
        user.public_id: "user",
        user.public_id[:9]: "user",
        "gen_1": "completion",
        completion.trace_id: "completion",
        completion.request_id: "completion",
        world["purchase"].public_id: "purchase",
        "pi_paid": "purchase",
        "cs_test_1": "purchase",
        "in_1": "purchase",
        "sub_1": "subscription",
        "du_1": "dispute",
        "cus_1": "customer",
        "evt_1": "paymentevent",
        "r-1": "document",
        KEY: "key",
        f'curl -H "Authorization: Bearer {KEY}" https://x.example': "key",
        KEY[-4:]: "key",
        f"sk-…{KEY[-4:]}": "key",
        f"sk-Lea...{KEY[-4:]}": "key",
        "ci ser": "key",
        TOKEN: "device",
        "ANN'S macbook": "device",
        CODE: "code",
        CODE.lower().replace("-", " "): "code",
        "····PQRS": "code",
        "brig": "model",
        "cloud n": "provider",
        world["endpoint"].public_id: "endpoint",
    }
    for term, name in expected.items():
        assert search(client, term) == [locate(world[name])], term
    assert search(client, "re_1") == [
        locate(world[name]) for name in ("refund", "reversal", "paymentevent")
    ]


def test_a_number_finds_a_row_of_every_kind_that_has_it(client: Client, world: World) -> None:
    for name in ("user", "given", "completion", "hold", "purchase", "approval", "key", "batch"):
        assert locate(world[name]) in search(client, str(world[name].pk)), name


def test_one_match_leads_to_its_page_and_several_are_listed(
    client: Client, world: World, make_user: Callable[..., User]
) -> None:
    assert client.post(FIND, {"q": "gen_1"})["Location"] == locate(world["completion"])
    make_user("ann.other@example.com")
    there = client.post(FIND, {"q": "ann."})["Location"]
    assert there == "/admin/find/?q=ann."
    page = client.get(there).content.decode()
    assert "ann.lee@example.com" in page
    assert "ann.other@example.com" in page


def test_the_results_say_what_each_is_in_which_state_and_whose(
    client: Client, world: World
) -> None:
    ApiKey.objects.filter(pk=world["key"].pk).update(revoked_at=world["key"].created_at)
    (hit,) = client.post(FIND, {"q": KEY, "box": "1"}).context["hits"].rows
    assert hit.title == "CI server"
    assert hit.text == f"API key · sk-…{KEY[-4:]} · Revoked · ann.lee@example.com"


def test_a_list_of_the_menu_is_found_by_its_title(client: Client, boss: User) -> None:
    lists = client.post(FIND, {"q": "purch", "box": "1"}).context["hits"].lists
    assert [hit.link for hit in lists] == ["/admin/credits/purchase/"]


@pytest.mark.parametrize("secret", [KEY, TOKEN, CODE, "sk-cut_off_by_a_log"])
def test_a_secret_is_in_no_address_no_page_no_log_and_no_statement(
    client: Client, world: World, secret: str, settings: Any
) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logging.getLogger().addHandler(handler)
    try:
        with CaptureQueriesContext(connection) as queries:
            answers = [
                client.post(FIND, {"q": secret}),
                client.post(FIND, {"q": secret, "box": "1"}),
                client.post(FIND, {"q": f"{secret[:-1]}#"}),
                client.get(FIND, {"q": secret}),
            ]
    finally:
        logging.getLogger().removeHandler(handler)
    for answer in answers:
        assert secret not in answer.headers.get("Location", "") + answer.content.decode()
    assert answers[-1]["Location"] == FIND
    assert secret not in written.getvalue()
    digits = secret.replace("-", "")
    assert not [q["sql"] for q in queries if secret in q["sql"] or digits in q["sql"]]


def test_unfolds_own_search_takes_nothing_any_more(client: Client, boss: User) -> None:
    answer = client.get("/admin/search/", {"s": KEY, "extended": "1"})
    assert answer["Location"] == FIND


def test_no_term_breaks_the_box_or_the_page(client: Client, world: World) -> None:
    for term in BAD_TERMS:
        search(client, term)
        assert client.post(FIND, {"q": term}).status_code in (200, 302), term
        if len(term) < 1000:
            expected = 400 if "\x00" in term else 200  # as for every address of the site
            assert client.get(FIND, {"q": term}).status_code in (expected, 302), term


def test_a_term_that_is_too_long_is_refused_in_words_but_a_key_in_it_is_found(
    client: Client, world: World
) -> None:
    page = client.post(FIND, {"q": "a" * 10_000}).content.decode()
    assert "longer than anything that can be found" in page
    assert search(client, f"{'a ' * 400}{KEY}{' a' * 400}") == [locate(world["key"])]


def test_only_what_the_administrator_may_view_is_found(
    client: Client, world: World, make_user: Callable[..., User]
) -> None:
    viewer = make_user("viewer@example.org", is_staff=True)
    client.force_login(viewer)
    assert search(client, "gen_1") == search(client, "ann.lee") == search(client, KEY) == []
    allow(viewer, "view_apikey")
    assert search(client, KEY) == [locate(world["key"])]
    (hit,) = client.post(FIND, {"q": KEY, "box": "1"}).context["hits"].rows
    assert "ann.lee" not in hit.text
    allow(viewer, "view_user")
    assert search(client, "ann.lee") == [locate(world["user"])]
    assert search(client, KEY) == []
    client.force_login(world["user"])
    assert client.post(FIND, {"q": "ann"}).status_code == 302
    assert client.post(FIND, {"q": "ann"})["Location"].startswith("/admin/login/")


def test_a_name_that_many_devices_have_is_bounded(client: Client, world: World) -> None:
    device = world["device"]
    DeviceSession.objects.bulk_create(
        DeviceSession(
            user=device.user,
            name=f"MacBook {number}",
            application=device.application,
            token_family=f"00000000-0000-0000-0000-{number:012}",
        )
        for number in range(40)
    )
    answer = client.post(FIND, {"q": "macbook", "box": "1"})
    assert len(answer.context["hits"].rows) == 10
    assert "There are more" in answer.content.decode()


def test_a_trace_of_many_completions_shows_the_newest(client: Client, world: World) -> None:
    rows = [
        make_completion(world["user"], f"gen_t{n}", trace_id="one-trace-of-many") for n in range(12)
    ]
    found = search(client, "one-trace-of-many")
    assert found == [locate(row) for row in rows[:1:-1]]


def test_what_is_typed_is_cleaned() -> None:
    assert read_term(" \u200busr_1\u00a0").text == "usr_1"
    assert read_term('"gen_1"').text == "gen_1"
    assert read_term("123456789012345678901").number is None
    assert not read_term("4bf92f3577b34da6a3ce929d0e0e4736").is_secret
    assert not read_term("desk-sk").is_secret
    assert read_term("a" * 43).token == read_term(f"{'Ab' * 20}abc@example.com").token == ""
