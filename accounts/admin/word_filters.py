"""Filters whose choices are words for what an administrator looks for, not names of columns."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

Condition = Q | Callable[[], Q]


class WordFilter(DropdownFilter):
    """One choice of several; each is a value in the address, its words, and a condition."""

    conditions: tuple[tuple[str, Any, Condition], ...] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(value, words) for value, words, _condition in self.conditions]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Raise IncorrectLookupParameters for a value that is no choice."""
        if not self.value():
            return queryset
        for value, _words, condition in self.conditions:
            if value == self.value():
                return queryset.filter(condition() if callable(condition) else condition)
        raise IncorrectLookupParameters


class AccountFilter(WordFilter):
    """Users by whether they can log in."""

    title = _("account")
    parameter_name = "account"
    conditions = (
        ("active", _("Active"), Q(is_active=True)),
        ("deactivated", _("Deactivated"), Q(is_active=False, closed_at=None)),
        ("deleted", _("Deleted"), Q(closed_at__isnull=False)),
    )


class RightsFilter(WordFilter):
    """Users by what they may do in the admin."""

    title = _("rights")
    parameter_name = "rights"
    conditions = (
        ("superuser", _("Superusers"), Q(is_superuser=True)),
        ("staff", _("All administrators"), Q(is_staff=True)),
        ("none", _("No access to the admin"), Q(is_staff=False)),
    )


class BalanceFilter(WordFilter):
    """Users who will run out of credits, or have."""

    title = _("balance")
    parameter_name = "balance"
    conditions = (
        ("none", _("Nothing left"), Q(credits__lte=0)),
        (
            "low",
            format_lazy(_("Below {number} credits"), number=settings.LOW_BALANCE_CREDITS),
            lambda: Q(credits__lt=settings.LOW_BALANCE_CREDITS),
        ),
    )


class KeyFilter(WordFilter):
    """API keys by whether they work."""

    title = _("state")
    parameter_name = "is"
    conditions = (
        (
            "live",
            _("In use"),
            lambda: Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now())),
        ),
        ("unused", _("Never used"), Q(revoked_at=None, last_used_at=None)),
        (
            "expired",
            _("Expired"),
            lambda: Q(revoked_at=None, expires_at__lte=timezone.now()),
        ),
        ("revoked", _("Revoked"), Q(revoked_at__isnull=False)),
    )


class MailedFilter(WordFilter):
    """Alerts by what became of their mail."""

    title = _("mail")
    parameter_name = "mail"
    conditions = (
        ("waiting", _("Waits to be sent"), Q(sent_at=None)),
        ("mailed", _("Mailed"), Q(mailed_at__isnull=False)),
        ("silent", _("Not mailed"), Q(sent_at__isnull=False, mailed_at=None)),
    )


class EndpointFilter(WordFilter):
    """Webhooks by whether messages arrive."""

    title = _("state")
    parameter_name = "is"
    conditions = (
        ("good", _("Works"), Q(is_active=True, failing_since=None)),
        ("failing", _("Fails now"), Q(is_active=True, failing_since__isnull=False)),
        ("off", _("Switched off"), Q(is_active=False)),
    )


class TriedFilter(WordFilter):
    """Waiting mails by whether they were refused before."""

    title = _("attempts")
    parameter_name = "tried"
    conditions = (
        ("no", _("Not tried yet"), Q(tries=0)),
        ("yes", _("Refused at least once"), Q(tries__gt=0)),
    )


class SaleFilter(WordFilter):
    """Packages or models by whether they are offered."""

    title = _("on sale")
    parameter_name = "sale"
    conditions = (
        ("yes", _("On sale"), Q(is_active=True)),
        ("no", _("Switched off"), Q(is_active=False)),
    )


class ConnectionFilter(WordFilter):
    """Devices by whether they are connected."""

    title = _("state")
    parameter_name = "is"
    conditions = (
        ("connected", _("Connected"), Q(revoked_at=None)),
        ("disconnected", _("Disconnected"), Q(revoked_at__isnull=False)),
    )


class TokenFilter(WordFilter):
    """Refresh tokens by whether they were revoked."""

    title = _("state")
    parameter_name = "is"
    conditions = (
        ("live", _("Not revoked"), Q(revoked=None)),
        ("revoked", _("Revoked"), Q(revoked__isnull=False)),
    )
