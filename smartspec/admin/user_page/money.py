"""The tab of the money of a user: grants, transactions, and what was paid."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts.templatetags.times import show_local_time
from credits.admin.payments.subscriptions import describe_status
from credits.currencies import format_amount
from credits.models import (
    Document,
    Grant,
    Hold,
    Purchase,
    RedemptionCode,
    Refund,
    Subscription,
    Transaction,
)
from credits.templatetags.amounts import format_signed
from smartspec.admin.user_page.sections import NEWEST, Column, Reading, Section, show_number


def _show_moved(row: Transaction) -> str:
    return format_signed(row.amount or row.debt)


TIME = Column(_("time"), lambda row: show_local_time(row.created_at))
STATE = Column(_("state"), lambda row: row.get_state_display())
TRANSACTIONS = (
    TIME,
    Column(_("type"), lambda row: row.get_type_display()),
    Column(_("description"), lambda row: row.description, is_minor=True),
    Column(_("amount"), _show_moved, is_number=True),
    Column(_("balance after"), lambda row: show_number(row.balance_after), is_number=True),
)
GRANTS = (
    TIME,
    Column(_("source"), lambda row: row.get_source_display()),
    Column(_("expires"), lambda row: show_local_time(row.expires_at) or "–", is_minor=True),
    Column(_("amount"), lambda row: show_number(row.amount), is_number=True),
    Column(_("remaining"), lambda row: show_number(row.remaining), is_number=True),
)
HOLDS = (
    TIME,
    Column(_("completion"), lambda row: row.reference_id),
    Column(_("expires"), lambda row: show_local_time(row.expires_at), is_minor=True),
    Column(_("amount"), lambda row: show_number(row.amount), is_number=True),
)
PURCHASES = (
    TIME,
    Column(_("name"), lambda row: row.name, is_minor=True),
    STATE,
    Column(_("amount"), lambda row: format_amount(row.total, row.currency), is_number=True),
    Column(_("credits"), lambda row: show_number(row.credits), is_number=True),
)
SUBSCRIPTIONS = (
    TIME,
    Column(_("plan"), lambda row: row.plan),
    Column(_("status"), describe_status),
    Column(_("period until"), lambda row: show_local_time(row.period_end) or "–", is_minor=True),
    Column(_("amount"), lambda row: format_amount(row.amount, row.currency), is_number=True),
)
REFUNDS = (
    TIME,
    Column(_("reason"), lambda row: row.reason, is_minor=True),
    STATE,
    Column(
        _("amount"),
        lambda row: format_amount(row.amount, row.purchase.paid_currency),
        is_number=True,
    ),
    Column(_("credits"), lambda row: show_number(row.credits), is_number=True),
)
DOCUMENTS = (
    Column(_("number"), lambda row: row.number),
    Column(_("kind"), lambda row: row.get_kind_display()),
    Column(_("issued"), lambda row: show_local_time(row.issued_at)),
)
CODES = (
    Column(_("code"), str),
    Column(_("batch"), lambda row: row.batch),
    Column(_("used"), lambda row: show_local_time(row.redeemed_at)),
)


def list_sections(reading: Reading) -> Iterator[Section | None]:
    """Yield the tables of this tab."""
    user = reading.user
    own: dict[str, Any] = {"user": user.pk}
    by_search = {"q": user.public_id}
    grants = user.grants.order_by("-pk")
    yield reading.list_rows(Grant, grants[:NEWEST], GRANTS, **own)
    moved = Transaction.objects.filter(user=user).order_by("-seq")
    yield reading.list_rows(Transaction, moved[:NEWEST], TRANSACTIONS, **own)
    bought = Purchase.objects.filter(user=user).order_by("-pk")
    yield reading.list_rows(Purchase, bought[:NEWEST], PURCHASES, **own)
    plans = Subscription.objects.filter(user=user).select_related("plan").order_by("-pk")
    yield reading.list_rows(Subscription, plans[:NEWEST], SUBSCRIPTIONS, **own)
    back = Refund.objects.filter(purchase__user=user).select_related("purchase")
    yield reading.list_rows(Refund, back.order_by("-pk")[:NEWEST], REFUNDS, **by_search)
    papers = Document.objects.filter(user=user).order_by("-pk")
    yield reading.list_rows(Document, papers[:NEWEST], DOCUMENTS, **own)
    codes = RedemptionCode.objects.filter(user=user).select_related("batch").order_by("-pk")
    yield reading.list_rows(RedemptionCode, codes[:NEWEST], CODES, **own)
    running = Hold.objects.filter(user=user, state=Hold.State.OPEN).order_by("-pk")
    yield reading.list_rows(
        Hold, running[:NEWEST], HOLDS, title=_("Open holds"), **own, state__exact="open"
    )
