"""Device login for the operator. Nothing here shows a secret, and nothing is edited that the protocol writes."""

from typing import Any, ClassVar

import oauth2_provider.admin  # noqa: F401 – it registers the admins that these replace
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from oauth2_provider.models import AccessToken, Application, Grant, IDToken, RefreshToken
from unfold.admin import ModelAdmin

from accounts.admin import CheckedActions, ReadOnlyAdmin
from accounts.devices import Source
from deviceauth import device_sessions
from deviceauth.models import DeviceCode, DeviceSession

for model in (AccessToken, Application, Grant, IDToken, RefreshToken):
    admin.site.unregister(model)


@admin.register(DeviceCode)
class DeviceCodeAdmin(ReadOnlyAdmin):
    list_display = ("id", "application", "user", "status", "device", "address", "created_at", "expires")
    list_filter = ("status", "application")
    list_select_related = ("application", "user")
    search_fields = ("user__email", "user__public_id", "address")
    date_hierarchy = "created_at"
    exclude = ("device_code", "user_code")


@admin.register(DeviceSession)
class DeviceSessionAdmin(CheckedActions, ReadOnlyAdmin):
    list_display = ("name", "user", "application", "address", "created_at", "last_used_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "application")
    list_select_related = ("application", "user")
    search_fields = ("user__email", "user__public_id", "name", "address")
    exclude = ("token_family",)
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("deviceauth.revoke_devicesession")

    @admin.action(description=_("Revoke the selected sessions"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[DeviceSession]) -> HttpResponse | None:
        """Ask, then end these sessions: their devices must log in again."""
        sessions = chosen.filter(revoked_at=None)
        if "confirmed" not in request.POST:
            return self._confirm(request, sessions)
        for session in sessions:
            device_sessions.revoke(session=session, source=Source.of(request))
            self.log_change(request, session, "Revoked.")
        number = len(sessions)
        message = ngettext("Revoked %d session.", "Revoked %d sessions.", number) % number
        self.message_user(request, message, messages.SUCCESS)
        return None

    def _confirm(self, request: HttpRequest, sessions: QuerySet[DeviceSession]) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": _("Revoke sessions"),
            "sessions": sessions.select_related("user"),
            "opts": self.model._meta,
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "deviceauth/admin_revoke.html", context)


@admin.register(Application)
class ApplicationAdmin(CheckedActions, ModelAdmin):
    """Clients. A secret is given once, when a confidential client is made, and only its hash is kept."""

    list_display = ("name", "client_id", "client_type", "authorization_grant_type", "created")
    list_filter = ("client_type",)
    search_fields = ("name", "client_id")
    fields: ClassVar[list[str]] = ["name", "client_id", "client_type", "authorization_grant_type"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.fields if obj else [*self.fields, "client_secret"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("client_id", "client_type") if obj else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"client_type": Application.CLIENT_PUBLIC, "authorization_grant_type": Application.GRANT_DEVICE_CODE}

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The desktop application's client must not go by accident: every desktop would be logged out."""
        if obj is not None and obj.client_id == settings.FIRST_PARTY_CLIENT_ID:
            return False
        return bool(super().has_delete_permission(request, obj))


@admin.register(AccessToken)
class AccessTokenAdmin(ReadOnlyAdmin):
    list_display = ("id", "user", "application", "scope", "created", "expires")
    list_select_related = ("application", "user")
    search_fields = ("user__email", "user__public_id")
    fields = ("user", "application", "scope", "created", "expires")


@admin.register(RefreshToken)
class RefreshTokenAdmin(ReadOnlyAdmin):
    list_display = ("id", "user", "application", "created", "revoked")
    list_filter = (("revoked", admin.EmptyFieldListFilter),)
    list_select_related = ("application", "user")
    search_fields = ("user__email", "user__public_id")
    fields = ("user", "application", "created", "revoked")
