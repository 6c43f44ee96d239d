"""Saved views: links above a list to the rows that an administrator looks for most often.

A filter of a view is a parameter of the list's address; `tests/smartspec/admin_lists/` opens each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.toolbox.keyset import AFTER, BEFORE


def today() -> str:
    """Return the day in the administrator's time zone, as filters of days read it."""
    return timezone.localdate().isoformat()


def a_week_ago() -> str:
    return (timezone.localdate() - timedelta(days=7)).isoformat()


@dataclass(frozen=True, slots=True)
class SavedView:
    """A name in words and the parameters of the list; a function is called for each page."""

    title: str | Promise
    filters: Mapping[str, str | Callable[[], str]]

    def find_query(self) -> dict[str, str]:
        return {
            name: value if isinstance(value, str) else value()
            for name, value in self.filters.items()
        }


TODAY = {"created_at_from": today}
WEEK = {"created_at_from": a_week_ago}
VIEWS: dict[str, tuple[SavedView, ...]] = {
    "accounts.user": (
        SavedView(
            format_lazy(_("Balance below {number}"), number=settings.LOW_BALANCE_CREDITS),
            {"balance": "low"},
        ),
        SavedView(_("In debt"), {"debt": "yes"}),
        SavedView(_("Deactivated"), {"account": "deactivated"}),
        SavedView(_("Administrators"), {"rights": "staff"}),
    ),
    "accounts.apikey": (
        SavedView(_("In use"), {"is": "live"}),
        SavedView(_("Never used"), {"is": "unused"}),
        SavedView(_("Made today"), TODAY),
    ),
    "accounts.authevent": (
        SavedView(_("Failed log-ins today"), {"kind__exact": "log_in_failed", **TODAY}),
        SavedView(_("Refresh tokens used twice"), {"kind__exact": "refresh_reused"}),
        SavedView(_("Signed up today"), {"kind__exact": "signed_up", **TODAY}),
    ),
    "accounts.outgoingmail": (SavedView(_("Refused at least once"), {"tried": "yes"}),),
    "accounts.accountalert": (
        SavedView(_("Waits to be sent"), {"mail": "waiting"}),
        SavedView(_("Not mailed"), {"mail": "silent"}),
        SavedView(_("Unusual use"), {"kind__exact": "unusual"}),
    ),
    "accounts.webhookendpoint": (
        SavedView(_("Fails now"), {"is": "failing"}),
        SavedView(_("Switched off"), {"is": "off"}),
    ),
    "accounts.webhookdelivery": (
        SavedView(_("Failed today"), {"state__exact": "failed", **TODAY}),
        SavedView(_("On its way"), {"state__exact": "waiting"}),
    ),
    "admin.logentry": (
        SavedView(_("Today"), {"action_time_from": today}),
        SavedView(_("The last 7 days"), {"action_time_from": a_week_ago}),
    ),
    "credits.transaction": (
        SavedView(_("Paid today"), {"type__exact": "purchase", **TODAY}),
        SavedView(_("Refunds of 7 days"), {"type__exact": "refund", **WEEK}),
        SavedView(_("Adjustments of 7 days"), {"type__exact": "adjustment", **WEEK}),
    ),
    "credits.hold": (
        SavedView(_("Open"), {"state__exact": "open"}),
        SavedView(_("Expired today"), {"state__exact": "expired", **TODAY}),
    ),
    "credits.approval": (SavedView(_("Waits for approval"), {"state__exact": "pending"}),),
    "credits.grant": (SavedView(_("Bonuses of 7 days"), {"source__exact": "bonus", **WEEK}),),
    "credits.auditrun": (SavedView(_("With problems"), {"result": "problems"}),),
    "credits.package": (SavedView(_("On sale"), {"sale": "yes"}),),
    "credits.codebatch": (
        SavedView(_("Waits for approval"), {"state__exact": "waiting"}),
        SavedView(_("Approved, not made yet"), {"state__exact": "approved"}),
    ),
    "credits.redemptioncode": (
        SavedView(_("Used"), {"is": "used"}),
        SavedView(_("Not used yet"), {"is": "unused"}),
    ),
    "credits.purchase": (
        SavedView(_("In review"), {"state__exact": "review"}),
        SavedView(_("Paid today"), {"state__exact": "paid", **TODAY}),
        SavedView(_("Failed today"), {"state__exact": "failed", **TODAY}),
    ),
    "credits.packagerequest": (SavedView(_("Waiting for an answer"), {"open": "yes"}),),
    "credits.subscription": (
        SavedView(_("Active"), {"status": "active"}),
        SavedView(_("Past due"), {"status": "past_due"}),
    ),
    "credits.refill": (
        SavedView(_("On"), {"is": "on"}),
        SavedView(_("Paused"), {"is": "paused"}),
    ),
    "credits.refillattempt": (
        SavedView(_("Failed today"), {"state__exact": "failed", "claimed_at_from": today}),
        SavedView(_("Under way"), {"state__exact": "claimed"}),
    ),
    "credits.refund": (
        SavedView(_("Not at Stripe yet"), {"state__exact": "taken"}),
        SavedView(_("Without an answer"), {"state__exact": "sent"}),
        SavedView(_("Refused"), {"state__exact": "refused"}),
    ),
    "credits.paymentreversal": (
        SavedView(_("Disputes"), {"kind__exact": "dispute"}),
        SavedView(_("The last 7 days"), WEEK),
    ),
    "credits.dispute": (SavedView(_("Open"), {"open": "yes"}),),
    "credits.document": (SavedView(_("Cancelled"), {"is": "cancelled"}),),
    "credits.customer": (
        SavedView(_("Frozen"), {"barred": "frozen"}),
        SavedView(_("Closed for some hours"), {"barred": "closed"}),
    ),
    "credits.paymentevent": (
        SavedView(_("Could not be applied"), {"state__exact": "failed"}),
        SavedView(_("Waiting"), {"state__exact": "waiting"}),
    ),
    "credits.paymentcomparison": (SavedView(_("With problems"), {"result": "problems"}),),
    "deviceauth.devicesession": (
        SavedView(_("Connected"), {"is": "connected"}),
        SavedView(_("Connected today"), TODAY),
    ),
    "deviceauth.devicecode": (
        SavedView(_("Waiting"), {"status__exact": "authorization-pending"}),
        SavedView(_("Refused today"), {"status__exact": "denied", **TODAY}),
    ),
    "llmproxy.completion": (
        SavedView(_("Failed today"), {"status__exact": "failed", **TODAY}),
        SavedView(_("Cut off today"), {"status__exact": "interrupted", **TODAY}),
        SavedView(_("Estimated usage today"), {"usage_source__exact": "estimated", **TODAY}),
    ),
    "llmproxy.languagemodel": (SavedView(_("Switched off"), {"sale": "no"}),),
    "llmproxy.provider": (
        SavedView(_("Fails or is paused"), {"is": "failing"}),
        SavedView(_("Switched off"), {"is": "off"}),
    ),
    "oauth2_provider.refreshtoken": (SavedView(_("Not revoked"), {"is": "live"}),),
}


@dataclass(frozen=True, slots=True)
class Link:
    """A saved view as the page shows it."""

    title: str
    address: str
    is_current: bool


def list_links(label: str, shown: QueryDict) -> list[Link]:
    """Return the links of a list, with that of all rows first; none if it has no views.

    `shown` are the parameters of the address now.
    """
    if not (views := VIEWS.get(label, ())):
        return []
    present = {name: shown[name] for name in shown if name not in (BEFORE, AFTER, "p", "o")}
    links = [Link(gettext("All"), "?", is_current=not present)]
    for view in views:
        query = view.find_query()
        found = QueryDict(mutable=True)
        found.update(query)
        links.append(Link(str(view.title), f"?{found.urlencode()}", is_current=present == query))
    return links
