"""The command `manage.py purge_device_codes`."""

from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone
from oauth2_provider.models import AccessToken, RefreshToken

from deviceauth.models import DeviceCode, DeviceSession
from tests.deviceauth.conftest import Device

pytestmark = pytest.mark.django_db


def purge_in(**ahead: float) -> None:
    with time_machine.travel(timezone.now() + timedelta(**ahead)):
        call_command("purge_device_codes")
        call_command("purge_device_codes")


def test_codes_are_kept_for_a_day_after_they_expire(desktop: Device) -> None:
    desktop.start()
    purge_in(hours=24)
    assert DeviceCode.objects.count() == 1
    purge_in(hours=24, minutes=11)
    assert DeviceCode.objects.count() == 0


def test_a_connected_device_outlives_its_code(logged_in: Device) -> None:
    purge_in(days=29)
    assert DeviceCode.objects.count() == 0
    assert DeviceSession.objects.count() == 1
    assert logged_in.refresh().status_code == 200


def test_a_forgotten_device_goes_with_its_tokens(logged_in: Device) -> None:
    logged_in.refresh()
    purge_in(days=32)
    assert [model.objects.count() for model in (DeviceSession, RefreshToken, AccessToken)] == [
        0,
        0,
        0,
    ]
