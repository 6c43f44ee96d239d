"""Which values the form of the settings accepts."""

import pytest
from django.http import QueryDict

from accounts.admin.operator_settings_form import SettingsForm
from accounts.operation.current import Snapshot
from accounts.operation.variables import VARIABLES


def make_form(**typed: str) -> SettingsForm:
    shown = SettingsForm(Snapshot())
    values = {name: shown[name].value() for name in VARIABLES}
    sent = {name: "on" if value is True else str(value) for name, value in values.items() if value}
    data = QueryDict(mutable=True)
    data.update({"number": "0", "SIGNUP_BONUS_DAYS": "0", **sent, **typed})
    return SettingsForm(Snapshot(), data)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("WEB_LLM_RPM", "0", "Enter a number from 1 to 1,000,000,000."),
        ("WEB_LLM_RPM", "-5", "Enter a number from 1 to"),
        ("WEB_LLM_RPM", "", "Fill in this field."),
        ("WEB_LLM_RPM", "1.5", "Enter a whole number."),
        ("WEB_LLM_TPM", "9" * 10_000, "Enter a whole number."),
        ("WEB_LLM_CREDIT_PER_1K_TOKENS", "-0.1", "Enter a number from 0 to 999,999."),
        ("WEB_LLM_CREDIT_PER_1K_TOKENS", "NaN", "Enter a number."),
        ("WEB_LLM_CREDIT_PER_1K_TOKENS", "Infinity", "Enter a number."),
        ("WEB_LLM_CREDIT_PER_1K_TOKENS", "1e99999", "12 digits"),
        ("WEB_LLM_CREDIT_PER_1K_TOKENS", "0.0000001", "6 decimal places"),
        ("SIGNUP_BONUS_CREDITS", "1000000001", "Enter a number from 0 to 1,000,000,000."),
        ("MAINTENANCE_SECONDS", "86401", "Enter a number from 1 to 86,400."),
        ("BANNER_EN", "x" * 301, "at most 300 characters"),
        ("BANNER_TH", "a\x00b", "cannot be shown"),
        ("BANNER_TH", "a\u202eb", "cannot be shown"),
        ("MAINTENANCE_EN", "a\ud800b", "cannot be shown"),
    ],
)
def test_a_value_that_cannot_work_is_refused_in_words(name: str, value: str, words: str) -> None:
    form = make_form(**{name: value})
    assert not form.is_valid()
    assert list(form.errors) == [name]
    assert words in str(form.errors[name])


def test_what_was_shown_is_accepted_and_changes_nothing() -> None:
    form = make_form()
    assert form.is_valid(), form.errors
    assert form.wanted == {name: Snapshot().read_value(name) for name in VARIABLES}


def test_a_value_can_be_restored_whatever_stands_in_its_field() -> None:
    form = make_form(WEB_LLM_RPM="nonsense", restore="WEB_LLM_RPM")
    assert form.is_valid(), form.errors
    assert form.restored == {"WEB_LLM_RPM"}


def test_only_a_known_setting_is_restored() -> None:
    assert make_form(restore="SECRET_KEY").restored == frozenset()
