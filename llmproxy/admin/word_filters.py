"""Filters of providers, in words."""

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.admin.word_filters import WordFilter


class ProviderStateFilter(WordFilter):
    """Providers by whether they answer."""

    title = _("state")
    parameter_name = "is"
    conditions = (
        ("good", _("Works"), Q(is_active=True, failures=0)),
        (
            "failing",
            _("Fails or is paused"),
            lambda: Q(is_active=True) & (Q(failures__gt=0) | Q(cooling_until__gt=timezone.now())),
        ),
        ("off", _("Switched off"), Q(is_active=False)),
    )
