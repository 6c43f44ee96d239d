"""A list is light on the wire, and its numbers and times have one form."""

import gzip
import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import Plan
from tests.smartspec.admin_lists.stage import address_of, list_lists, make_operator

pytestmark = pytest.mark.django_db
MOST_BYTES, MOST_COMPRESSED = 100_000, 20_000


def test_no_list_of_fifty_rows_is_heavy(client: Client, make_user: Any, full_lists: None) -> None:
    client.force_login(make_operator(make_user))
    heavy = {}
    for name, model in list_lists().items():
        body = client.get(address_of(model), headers={"accept-language": "th"}).content
        assert body.count(b"<tr>") == 51, name
        if len(body) > MOST_BYTES or len(gzip.compress(body, 6)) > MOST_COMPRESSED:
            heavy[name] = len(body)
    assert heavy == {}


def test_a_page_is_sent_compressed(client: Client, make_user: Any, full_lists: None) -> None:
    client.force_login(make_operator(make_user))
    address = address_of(list_lists()["credits.transaction"])
    answer = client.get(address, headers={"accept-encoding": "gzip"})
    assert answer["content-encoding"] == "gzip"
    assert len(answer.content) < MOST_COMPRESSED


def test_numbers_stand_right_and_times_are_in_the_zone_of_the_operator(
    client: Client, make_user: Any, full_lists: None
) -> None:
    client.force_login(make_operator(make_user))
    body = client.get(address_of(list_lists()["credits.transaction"])).content.decode()
    assert "Times are in the time zone Asia/Bangkok." in body
    shown = re.findall(r'<time title="2026-11-28 23:59:48Z">(.*?)</time>', body)
    assert shown == ["29 Nov 2026, 06:59"]
    numbers = re.findall(r'<td class="field-moved number">(.*?)</td>', body)
    assert len(numbers) == 50
    assert numbers[1] == "+10,000,001"


def test_what_people_type_is_text_in_a_list(client: Client, make_user: Any) -> None:
    client.force_login(make_operator(make_user, name="<script>alert(1)</script>"))
    sly = "<script>alert(1)</script>"
    Plan.objects.create(slug="sly", name=sly)
    body = client.get(address_of(Plan), {"q": sly}).content.decode()
    assert sly not in body
    assert "&lt;script&gt;alert(1)&lt;/script&gt;</a></th>" in body
