"""Second factors in the admin."""

from typing import Any

import allauth.mfa.admin  # noqa: F401 – it registers the admin that is replaced here
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.db.models import Model, Q
from django.db.transaction import atomic
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy

from accounts.access import done_by_administrators
from accounts.access.second_factors import FACTOR_NAMES
from accounts.admin.address_search import FindsSpellings
from accounts.admin.bases import ReadOnlyAdmin
from accounts.admin.word_filters import WordFilter
from accounts.templatetags.times import show_local_time
from accounts.toolbox.request_source import Source

admin.site.unregister(Authenticator)


class FactorFilter(WordFilter):
    """Second factors of one kind."""

    title = gettext_lazy("kind")
    parameter_name = "kind"
    conditions = tuple((kind, name, Q(type=kind)) for kind, name in FACTOR_NAMES.items())


@admin.register(Authenticator)
class FactorAdmin(FindsSpellings, ReadOnlyAdmin):
    """Second factors, without their secrets. A superuser deletes one for a person who lost it."""

    list_display = ("user", "kind", "created", "last_used")
    list_filter = (FactorFilter,)
    list_filter_submit = True
    list_select_related = ("user",)
    search_fields = ("user__email",)
    address_field = "user__email"
    fields = readonly_fields = ("person", "kind", "created", "last_used")
    actions = None

    @admin.display(description=gettext_lazy("user"))
    def person(self, factor: Authenticator) -> str:
        return str(factor.user)

    @admin.display(description=gettext_lazy("created"))
    def created(self, factor: Any) -> Any:
        return show_local_time(factor.created_at)

    @admin.display(description=gettext_lazy("last used"))
    def last_used(self, factor: Any) -> Any:
        return show_local_time(factor.last_used_at)

    @admin.display(description=gettext_lazy("kind"))
    def kind(self, factor: Authenticator) -> str:
        return capfirst(str(FACTOR_NAMES[factor.type]))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_superuser)

    def delete_model(self, request: HttpRequest, obj: Authenticator) -> None:
        """Delete the factor, and with the last one also the recovery codes.

        Recovery codes alone protect nothing, and would prevent new ones from being created.
        """
        with atomic():
            super().delete_model(request, obj)
            remaining = Authenticator.objects.filter(user=obj.user)
            if not remaining.exclude(type=Authenticator.Type.RECOVERY_CODES).exists():
                remaining.delete()
            done_by_administrators.finish_factor_removal(
                obj.user, kind=obj.type, source=Source.from_administrator(request)
            )
