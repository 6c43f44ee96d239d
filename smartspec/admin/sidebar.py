"""The menu of the admin, ordered by how often an administrator needs the entries."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db import Error
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import reverse, reverse_lazy
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from credits.models import Approval, Purchase
from smartspec.upkeep.providers import count_failing
from smartspec.upkeep.status import TooSlowError, bounded

SECTIONS: tuple[tuple[str | Promise, tuple[tuple[str, str], ...]], ...] = (
    (
        _("People"),
        (
            ("accounts.user", "person"),
            ("accounts.plan", "workspace_premium"),
            ("auth.group", "group"),
            ("accounts.authevent", "shield_person"),
            ("accounts.outgoingmail", "outgoing_mail"),
            ("accounts.accountalert", "notifications"),
            ("accounts.webhookendpoint", "webhook"),
            ("accounts.webhookdelivery", "send"),
            ("mfa.authenticator", "key"),
            ("admin.logentry", "history"),
            ("accounts.bulkact", "checklist"),
        ),
    ),
    (
        _("Credits"),
        (
            ("credits.transaction", "receipt_long"),
            ("credits.hold", "hourglass"),
            ("credits.approval", "approval"),
            ("credits.grant", "savings"),
            ("credits.auditrun", "fact_check"),
            ("credits.package", "sell"),
            ("credits.codebatch", "confirmation_number"),
            ("credits.redemptioncode", "redeem"),
        ),
    ),
    (
        _("Payments"),
        (
            ("credits.purchase", "shopping_cart"),
            ("credits.packagerequest", "contact_support"),
            ("credits.subscription", "autorenew"),
            ("credits.refill", "battery_charging_full"),
            ("credits.refillattempt", "bolt"),
            ("credits.refund", "undo"),
            ("credits.paymentreversal", "keyboard_return"),
            ("credits.dispute", "gavel"),
            ("credits.document", "description"),
            ("credits.customer", "badge"),
            ("credits.paymentevent", "webhook"),
            ("credits.paymentcomparison", "compare_arrows"),
        ),
    ),
    (
        _("Language models"),
        (
            ("llmproxy.completion", "chat"),
            ("llmproxy.languagemodel", "neurology"),
            ("llmproxy.provider", "dns"),
            ("llmproxy.usageimport", "balance"),
        ),
    ),
    (
        _("Devices"),
        (
            ("deviceauth.devicesession", "devices"),
            ("accounts.apikey", "key"),
            ("deviceauth.devicecode", "pin"),
            ("oauth2_provider.application", "apps"),
        ),
    ),
    (_("Site"), (("accounts.operatorsettings", "tune"),)),
)

TITLES = {
    "admin.logentry": _("Administrator log"),
    "mfa.authenticator": _("Second factors"),
    "oauth2_provider.application": _("Applications"),
}


logger = logging.getLogger(__name__)

BADGE_SECONDS = 1.0  # They take a millisecond.
# What waits for somebody, counted anew for each page: an index or a short table has the rows.
BADGES: dict[str, Callable[[], int]] = {
    "credits.approval": lambda: Approval.objects.filter(
        state=Approval.State.PENDING, expires_at__gt=Now()
    ).count(),
    "credits.purchase": lambda: Purchase.objects.in_review().count(),
    "llmproxy.provider": count_failing,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """How the menu calls the list of a model, and in which section; "" if it is in none."""

    section: str
    title: str


def find_entry(meta: Any) -> Entry:
    """Return the entry of a model; the name of its rows as the title if it is not in the menu."""
    section = next(
        (title for title, items in SECTIONS if any(meta.label_lower == each[0] for each in items)),
        "",
    )
    return Entry(str(section), find_title(meta))


def find_title(meta: Any) -> str:
    # Names of libraries are not marked for translation, so they are looked up here.
    return str(TITLES.get(meta.label_lower) or capfirst(gettext(str(meta.verbose_name_plural))))


def find_entry_at(address: str) -> Entry | None:
    """Return the entry of the list at this address; None if there is no list."""
    meta = _list_addresses().get(address)
    return None if meta is None else find_entry(meta)


@cache
def _list_addresses() -> dict[str, Any]:
    """Return the models by the addresses of their lists, which do not change."""
    return {
        reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist"): meta
        for meta in (model._meta for model in admin.site._registry)
    }


def label_environment(request: HttpRequest) -> tuple[str, str] | None:
    """Return Unfold's ENVIRONMENT: the name of this installation and the colour of its label."""
    name = settings.ENVIRONMENT_NAME
    if not name:
        return None
    return name, "danger" if name.lower().startswith("prod") else "info"


def write_title_prefix(request: HttpRequest) -> str:
    """Return Unfold's ENVIRONMENT_TITLE_PREFIX, with which a tab names its installation."""
    return f"[{settings.ENVIRONMENT_NAME}]" if settings.ENVIRONMENT_NAME else ""


def build_navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return Unfold's SIDEBAR.navigation. An entry is visible to those who may view its rows."""
    models = {model._meta.label_lower: model for model in admin.site._registry}
    badges = _count_badges(request)
    return [
        {
            "title": title,
            "items": [
                _make_item(label, models[label]._meta, icon) | badges.get(label, {})
                for label, icon in items
            ],
        }
        for title, items in SECTIONS
    ]


def _count_badges(request: HttpRequest) -> dict[str, dict[str, Any]]:
    """Return the badges of those entries where something waits that the administrator may see.

    A count that the database does not tell within a second is a question mark: the page is shown.
    """
    counts: dict[str, int | str] = {}
    try:
        with bounded(time.monotonic() + BADGE_SECONDS):
            for label, count in BADGES.items():
                if request.user.has_perm("{}.view_{}".format(*label.split("."))):
                    counts[label] = "?"
                    counts[label] = count()
    except (Error, TooSlowError) as error:
        logger.warning("the badges of the menu are not counted: %s", error)
    return {
        label: {"badge": number, "badge_variant": "danger"}
        for label, number in counts.items()
        if number
    }


def _make_item(label: str, meta: Any, icon: str) -> dict[str, Any]:
    return {
        "title": find_title(meta),
        "icon": icon,
        "link": reverse_lazy(f"admin:{label.replace('.', '_')}_changelist"),
        "permission": _require(f"{meta.app_label}.view_{meta.model_name}"),
    }


def _require(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)
