"""The pages of webhooks: a secret that is seen once, a log, a test with a limit."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import WebhookDelivery, WebhookEndpoint
from accounts.webhooks import deliveries, endpoints
from accounts.webhooks.addresses import read_url

pytestmark = pytest.mark.django_db
PAGE = "/account/webhooks"


@pytest.fixture
def ann(client, make_user):
    user = make_user()
    client.force_login(user)
    client.post("/accounts/reauthenticate/", {"password": "correct horse battery"})
    return user


@pytest.fixture
def hook(ann):
    return endpoints.add(ann, read_url("https://example.com/hook"))[0]


def add(client, url="https://example.com/hook"):
    return client.post(f"{PAGE}/new", {"url": url})


def find_secret(client, page):
    found = re.search(r"whsec_[A-Za-z0-9+/=]{44}", client.get(page).content.decode())
    return found and found[0]


def test_a_new_webhook_shows_its_secret_once(client, ann):
    where = add(client)["Location"]
    secret = find_secret(client, where)
    assert secret
    assert find_secret(client, where) == secret  # a reload loses nothing
    client.get(PAGE)
    assert find_secret(client, where) is None
    row = WebhookEndpoint.objects.get()
    assert secret not in row.encrypted_secret
    client.post(f"{where}/secret")
    assert find_secret(client, where) not in (None, secret)


@pytest.mark.parametrize("url", ["http://example.com", "https://127.0.0.1/", "", "x" * 501, "\x00"])
def test_an_address_that_is_not_allowed_is_explained_at_the_field(client, ann, url):
    page = add(client, url)
    assert page.status_code == 200
    assert 'class="fault"' in page.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_five_webhooks_are_enough(client, ann):
    for number in range(6):
        last = add(client, f"https://example.com/{number}")
    assert "You have 5 webhooks" in last.content.decode()
    assert WebhookEndpoint.objects.count() == 5


def test_tests_are_queued_up_to_a_limit(client, hook):
    for _ in range(7):
        client.post(f"{PAGE}/{hook.public_id}/test")
    assert WebhookDelivery.objects.filter(type="test").count() == 5
    endpoints.switch_off(hook, WebhookEndpoint.Off.BY_USER)
    assert (
        "Switch the webhook on first"
        in client.post(f"{PAGE}/{hook.public_id}/test", follow=True).content.decode()
    )


def test_a_webhook_is_switched_off_and_on_and_removed(client, hook):
    one = f"{PAGE}/{hook.public_id}"
    client.post(f"{one}/test")
    client.post(f"{one}/switch", {"to": "off"})
    hook.refresh_from_db()
    assert (hook.is_active, WebhookDelivery.objects.get().state) == (False, "failed")
    assert "You have switched it off" in client.get(one).content.decode()
    client.post(f"{one}/switch", {"to": "on"})
    hook.refresh_from_db()
    assert (hook.is_active, hook.off_because) == (True, "")
    assert client.post(f"{one}/remove")["Location"] == PAGE
    assert not WebhookEndpoint.objects.exists()


def test_the_webhook_of_somebody_else_is_not_there(client, hook, make_user):
    client.force_login(make_user("bob@example.com"))
    client.post("/accounts/reauthenticate/", {"password": "correct horse battery"})
    one = f"{PAGE}/{hook.public_id}"
    assert client.get(one).status_code == 404
    for act in ("test", "secret", "switch", "remove"):
        assert client.post(f"{one}/{act}").status_code == 404
        assert client.get(f"{one}/{act}").status_code in (404, 405)
    assert client.get(f"{PAGE}/%00").status_code == 400
    assert "whsec_" not in str(WebhookEndpoint.objects.values())


def test_a_webhook_is_added_after_the_password(client, make_user):
    client.force_login(make_user())
    where = add(client)["Location"]
    assert where.startswith("/accounts/reauthenticate/")
    form = {"password": "correct horse battery", "next": f"{PAGE}/new"}
    assert find_secret(client, client.post("/accounts/reauthenticate/", form)["Location"])
    assert client.get(f"{PAGE}/new")["Location"] == PAGE


def test_no_message_is_written_to_a_webhook_that_is_being_removed(hook, ann):
    deliveries.queue_test(hook)
    with CaptureQueriesContext(connection) as captured:
        endpoints.remove_all(ann)
    statements = [each["sql"] for each in captured]
    locks = [place for place, sql in enumerate(statements) if sql.endswith("FOR UPDATE")]
    deletes = [place for place, sql in enumerate(statements) if sql.startswith("DELETE")]
    assert locks[0] < deletes[0]
    assert not WebhookDelivery.objects.exists()


def test_a_test_of_a_webhook_that_was_removed_meanwhile_is_not_queued(hook, ann):
    endpoints.remove(hook)
    deliveries.queue_test(hook)
    assert not WebhookDelivery.objects.exists()
