"""The admin list of the events that Stripe has sent, with their raw text."""

import json
from typing import Any

from django.contrib import admin
from django.db.transaction import atomic
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.admin.acts.buttons import HasActs
from accounts.admin.acts.page import ActPage, ActRefused, By, Facts, NoteForm, describe_stale
from accounts.admin.filters import DateRangeFilter
from credits.admin.payments.rows import SearchedByPayment
from credits.admin.rows import RowAdmin, link_row
from credits.models import PaymentEvent
from credits.purchases import incoming_events

TYPES = (
    *("checkout.session.completed", "checkout.session.expired"),
    *("checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed"),
    *("refund.created", "refund.updated", "refund.failed"),
    *("charge.dispute.created", "charge.dispute.closed", "charge.dispute.funds_withdrawn"),
    *("radar.early_fraud_warning.created", "invoice.paid", "invoice.payment_failed"),
    *("customer.subscription.updated", "customer.subscription.deleted"),
    *("payment_intent.succeeded", "payment_intent.payment_failed"),
)


class TypeFilter(DropdownFilter):
    """Events of one type, of those that change something here."""

    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in TYPES]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(type=self.value()) if self.value() else queryset


class ReplayEvent(ActPage):
    """Applies one event now, whatever became of it before. It cannot take effect twice."""

    name = "replay"
    label = _("Replay")
    icon = "replay"
    permission = "credits.replay_paymentevent"
    form_class = NoteForm
    asks_network = True

    def facts(self) -> Facts:
        event = self.row
        return (
            (gettext("Event"), f"{event.type} · {event.stripe_id}"),
            (gettext("State"), event.get_state_display()),
            (gettext("Outcome"), event.outcome or "–"),
            (gettext("Purchase"), event.purchase or "–"),
        )

    def state(self) -> str:
        return f"{self.row.state}|{self.row.tries}|{self.row.next_try_at}|{self.row.done_at}"

    @classmethod
    def warn(cls) -> str:
        return gettext(
            "Stripe is asked again about the object of this event, and what it says now is "
            "applied. An event that has taken effect changes nothing a second time."
        )

    @classmethod
    def do(cls, row: PaymentEvent, by: By, cleaned: dict[str, Any]) -> str:
        with atomic():
            if not incoming_events.claim_again(row):
                raise ActRefused(describe_stale())
            administrators_log.record(by.actor, Act.REPLAYED, row, by.explain("Replayed"))
        incoming_events.apply(row)
        text = gettext("Applied again. The state is: %(state)s. %(outcome)s")
        return text % {"state": row.get_state_display(), "outcome": row.outcome}

    @classmethod
    def links(cls, row: PaymentEvent) -> tuple[Any, ...]:
        return (row.purchase,)


@admin.register(PaymentEvent)
class PaymentEventAdmin(SearchedByPayment, HasActs, RowAdmin):
    list_display = ("received_at", "type", "state", "outcome", "tries", "stripe_id")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        TypeFilter,
        ("received_at", DateRangeFilter),
    )
    list_filter_submit = True
    fields = readonly_fields = (
        *("stripe_id", "type", "state", "outcome", "tries", "next_try_at", "received_at"),
        *("done_at", "object_id", "payment", "livemode", "reduced_at", "raw"),
    )
    acts = bulk_acts = (ReplayEvent,)

    @admin.display(description=_("purchase"))
    def payment(self, event: PaymentEvent) -> str:
        return link_row(event.purchase, event.purchase) if event.purchase else "–"

    @admin.display(description=_("payload"))
    def raw(self, event: PaymentEvent) -> str:
        return format_html(
            '<pre class="payload" tabindex="0">{}</pre>', format_payload(event.payload)
        )


def format_payload(text: str) -> str:
    """Return JSON with one value on each line; anything else as it came."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
