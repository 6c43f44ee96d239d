"""Filters of the ledger's lists, in words."""

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.admin.word_filters import WordFilter


class UseFilter(WordFilter):
    """Redemption codes by what became of them."""

    title = _("state")
    parameter_name = "is"
    conditions = (
        ("unused", _("Not used yet"), Q(user=None, revoked_at=None)),
        ("used", _("Used"), Q(user__isnull=False)),
        ("revoked", _("Revoked"), Q(revoked_at__isnull=False)),
    )


class SoundFilter(WordFilter):
    """Audits or comparisons by their result."""

    title = _("result")
    parameter_name = "result"
    conditions = (
        ("sound", _("No problems"), Q(problems=0)),
        ("problems", _("With problems"), Q(problems__gt=0)),
    )


class ValidFilter(WordFilter):
    """Documents by whether they were cancelled."""

    title = _("state")
    parameter_name = "is"
    conditions = (
        ("valid", _("Valid"), Q(cancelled_at=None)),
        ("cancelled", _("Cancelled"), Q(cancelled_at__isnull=False)),
    )


class ForceFilter(WordFilter):
    """Reversals by whether their money is still gone."""

    title = _("state")
    parameter_name = "is"
    conditions = (
        ("force", _("The money is gone"), Q(is_in_force=True)),
        ("back", _("The money came back"), Q(is_in_force=False)),
    )
