"""The archive has every table that leads to a person, and no secret."""

import csv
import json
import zipfile
from collections.abc import Callable
from io import BytesIO, StringIO
from typing import Any

import pytest
from django.apps import apps
from django.db.models import Model
from django.test import Client
from playwright.sync_api import Browser

from accounts.access import api_keys
from accounts.models import User
from accounts.toolbox.request_source import Source
from credits.models import PaymentEvent, Purchase
from llmproxy.models import Completion
from smartspec.personal_data import archive, pages
from smartspec.personal_data.tables import EXPORTED, LEFT_OUT
from tests.deviceauth.conftest import Device
from tests.pages import (
    CHROMIUM,
    DESKTOP,
    PHONE,
    check_page,
    extract_text,
    follow,
    log_in,
    open_strict_page,
)

pytestmark = pytest.mark.django_db
HERE, FILE = "/account/data", "/account/data/archive"
PASSWORD = {"password": "correct horse battery"}
SECRETS = ("password", "secret", "encrypted", "checksum", "session_key", "token_checksum", "form")


def list_personal_models() -> set[type[Model]]:
    """Return the models with a foreign key to a user, or to another model of these."""
    found: set[type[Model]] = {User}
    every = apps.get_models(include_auto_created=True)
    while more := {model for model in every if model not in found and leads_to(model, found)}:
        found |= more
    return found


def leads_to(model: type[Model], found: set[type[Model]]) -> bool:
    return any(column.related_model in found for column in model._meta.concrete_fields)


def test_each_table_with_a_path_to_a_user_is_exported_or_left_out_with_a_reason() -> None:
    named = [table.model for table in EXPORTED]
    assert sorted(model._meta.label for model in list_personal_models()) == sorted(
        [*named, *LEFT_OUT]
    )
    assert all(LEFT_OUT.values())
    assert len(set(named)) == len(named)


def test_the_columns_that_are_hidden_exist_and_no_secret_is_shown() -> None:
    for table in EXPORTED:
        columns = {column.name for column in apps.get_model(table.model)._meta.concrete_fields}
        assert columns >= {*table.hidden, *table.cleaners}, table
        shown = {column.name for column in archive.list_columns(table)}
        assert not {name for name in shown if name.startswith(SECRETS)}, table


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user(credits=50, name="=Ann")


@pytest.fixture
def person(client: Client, user: User) -> Client:
    client.force_login(user)
    assert client.post("/accounts/reauthenticate/", PASSWORD).status_code == 302
    return client


def get_archive(person: Client) -> zipfile.ZipFile:
    answer: Any = person.post(FILE)
    assert answer["Content-Type"] == "application/zip"
    return zipfile.ZipFile(BytesIO(b"".join(answer.streaming_content)))


def read_json(file: zipfile.ZipFile, name: str) -> Any:
    return json.loads(file.read(f"json/{name}.json"))


def read_csv(file: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(file.read(f"csv/{name}.csv").decode("utf-8-sig"))))


def test_the_archive_has_each_table_twice_and_says_what_they_are(
    person: Client, user: User
) -> None:
    file = get_archive(person)
    assert file.testzip() is None
    names = {table.name for table in EXPORTED}
    assert set(file.namelist()) == {
        "README.txt",
        *(f"json/{name}.json" for name in names),
        *(f"csv/{name}.csv" for name in names),
    }
    for name in names:
        found = read_json(file, name)
        assert (found["complete"], len(found["rows"])) == (True, len(read_csv(file, name)))
    readme = file.read("README.txt").decode()
    assert user.public_id in readme
    assert "accounts_apikey: API keys" in readme
    person.post("/i18n/set", {"language": "th", "next": "/"})
    assert "accounts_apikey: คีย์ API" in get_archive(person).read("README.txt").decode()


def test_the_archive_has_what_is_known_and_no_secret(
    person: Client, user: User, make_user: Callable[..., User]
) -> None:
    key = api_keys.create(user=user, name="Mine", source=Source())
    api_keys.create(user=make_user("bob@example.com"), name="Foreign", source=Source())
    device = Device().start().approved_by(user).redeem()
    file = get_archive(person)
    (row,) = read_json(file, "accounts_user")["rows"]
    assert (row["email"], row["credits"]) == (user.email, 50)
    (cells,) = read_csv(file, "accounts_user")
    assert (cells["name"], cells["date_joined"]) == ("'=Ann", user.date_joined.isoformat())
    assert [one["name"] for one in read_json(file, "accounts_apikey")["rows"]] == ["Mine"]
    assert [one["amount"] for one in read_json(file, "credits_transaction")["rows"]] == [50]
    assert len(read_json(file, "deviceauth_devicesession")["rows"]) == 1
    user.refresh_from_db()
    text = b"".join(map(file.read, file.namelist())).decode()
    secrets = (key.plain, key.key.checksum, user.password, *device.tokens.values())
    for secret in (one for one in map(str, secrets) if len(one) > 20):
        assert secret not in text
    assert "Foreign" not in text
    assert "bob@example.com" not in text


