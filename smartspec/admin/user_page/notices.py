"""The tab of what a user was told: alerts, mails that wait, and webhooks."""

from collections.abc import Iterator

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import AccountAlert, OutgoingMail, WebhookDelivery, WebhookEndpoint
from accounts.templatetags.times import show_local_time
from smartspec.admin.user_page.sections import NEWEST, Column, Reading, Section, show_number
from smartspec.admin.viewing import may_view


def _describe_endpoint(endpoint: WebhookEndpoint) -> str:
    if not endpoint.is_active:
        return gettext("Not active")
    return gettext("Failing") if endpoint.failing_since else gettext("Active")


TIME = Column(_("time"), lambda row: show_local_time(row.created_at))
ALERTS = (
    TIME,
    Column(_("kind"), lambda row: row.get_kind_display()),
    Column(_("mailed"), lambda row: show_local_time(row.mailed_at) or "–"),
    Column(
        _("not mailed because"),
        lambda row: row.get_silent_because_display() or "–",
        is_minor=True,
    ),
)
MAILS = (
    TIME,
    Column(_("subject"), lambda row: row.subject),
    Column(_("next attempt"), lambda row: show_local_time(row.next_try_at)),
    Column(_("attempts"), lambda row: show_number(row.tries), is_number=True, is_minor=True),
)
ENDPOINTS = (
    Column(_("address"), lambda row: row.url),
    Column(_("state"), _describe_endpoint),
    Column(_("last success"), lambda row: show_local_time(row.last_success_at) or "–"),
)
DELIVERIES = (
    TIME,
    Column(_("event"), lambda row: row.type),
    Column(_("state"), lambda row: row.get_state_display()),
    Column(_("status"), lambda row: row.last_status or "–", is_minor=True),
    Column(_("attempts"), lambda row: show_number(row.tries), is_number=True, is_minor=True),
)


def list_sections(reading: Reading) -> Iterator[Section | None]:
    """Yield the tables of this tab."""
    user = reading.user
    alerts = AccountAlert.objects.filter(user=user).order_by("-pk")
    yield reading.list_rows(AccountAlert, alerts[:NEWEST], ALERTS, user=user.pk)
    mails = OutgoingMail.objects.filter(to=user.email).order_by("-pk")[:NEWEST]
    yield reading.list_rows(OutgoingMail, mails, MAILS, title=_("Mails that wait"), q=user.email)
    endpoints = list(WebhookEndpoint.objects.filter(user=user).order_by("-pk")[:NEWEST])
    yield reading.list_rows(WebhookEndpoint, endpoints, ENDPOINTS, user=user.pk)
    # Of each endpoint an index gives the newest; a user has a few endpoints.
    may_view_sent = may_view(reading.request, WebhookDelivery)
    sent = [row for one in endpoints if may_view_sent for row in _list_deliveries(one)]
    newest = sorted(sent, key=lambda row: row.pk, reverse=True)[:NEWEST]
    yield reading.list_rows(WebhookDelivery, newest, DELIVERIES)


def _list_deliveries(endpoint: WebhookEndpoint) -> list[WebhookDelivery]:
    return list(WebhookDelivery.objects.filter(endpoint=endpoint).order_by("-pk")[:NEWEST])
