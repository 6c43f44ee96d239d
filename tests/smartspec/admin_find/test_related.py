"""Everything links to everything: from the page of each row to those of its relatives."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.models import AuthEvent, User
from credits.models import Approval, RedemptionCode
from llmproxy.models import Completion
from tests.smartspec.admin_find.world import World, allow, explain_without_scans

pytestmark = pytest.mark.django_db
# From the page of each row to those of others. A user's page has tabs, which test_user_page.py has.
LINKS = {
    "completion": "user hold usage refund_row key provider model back",
    "usage": "user hold completion refund_row key approval back",
    "hold": "user completion usage refund_row key back",
    "refund_row": "user usage boss",
    "given": "user grant_row boss",
    "grant_row": "user given",
    "key": "user completion created",
    "device": "user",
    "created": "user key",
    "provider": "model completion",
    "model": "provider completion",
    "purchase": "user paid paymentevent refund reversal dispute document customer accepted",
    "paid": "user purchase",
    "paymentevent": "purchase refund reversal user",
    "refund": "user purchase reversal paymentevent boss",
    "reversal": "user purchase refund paymentevent",
    "dispute": "user purchase",
    "subscription": "user customer",
    "customer": "user purchase subscription",
    "document": "user purchase",
    "approval": "user usage boss",
    "back": "usage boss",
    "accepted": "purchase boss",
    "batch": "boss",
    "code": "batch user",
    "factor": "user",
    "alert": "user",
    "endpoint": "user",
    "event": "user",
    "entry": "user boss",
}
SMALL = {"plans", "llm_providers", "llm_deployments", "language_models", "packages"}
UNLOGGED = {"entry", "created", "back", "accepted"}


@pytest.fixture
def linked(world: World, boss: User) -> World:
    """Add rows that tie those of the world to each other."""
    asked = {"reason": "Fair", "requester": boss, "expires_at": timezone.now()}
    back = Approval.objects.create(
        kind="refund", amount=2, refunds=world["usage"], key="back", **asked
    )
    accepted = Approval.objects.create(
        kind="accept", amount=500, accepts=world["purchase"], key="accepted", **asked
    )
    key = world["key"]
    created = AuthEvent.objects.create(user=key.user, kind="key_created", details={"id": key.pk})
    code = world["code"]
    RedemptionCode.objects.filter(pk=code.pk).update(
        user=world["user"], redeemed_at=key.created_at, transaction=world["given"]
    )
    for name in LINKS.keys() - UNLOGGED:
        administrators_log.record(boss, Act.EXPORTED, world[name], f"Looked at {name}")
    entry = LogEntry.objects.filter(object_id=str(world["user"].pk), action_flag=Act.ADJUSTED)
    more = {"back": back, "accepted": accepted, "created": created, "entry": entry.get()}
    return World({**world.rows, **more, "boss": boss})


def locate(row: Any) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"


def read_links(client: Client, row: Any) -> set[str]:
    answer = client.get(locate(row))
    assert answer.status_code == 200, locate(row)
    return set(re.findall(r'href="(/admin/[^"?]+/change/)"', answer.content.decode()))


def test_the_page_of_each_row_links_to_its_relatives(client: Client, linked: World) -> None:
    missing = {}
    for name, relatives in LINKS.items():
        found = read_links(client, linked[name])
        wanted = {other for other in relatives.split() if locate(linked[other]) not in found}
        if wanted:
            missing[name] = wanted
        if name not in UNLOGGED:
            entry = LogEntry.objects.get(change_message=f"Looked at {name}")
            assert locate(entry) in found, name
    assert missing == {}


def test_every_link_leads_to_a_page(client: Client, linked: World) -> None:
    pages = {address for name in LINKS for address in read_links(client, linked[name])}
    assert {client.get(address).status_code for address in pages} == {200}
    assert len(pages) > len(LINKS)


def test_nothing_links_to_what_the_reader_may_not_view(
    client: Client, linked: World, make_user: Callable[..., User]
) -> None:
    viewer = make_user("viewer@example.org", is_staff=True)
    client.force_login(viewer)
    for name in LINKS:
        row = linked[name]
        allow(viewer, f"view_{row._meta.model_name}")
        own = f"/admin/{row._meta.app_label}/{row._meta.model_name}/"
        assert {link for link in read_links(client, row) if not link.startswith(own)} == set(), name
    allow(viewer, "view_completion", "view_user")
    assert locate(linked["user"]) in read_links(client, linked["completion"])


def test_the_text_of_a_hidden_link_stays(
    client: Client, linked: World, make_user: Callable[..., User]
) -> None:
    viewer = make_user("viewer@example.org", is_staff=True)
    client.force_login(viewer)
    allow(viewer, "view_purchase")
    page = client.get(locate(linked["purchase"])).content.decode()
    assert "ann.lee@example.com" in page
    assert "evt_1" in page


def test_the_relatives_are_read_by_an_index_and_in_bounds(client: Client, linked: World) -> None:
    for name in LINKS:
        client.get(locate(linked[name]))
        with CaptureQueriesContext(connection) as queries:
            client.get(locate(linked[name]))
        assert len(queries) <= 64, (name, len(queries))
        for sql in [q["sql"] for q in queries if q["sql"].startswith("SELECT")]:
            plan = explain_without_scans(sql)
            scanned = set(re.findall(r"Seq Scan on (\w+)", plan)) - SMALL
            assert not scanned, (name, sql, plan)


def test_a_row_of_an_unknown_caller_or_provider_has_a_page(client: Client, world: World) -> None:
    attempts = [{"provider": "gone", "error": "", "ms": 1}]
    for credential in ("", "key:999999", f"device:{'0' * 32}"):
        Completion.objects.filter(pk=world["completion"].pk).update(
            credential=credential, provider="gone", attempts=attempts
        )
        read_links(client, world["completion"])
