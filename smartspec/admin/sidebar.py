"""The menu of the admin, ordered by how often an administrator needs the entries."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

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
)

TITLES = {
    "admin.logentry": _("Administrator log"),
    "mfa.authenticator": _("Second factors"),
    "oauth2_provider.application": _("Applications"),
}


def build_navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return Unfold's SIDEBAR.navigation. An entry is visible to those who may view its rows."""
    models = {model._meta.label_lower: model for model in admin.site._registry}
    return [
        {
            "title": title,
            "items": [_make_item(label, models[label]._meta, icon) for label, icon in items],
        }
        for title, items in SECTIONS
    ]


def _make_item(label: str, meta: Any, icon: str) -> dict[str, Any]:
    return {
        "title": TITLES.get(label) or capfirst(meta.verbose_name_plural),
        "icon": icon,
        "link": reverse_lazy(f"admin:{label.replace('.', '_')}_changelist"),
        "permission": _require(f"{meta.app_label}.view_{meta.model_name}"),
    }


def _require(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)
