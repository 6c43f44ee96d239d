"""The frame of the admin's pages: landmarks, titles, history, the installation's name."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.models import User
from tests.smartspec.admin_lists.stage import address_of, list_registered, make_operator

pytestmark = pytest.mark.django_db
WORDS = re.compile(r"<[^>]+>|\s+")


@pytest.fixture
def boss(client: Client, make_user: Any) -> User:
    operator = make_operator(make_user)
    client.force_login(operator)
    return operator


def read(markup: str) -> str:
    return WORDS.sub(" ", markup).strip()


def test_the_title_of_a_list_is_that_of_its_entry_in_the_menu(client: Client, boss: User) -> None:
    for name, model in list_registered().items():
        page = client.get(address_of(model)).content.decode()
        entry = re.search(
            r'<a href="[^"]+"\s+class="active".*?<span>([^<]+)</span>', page, re.DOTALL
        )
        heading = re.search(r"<h1.*?</h1>", page, re.DOTALL)
        assert heading, name
        shown = [part for part in re.split(r"\s+chevron_right\s+|\s{2,}", read(heading[0])) if part]
        title = entry[1] if entry else shown[-1]
        assert shown[-1] == title, name
        assert f"<title> {title} | SmartSpec</title>" in re.sub(r"\s+<", "<", page), name


def test_pages_have_landmarks_and_can_be_read_without_javascript(
    client: Client, boss: User
) -> None:
    page = client.get("/admin/accounts/user/").content.decode()
    for landmark in ("<header>", '<main class="grow">', "<nav ", "<footer>", 'href="#content"'):
        assert page.count(landmark) >= 1, landmark
    plain = re.search(r"<noscript>(.*?)</noscript>", page, re.DOTALL)
    assert plain
    assert "admin-plain" in plain[1]
    assert "JavaScript is off." in plain[1]


def test_a_history_begins_with_the_newest_entry(client: Client, boss: User) -> None:
    for number in range(3):
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=number)):
            administrators_log.record(boss, Act.ADJUSTED, boss, f"entry {number}")
    page = client.get(address_of(User, "history", boss.pk)).content.decode()
    assert re.findall(r"entry \d", page) == ["entry 2", "entry 1", "entry 0"]


@pytest.mark.parametrize(("name", "colour"), [("Staging", "blue"), ("production", "red")])
def test_each_page_names_the_installation(
    client: Client, boss: User, settings: Any, name: str, colour: str
) -> None:
    settings.ENVIRONMENT_NAME = name
    page = client.get("/admin/accounts/user/").content.decode()
    assert f"<title>[{name}]" in page
    label = re.search(rf'<span class="([^"]*)"\s*>\s*{name}\s*</span>', page)
    assert label
    assert f"bg-{colour}-100" in label[1]


def test_no_page_names_an_installation_without_a_name(client: Client, boss: User) -> None:
    assert "<title>[" not in client.get("/admin/").content.decode()


def test_days_begin_at_midnight_of_the_operator(client: Client, boss: User) -> None:
    midnight = datetime(2026, 11, 30, 17, 30, tzinfo=UTC)  # 1 December in Bangkok
    with time_machine.travel(midnight):
        administrators_log.record(boss, Act.ADJUSTED, boss, "just after midnight")
    for day, found in (("2026-12-01", 1), ("2026-11-30", 0)):
        query = {"action_time_from": day, "action_time_to": day}
        rows = client.get("/admin/admin/logentry/", query).context["cl"].result_list
        assert len(rows) == found, day
