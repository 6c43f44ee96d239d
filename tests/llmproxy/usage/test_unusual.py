"""A day on which somebody uses over five times as much as usual is told once, with what did it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.alerts import fan_out
from accounts.models import AccountAlert, OutgoingMail
from llmproxy.models import UsageFold, UsageQuarter
from llmproxy.usage import unusual
from llmproxy.usage.steps import round_down
from tests.llmproxy.usage.conftest import answer

pytestmark = pytest.mark.django_db
NOW = round_down(datetime.now(UTC), timedelta(minutes=15))


def use(user, *days, **fields):
    """Charge so many credits on each day, the last 24 hours first, and say that all is folded."""
    for age, charged in enumerate(days):
        quarter = NOW - timedelta(days=age, hours=1)
        if charged:
            UsageQuarter.objects.create(
                **{
                    "user": user,
                    "quarter": quarter,
                    "model": "small",
                    "credential": "key:7",
                    "credential_name": "Laptop",
                    "answers": 1,
                    "failures": 0,
                    "charged": charged,
                    "uncollected": 0,
                    **fields,
                }
            )
    answer(user, NOW - timedelta(hours=1))
    UsageFold.objects.update_or_create(id=1, defaults={"until": NOW})


@pytest.mark.parametrize(
    ("days", "is_unusual"),
    [
        ((501, *[100] * 14), True),
        ((500, *[100] * 14), False),  # five times is not more than five times
        ((100, *[1] * 14), False),  # not more than 100 credits
        ((101, *[1] * 14), True),
        ((900, *[100] * 6), False),  # no week of history
        ((900, *[100] * 7, 1), True),
        ((900, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5), True),  # a pause, then much
        ((900, 0, 9000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9000), True),  # the median is zero
        ((525, *[200, 10] * 7), False),  # the median is 105
        ((), False),
    ],
)
def test_what_is_unusual(user, days, is_unusual):
    use(user, *days)
    assert unusual.find_unusual() == is_unusual


def test_it_is_told_once_a_day_with_what_did_most_and_how_to_stop_it(user):
    use(user, 900, *[10] * 10)
    use(user, 50, model="large", credential="device:" + "0" * 32, credential_name="Phone")
    assert (unusual.find_unusual(), unusual.find_unusual()) == (1, 0)
    row = AccountAlert.objects.get()
    assert row.facts == {
        "charged": 950,
        "usual": 10,
        "part": 900,
        "model": "small",
        "name": "Laptop",
        "stop_path": "/account/keys/7/revoke",
    }
    fan_out.send_waiting(lambda alert: "")
    assert OutgoingMail.objects.count() == 1


def test_a_device_is_led_to_its_own_page_and_what_is_gone_to_security(user):
    assert unusual.find_stop_path(user.pk, "device:" + "0" * 32) == "/account/security"
    assert unusual.find_stop_path(user.pk, "") == "/account/security"


def test_users_with_little_use_cost_no_statement_of_their_own(make_user):
    for number in range(5):
        use(make_user(f"user{number}@example.com"), 50, *[5] * 10)
    with CaptureQueriesContext(connection) as queries:
        assert unusual.find_unusual() == 0
    assert sum("usage_quarters" in query["sql"] for query in queries) == 1