def test_what_only_the_operator_sees_is_not_in_it(person: Client, user: User) -> None:
    attempts = [{"provider": "p", "error": "upstream_error", "ms": 1, "status": 418}]
    completion = Completion(
        generation_id="gen_1",
        user=user,
        attempts=attempts,
        model="small",
        provider="p",
        provider_cost=3,
        **dict.fromkeys(_NUMBERS, 0),
        is_stream=False,
        status="failed",
        usage_source="none",
    )
    completion.save()
    (row,) = read_json(get_archive(person), "llmproxy_completion")["rows"]
    assert row["attempts"] == [{"provider": "p", "error": "upstream_error", "ms": 1}]
    assert "provider_cost" not in row


_NUMBERS = (
    *("prompt_tokens", "cached_tokens", "completion_tokens", "held", "cost", "charged"),
    *("uncollected", "total_ms", "prompt_price", "completion_price"),
)


def test_what_stripe_sent_is_without_its_keys(person: Client, user: User) -> None:
    purchase = Purchase.objects.create(
        user=user,
        kind="package",
        name="Pro",
        credits=1,
        currency="usd",
        net=100,
        total=100,
        livemode=False,
        language="en",
        state="open",
    )
    payload = {"data": {"object": {"id": "pi_1", "client_secret": "pi_1_secret_x", "a": [{}]}}}
    PaymentEvent.objects.create(
        stripe_id="evt_1",
        type="x",
        livemode=False,
        object_id="pi_1",
        payload=json.dumps(payload),
        purchase=purchase,
    )
    (row,) = read_json(get_archive(person), "credits_paymentevent")["rows"]
    assert row["payload"] == {"data": {"object": {"id": "pi_1", "a": [{}]}}}


def test_a_table_that_is_too_long_keeps_the_newest_rows_and_says_so(
    person: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("One", "Two", "Three"):
        api_keys.create(user=user, name=name, source=Source())
    monkeypatch.setattr(archive, "MAX_ROWS", 2)
    monkeypatch.setattr(archive, "CHUNK", 1)
    file = get_archive(person)
    found = read_json(file, "accounts_apikey")
    assert (found["complete"], [row["name"] for row in found["rows"]]) == (False, ["Two", "Three"])
    assert archive.CUT in file.read("csv/accounts_apikey.csv").decode().splitlines()[-1]


def test_the_archive_asks_for_the_password_and_comes_some_times_a_day(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "ARCHIVES_PER_DAY", 1)
    assert client.get(HERE).status_code == client.get(FILE).status_code == 302
    client.force_login(user)
    assert "/accounts/reauthenticate/" in client.post(FILE)["Location"]
    assert client.get(FILE, follow=True).redirect_chain[0][0].startswith("/accounts/reauth")
    client.post("/accounts/reauthenticate/", PASSWORD)
    assert client.get(FILE).status_code == 200
    assert [client.post(FILE).status_code for _time in range(2)] == [200, 429]


def test_the_page_leads_to_archive_statements_and_deletion(person: Client, user: User) -> None:
    page = person.get(HERE)
    for address in (FILE, f"/account/statements/{user.date_joined:%Y-%m}", "/account/delete"):
        assert f'href="{address}"' in page.content.decode()
    person.force_login(User.objects.create_user("new@example.com", None))
    assert "No credits have moved yet." in extract_text(person.get(HERE))


@pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_data_and_statements_in_a_browser(
    kind: dict[str, Any], browser: Browser, live_server: Any, user: User
) -> None:
    context = browser.new_context(**kind, base_url=live_server.url)
    log_in(context, user, live_server.url)
    with open_strict_page(context, live_server.url) as page:
        page.goto(HERE)
        check_page(page, "data")
        follow(page.locator("main .codes a").first)
        check_page(page, "statement")
        page.goto(FILE)
        page.locator("input[type=password]").fill(PASSWORD["password"])
        with page.expect_navigation():
            page.keyboard.press("Enter")
        check_page(page, "archive")
        with page.expect_download() as started:
            page.locator("main form button").click()
        assert zipfile.ZipFile(started.value.path()).testzip() is None
    context.close()
