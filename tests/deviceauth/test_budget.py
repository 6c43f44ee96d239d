"""Setting the monthly budget of a device.

That the gateway enforces it is tested in tests/llmproxy/admission/test_keys.py.
"""

import pytest
from django.db import IntegrityError

from deviceauth import device_sessions
from deviceauth.models import DeviceSession
from tests.deviceauth.conftest import Device

pytestmark = pytest.mark.django_db


def test_a_budget_is_set_and_lifted(logged_in: Device) -> None:
    session = DeviceSession.objects.get()
    for budget in (5, 1000, None):
        assert device_sessions.set_budget(session=session, monthly_budget=budget)
        session.refresh_from_db()
        assert session.monthly_budget == budget


def test_a_session_that_was_revoked_gets_no_budget(logged_in: Device) -> None:
    session = DeviceSession.objects.get()
    device_sessions.revoke(session=session)
    assert not device_sessions.set_budget(session=session, monthly_budget=5)
    assert DeviceSession.objects.get().monthly_budget is None


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_of_nothing_is_none(logged_in: Device, budget: int) -> None:
    with pytest.raises(IntegrityError):
        device_sessions.set_budget(session=DeviceSession.objects.get(), monthly_budget=budget)


def test_a_budget_outlives_refreshes(logged_in: Device) -> None:
    device_sessions.set_budget(session=DeviceSession.objects.get(), monthly_budget=5)
    logged_in.tokens = logged_in.refresh().json()
    assert DeviceSession.objects.get().monthly_budget == 5
    assert logged_in.me().status_code == 200
