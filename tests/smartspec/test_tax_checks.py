"""Settings of tax and documents that cannot work together are refused at start."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.core.checks import run_checks

from smartspec.buying import read_rates

REGISTRANT = {
    "TAX_INVOICES": True,
    "TAX_MODE": "included",
    "TAX_RATES": read_rates("7 until 2027-09-30, 10"),
    "CURRENCIES": ["thb"],
    "SELLER_NAME": "บริษัท ตัวอย่าง จำกัด",
    "SELLER_ADDRESS": "1 ถนนสีลม กรุงเทพฯ 10500",
    "SELLER_TAX_NUMBER": "0-9940-00617-72-1",
    "SELLER_BRANCH": "00000",
    "SELLER_TIME_ZONE": "Asia/Bangkok",
}


OURS = ("smartspec.E05", "smartspec.W05")


@pytest.fixture
def registrant(settings: Any) -> Any:
    for name, value in REGISTRANT.items():
        setattr(settings, name, value)
    return settings


def ids(*, deploy: bool = False) -> set[str]:
    found = {str(message.id) for message in run_checks(include_deployment_checks=deploy)}
    return {each for each in found if each.startswith(OURS)}


def test_the_settings_of_a_registrant_are_sound(registrant: Any) -> None:
    del registrant
    assert not ids()


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("TAX_MODE", "inclusive", "smartspec.E050"),
        ("TAX_RATES", [], "smartspec.E051"),
        ("SELLER_TIME_ZONE", "Bangkok", "smartspec.E052"),
        ("SELLER_TIME_ZONE", "../../etc/passwd", "smartspec.E052"),
        ("SELLER_TIME_ZONE", "Asia", "smartspec.E052"),
        ("SELLER_TAX_NUMBER", "0994000617722", "smartspec.E053"),
        ("SELLER_TAX_NUMBER", "", "smartspec.E053"),
        ("SELLER_NAME", "", "smartspec.E054"),
        ("SELLER_ADDRESS", "", "smartspec.E054"),
        ("SELLER_BRANCH", "", "smartspec.E055"),
        ("SELLER_BRANCH", "head office", "smartspec.E055"),
        ("TAX_MODE", "none", "smartspec.E056"),
        ("TAX_MODE", "stripe", "smartspec.E056"),
        ("CURRENCIES", ["usd"], "smartspec.E057"),
        ("SELLER_TIME_ZONE", "UTC", "smartspec.E058"),
        ("TAX_MODE", "none", "smartspec.W050"),
        ("CURRENCIES", ["thb", "usd"], "smartspec.W052"),
    ],
)
def test_each_wrong_combination_has_its_id(
    registrant: Any, name: str, value: Any, check: str
) -> None:
    setattr(registrant, name, value)
    assert check in ids()


def test_stripe_tax_does_not_serve_those_who_have_promptpay(settings: Any) -> None:
    settings.TAX_MODE, settings.PROMPTPAY = "stripe", True
    assert "smartspec.W051" in ids()
    settings.PROMPTPAY = False
    assert not ids()


def test_a_shop_without_a_name_is_noted(settings: Any) -> None:
    settings.STRIPE_SECRET_KEY, settings.DEBUG = "sk_test_1", False
    assert "smartspec.W053" in ids()
    settings.SELLER_NAME = "Example"
    assert "smartspec.W053" not in ids()


@pytest.mark.parametrize(
    ("day", "is_noted"),
    [(datetime(2027, 9, 1, tzinfo=UTC), True), (datetime(2027, 6, 1, tzinfo=UTC), False)],
)
def test_the_end_of_a_rate_is_told_before(registrant: Any, day: datetime, is_noted: bool) -> None:
    del registrant
    with time_machine.travel(day):
        assert ("smartspec.W054" in ids(deploy=True)) == is_noted
