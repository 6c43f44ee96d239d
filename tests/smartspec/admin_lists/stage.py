"""The lists of the admin, each with a page of generated rows that are as long as real ones get.

The rows are in memory only: the database refuses most of them, and a list does not ask for more
than what its rows say.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.urls import reverse

from accounts.models import User
from accounts.toolbox.keyset import KeysetChangeList

NOW = datetime(2026, 11, 28, 23, 59, 48, tzinfo=UTC)
WORDS = (
    "Goodwill for the outage of Thursday, agreed with the customer by telephone and in writing",
    "ชดเชยเหตุขัดข้องเมื่อวันพฤหัสบดีตามที่ตกลงกับลูกค้าทางโทรศัพท์และเป็นลายลักษณ์อักษรแล้ว",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
)
EMAIL = "somchai.wongsawat-the-third.{}@accounting.bangkok-headquarters.example.co.th"
LINK = "https://hooks.example.co.th/smartspec/production/events/{}/very-long-path"
ROWS = 50
# Models whose first page is none of rows.
NO_LISTS = {"accounts.operatorsettings", "llmproxy.usageimport"}
# What a page asks of a row, and rows that ask the ledger for nothing.
KINDS = {
    ("BulkAct", "act"): "llmproxy.completion.refund",
    ("Authenticator", "type"): "recovery_codes",
    ("Completion", "credential"): "",
    ("OperatorSettings", "changes"): [],
    ("OutgoingMail", "tries"): 2,
    ("UsageImport", "scopes"): [],
    ("Transaction", "type"): "bonus",
}
SHORT = {"currency": "usd", "address": "2001:db8:85a3:8d3:1319:8a2e:370:7348"}
SPECIAL: dict[tuple[str, str], Any] = {
    ("BulkAct", "act"): "llmproxy.completion.refund",
    ("Completion", "attempts"): [{"provider": "openai-eu"}, {"provider": "a-slow-fallback"}],
    ("AuthEvent", "details"): {"device": "เครื่องของฝ่ายบัญชี", "reason": "password"},
    ("Authenticator", "type"): "recovery_codes",
    ("Application", "name"): "SmartSpec Pro for Windows and macOS",
    ("Completion", "model"): "anthropic/claude-sonnet-4.5-20250929-thinking-high",
    ("Completion", "credential_name"): "เครื่องของฝ่ายบัญชีที่สำนักงานใหญ่ชั้นสิบสอง",
}


def list_registered() -> dict[str, type[models.Model]]:
    return {model._meta.label_lower: model for model in sorted_models()}


def list_lists() -> dict[str, type[models.Model]]:
    """Return the models whose page in the admin is a list of rows."""
    return {name: model for name, model in list_registered().items() if name not in NO_LISTS}


def sorted_models() -> list[type[models.Model]]:
    return sorted(admin.site._registry, key=lambda model: model._meta.label_lower)


def address_of(model: type[models.Model], view: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}", args=args)


def make_row(model: type[models.Model], number: int, *, depth: int = 0) -> Any:
    """Return an unsaved row, each of whose fields has a value that is long for its kind."""
    row = model()
    for field in model._meta.concrete_fields:
        key = (model.__name__, field.name)
        if isinstance(field, models.ForeignKey):
            known = field.related_model is not model and depth < 2
            value = (
                make_row(cast(Any, field.related_model), number, depth=depth + 1) if known else None
            )
            if known or field.null:
                setattr(row, field.name, value)
        else:
            setattr(row, field.attname, SPECIAL.get(key) or make_value(field, number))
    row._state.adding, row._state.db = False, "default"
    return row


def make_value(field: Any, number: int) -> Any:
    if field.choices:
        kinds = sorted((str(text), value) for value, text in field.flatchoices)
        return max(kinds, key=lambda each: len(each[0]))[1]
    for kind, make in MAKERS.items():
        if isinstance(field, kind):
            return make(field, number)
    return None


def make_text(field: Any, number: int) -> str:
    longest = field.max_length or 400
    name = field.name
    if "email" in name or name in ("to", "username"):
        text = EMAIL.format(number)
    elif "url" in name:
        text = LINK.format(number)
    elif name in SHORT:
        text = SHORT[name]
    else:
        text = WORDS[number % len(WORDS)] if longest > 40 else "W" * longest
    return text[:longest]


MAKERS: dict[type[models.Field[Any, Any]], Callable[[Any, int], Any]] = {
    models.UUIDField: lambda field, number: UUID(int=number),
    models.EmailField: lambda field, number: EMAIL.format(number),
    models.CharField: make_text,
    models.TextField: make_text,
    models.DateTimeField: lambda field, number: NOW - timedelta(minutes=number),
    models.DateField: lambda field, number: NOW.date(),
    models.BooleanField: lambda field, number: True,
    models.DecimalField: lambda field, number: Decimal("1234.56"),
    models.AutoField: lambda field, number: 10_000_000 + number,
    models.SmallIntegerField: lambda field, number: 32_000,
    models.IntegerField: lambda field, number: 10_000_000 + number,
    models.FloatField: lambda field, number: 12_345.6,
    models.DurationField: lambda field, number: timedelta(days=40),
    models.JSONField: lambda field, number: ["images", "tools"],
    models.BinaryField: lambda field, number: b"x",
    models.GenericIPAddressField: lambda field, number: "2001:db8:85a3:8d3:1319:8a2e:370:7348",
}


def make_thai_row(model: type[models.Model]) -> Any:
    """Return an unsaved row, and rows that it names, without a Latin letter that people typed."""
    return _replace_texts(make_row(model, 1))


def _replace_texts(row: Any) -> Any:
    for field in row._meta.concrete_fields:
        key = (type(row).__name__, field.name)
        if isinstance(field, models.ForeignKey):
            if (related := row._state.fields_cache.get(field.name)) is not None:
                _replace_texts(related)
        elif key in KINDS:
            setattr(row, field.attname, KINDS[key])
        elif isinstance(field, models.JSONField):
            setattr(row, field.attname, field.get_default())
        elif isinstance(field, models.CharField | models.TextField) and not field.choices:
            setattr(row, field.attname, "ก" * min(field.max_length or 40, 8))
    return row


@pytest.fixture
def full_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each list show a page of generated rows."""

    def show_generated(self: Any, request: Any) -> None:
        rows = [make_row(self.model, number) for number in range(ROWS)]
        for row in rows:
            row.asked_names = ["OpenAI in Europe", "A slow fallback"]  # of completions
        if isinstance(self, KeysetChangeList):
            self.has_older = self.has_newer = True
            self._show(rows)
        else:
            get_results(self, request)
            self.result_list = rows
            self.result_count = self.full_result_count = ROWS

    get_results = ChangeList.get_results
    monkeypatch.setattr(ChangeList, "get_results", show_generated)
    monkeypatch.setattr(KeysetChangeList, "get_results", show_generated)


def make_operator(make_user: Any, **fields: Any) -> User:
    operator: User = make_user(
        "boss@example.com", is_staff=True, is_superuser=True, time_zone="Asia/Bangkok", **fields
    )
    return operator
