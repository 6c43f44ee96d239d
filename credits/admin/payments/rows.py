"""What the lists of payments share: searches by Stripe's numbers, and links between rows."""

from typing import Any

from django.conf import settings
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from accounts.admin.filters import find_chosen_user
from credits.admin.rows import LINK, link_row
from credits.models import Dispute, PaymentReversal, Purchase, Refund

MOST_LINKS = 100  # rows of one kind on a page


def match_purchases(term: str) -> Q:
    """Return the condition for one whole value; each kind of value has an index."""
    term = term.strip()
    if (user := find_chosen_user("", term)) is not None:
        return Q(user=user)
    if term.startswith("pi_"):
        return Q(payment_intent=term)
    if term.startswith("cs_"):
        return Q(checkout_session=term)
    if term.startswith("in_"):
        return Q(invoice=term)
    found = _find_reversed(term) if term.startswith(("re_", "txn_", "du_", "dp_", "issfr_")) else 0
    return Q(pk=found) if found else Q(public_id=term)


def _find_reversed(stripe_id: str) -> int:
    """Return the id of the purchase of a refund, a dispute or a balance transaction; 0 if none."""
    for model in (PaymentReversal, Dispute):
        row: Any = model.objects.filter(stripe_id=stripe_id).first()
        if row:
            return int(row.purchase_id)
    refund = Refund.objects.filter(stripe_id=stripe_id).first()
    return refund.purchase_id if refund else 0


class SearchedByPayment:
    """Searches rows that have a purchase by that purchase, its user, or their own number."""

    own_number = "stripe_id"
    search_fields = ("stripe_id",)
    search_help_text = _("Full email address, public ID, purchase or Stripe number")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        purchases = Purchase.objects.filter(match_purchases(term))
        return queryset.filter(
            Q(**{self.own_number: term}) | Q(purchase__in=purchases.values("pk"))
        ), False


class CurrencyFilter(DropdownFilter):
    """Rows in one of the currencies that are or were on sale."""

    title = _("currency")
    parameter_name = "currency"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(code, code.upper()) for code in settings.CURRENCIES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(currency=self.value()) if self.value() else queryset


def link_stripe(number: str, path: str, *, livemode: bool = True) -> str:
    """Return a link to Stripe's dashboard; the number alone where Stripe is only imitated."""
    if not number:
        return "–"
    if settings.STRIPE_API_BASE != "https://api.stripe.com":
        return number
    mode = "" if livemode else "test/"
    return format_html(LINK, f"https://dashboard.stripe.com/{mode}{path}/{number}", number)


def link_related(row: Model, name: str) -> str:
    """Return a list of links to the related rows of this name; "–" if there are none.

    They are kept with the row, because Unfold asks for each field of a page five times.
    """
    known: dict[str, list[Model]] = row.__dict__.setdefault("_rows_to_link", {})
    if name not in known:
        known[name] = list(getattr(row, name).order_by("pk")[:MOST_LINKS])
    found = known[name]
    if not found:
        return "–"
    return format_html(
        "<ul>{}</ul>",
        format_html_join("", "<li>{}</li>", ((link_row(one, describe_row(one)),) for one in found)),
    )


def describe_row(row: Any) -> str:
    """Return the number of a row, with its state where it has one."""
    state = getattr(row, "get_state_display", None)
    status = state() if state else getattr(row, "status", "")
    kind = getattr(row, "type", "")
    return " · ".join(str(part) for part in (row, kind, status) if part)
