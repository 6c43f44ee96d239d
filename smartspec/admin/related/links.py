"""Which relatives the page of a row links to, and the template tags that show them."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from allauth.mfa.models import Authenticator
from django import template
from django.apps import apps
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from oauth2_provider.models import RefreshToken

from accounts.models import ApiKey, AuthEvent, User, WebhookDelivery, WebhookEndpoint
from credits.models import (
    Approval,
    Customer,
    Dispute,
    Grant,
    Hold,
    PaymentEvent,
    PaymentReversal,
    Purchase,
    Refund,
    Subscription,
    Transaction,
)
from deviceauth.models import DeviceCode, DeviceSession
from llmproxy.models import Completion, LanguageModel, Provider
from smartspec.admin.related import money, usage
from smartspec.admin.related.relations import (
    MOST,
    Group,
    Relation,
    list_entries,
    show_relations,
)
from smartspec.admin.viewing import may_view

register = template.Library()
ANCHOR = re.compile(r'<a\b[^>]*\bhref="([^"]*)"[^>]*>(.*?)</a>', re.DOTALL)


def _list_of_endpoint(row: WebhookEndpoint) -> Iterator[Relation]:
    sent = WebhookDelivery.objects.filter(endpoint=row).order_by("-pk")[:MOST]
    yield Relation(WebhookDelivery, lambda: sent)


def _list_of_delivery(row: WebhookDelivery) -> Iterator[Relation]:
    yield Relation(User, lambda: [row.endpoint.user])


def _list_of_factor(row: Authenticator) -> Iterator[Relation]:
    yield Relation(User, lambda: [row.user])


def _list_of_token(row: RefreshToken) -> Iterator[Relation]:
    sessions = DeviceSession.objects.filter(token_family=row.token_family)
    yield Relation(DeviceSession, lambda: sessions)


RELATIVES: dict[type[Any], Callable[[Any], Iterator[Relation]]] = {
    Completion: usage.list_of_completion,
    Hold: usage.list_of_hold,
    ApiKey: usage.list_of_key,
    DeviceSession: usage.list_of_device,
    DeviceCode: usage.list_of_device_code,
    AuthEvent: usage.list_of_event,
    Provider: usage.list_of_provider,
    LanguageModel: usage.list_of_model,
    Transaction: money.list_of_transaction,
    Grant: money.list_of_grant,
    Approval: money.list_of_approval,
    Purchase: money.list_of_purchase,
    Refund: money.list_of_refund,
    PaymentReversal: money.list_of_reversal,
    Dispute: money.list_of_dispute,
    Subscription: money.list_of_subscription,
    Customer: money.list_of_customer,
    PaymentEvent: money.list_of_event,
    WebhookEndpoint: _list_of_endpoint,
    WebhookDelivery: _list_of_delivery,
    RefreshToken: _list_of_token,
    Authenticator: _list_of_factor,
}


def list_groups(request: HttpRequest, row: Model) -> list[Group]:
    """Return the links of the page of a row, of what the reader may view."""
    find = RELATIVES.get(type(row))
    relations = [*(find(row) if find else ()), list_entries(row)]
    groups = list(show_relations(request, relations))
    return [group for group in groups if group.links]


@register.inclusion_tag("smartspec/related/panel.html", takes_context=True)
def related_rows(context: template.Context, row: Any) -> dict[str, Any]:
    """Show links to the relatives of the row of this page."""
    request = context.get("request")
    if request is None or not isinstance(row, Model):
        return {"groups": []}
    return {"groups": list_groups(request, row)}


@register.filter
def without_hidden_links(text: Any, request: HttpRequest) -> Any:
    """Take the links to what the reader may not view out of the text of a field."""
    if not isinstance(text, SafeString) or "<a" not in text:
        return text

    def replace(found: re.Match[str]) -> str:
        return found[0] if _leads_to_visible(found[1], request) else found[2]

    return mark_safe(ANCHOR.sub(replace, text))  # noqa: S308 – only tags are taken out


def _leads_to_visible(address: str, request: HttpRequest) -> bool:
    """Return whether the reader may view what an address leads to; True outside of the admin."""
    start = reverse("admin:index")
    if not address.startswith(start):
        return True
    app, _slash, rest = address.removeprefix(start).partition("/")
    try:
        model = apps.get_model(app, rest.partition("/")[0])
    except (LookupError, ValueError):
        return True
    return may_view(request, model)
