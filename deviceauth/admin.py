"""Device login for the operator. Nothing here shows a secret, and nothing is edited that the protocol writes."""

from typing import Any, ClassVar, cast

import oauth2_provider.admin  # noqa: F401 – it registers the admins that these replace
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import AccessToken, Application, Grant, IDToken, RefreshToken
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action

from accounts.admin.bases import CheckedActions, ReadOnlyAdmin, SearchedByUser
from accounts.admin.filters import OneUserFilter, WrittenFilter
from accounts.toolbox.request_source import Source
from deviceauth import device_flow, device_sessions
from deviceauth.models import DeviceCode, DeviceSession

for model in (AccessToken, Application, Grant, IDToken, RefreshToken):
    admin.site.unregister(model)


class RevocableAdmin(CheckedActions, SearchedByUser, ReadOnlyAdmin):
    """Rows that can be ended, after a question."""

    actions = ("revoke",)
    list_filter_submit = True
    may_revoke: ClassVar[str]
    question: ClassVar[Any]
    consequence: ClassVar[Any]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(self.may_revoke)

    def open(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Those that have not ended yet."""
        raise NotImplementedError

    def end(self, row: Any, source: Source) -> bool:
        """End one row; False if it had ended."""
        raise NotImplementedError

    @admin.action(description=_("Revoke the selected entries"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        rows = self.open(chosen).select_related("user")
        if "confirmed" not in request.POST:
            return self._ask(request, rows)
        ended = [row for row in rows if self.end(row, Source.of_administrator(request))]
        for row in ended:
            self.log_change(request, row, "Revoked.")
        message = ngettext("Revoked %d entry.", "Revoked %d entries.", len(ended)) % len(ended)
        self.message_user(request, message, messages.SUCCESS)
        return None

    def _ask(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": self.question,
            "consequence": self.consequence,
            "rows": rows,
            "opts": self.model._meta,
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "deviceauth/admin_revoke.html", context)


@admin.register(DeviceCode)
class DeviceCodeAdmin(RevocableAdmin):
    list_display = (
        "id",
        "application",
        "user",
        "status",
        "device",
        "address",
        "created_at",
        "expires",
    )
    list_filter = (
        OneUserFilter,
        ("status", ChoicesDropdownFilter),
        ("application", RelatedDropdownFilter),
        ("created_at", WrittenFilter),
    )
    list_select_related = ("application", "user")
    exclude = ("device_code", "user_code", "approval")
    may_revoke = "deviceauth.revoke_devicecode"
    question = _("Refuse these requests")
    consequence = _("These devices will receive a refusal:")

    def open(self, rows: QuerySet[DeviceCode]) -> QuerySet[DeviceCode]:
        return rows.filter(status__in=[DeviceCode.Status.PENDING, DeviceCode.Status.AUTHORIZED])

    def end(self, row: DeviceCode, source: Source) -> bool:
        return device_flow.withdraw(code=row, source=source)


@admin.register(DeviceSession)
class DeviceSessionAdmin(RevocableAdmin):
    list_display = (
        "name",
        "user",
        "application",
        "address",
        "created_at",
        "last_used_at",
        "revoked_at",
    )
    list_filter = (
        OneUserFilter,
        ("revoked_at", admin.EmptyFieldListFilter),
        ("application", RelatedDropdownFilter),
        ("created_at", WrittenFilter),
    )
    list_select_related = ("application", "user")
    exclude = ("token_family", "approval")
    may_revoke = "deviceauth.revoke_devicesession"
    question = _("Disconnect devices")
    consequence = _(
        "These devices will be disconnected at once. To connect again, they need a new code:"
    )

    def open(self, rows: QuerySet[DeviceSession]) -> QuerySet[DeviceSession]:
        return rows.filter(revoked_at=None)

    def end(self, row: DeviceSession, source: Source) -> bool:
        return device_sessions.revoke(session=row, source=source)


class ClientForm(forms.ModelForm[Application]):
    """A name is required: the person who is asked to allow the device reads it."""

    class Meta:
        model = Application
        fields = ("name", "client_id", "client_type")

    def clean_name(self) -> str:
        name = " ".join(str(self.cleaned_data["name"]).split())
        if not name:
            raise forms.ValidationError(
                _("Enter a name. People see it when they connect this application.")
            )
        return name


@admin.register(Application)
class ApplicationAdmin(CheckedActions, ModelAdmin):
    """Clients. A confidential one gets a secret that we draw, shown once; only its hash is kept."""

    form = ClientForm
    list_display = ("name", "client_id", "client_type", "created")
    list_filter = ("client_type",)
    search_fields = ("name", "client_id")
    fields: ClassVar[list[str]] = ["name", "client_id", "client_type"]
    actions_detail = ("new_secret",)
    view_on_site = False  # the library's page of a client is not ours to show

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("client_id", "client_type") if obj else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"client_type": Application.CLIENT_PUBLIC}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        if not change:
            obj.authorization_grant_type = (
                Application.GRANT_DEVICE_CODE
            )  # there is no other one here
        super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The desktop application's client must not go by accident: every desktop would be logged out."""
        if obj is not None and obj.client_id == settings.FIRST_PARTY_CLIENT_ID:
            return False
        return bool(super().has_delete_permission(request, obj))

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        if obj.client_type == Application.CLIENT_CONFIDENTIAL:
            return self._with_new_secret(request, obj)
        response: HttpResponse = super().response_add(request, obj, post_url_continue)
        return response

    def has_new_secret_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(self.has_change_permission(request))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        client = self.get_object(request, str(object_id))
        has_one = client is not None and client.client_type == Application.CLIENT_CONFIDENTIAL
        return super().get_actions_detail(request, object_id) if has_one else []

    @action(
        description=_("Create a new secret"),
        url_path="new-secret",
        permissions=["new_secret"],
        icon="key",
    )  # type: ignore[untyped-decorator]
    def new_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then replace the secret: the old one stops working at once."""
        client = self.get_object(request, object_id)
        if client is None or client.client_type != Application.CLIENT_CONFIDENTIAL:
            return cast(
                HttpResponse, self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            )
        if request.method == "POST":
            self.log_change(request, client, "New secret.")
            return self._with_new_secret(request, client)
        return self._secret_page(request, client)

    def _with_new_secret(self, request: HttpRequest, client: Any) -> HttpResponse:
        secret = generate_client_secret()
        client.client_secret = secret
        client.save(update_fields=["client_secret"])
        return self._secret_page(request, client, secret=secret)

    def _secret_page(self, request: HttpRequest, client: Any, **more: Any) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": client.name,
            "client": client,
            **more,
        }
        response = TemplateResponse(request, "deviceauth/admin_secret.html", context)
        response["Cache-Control"] = "no-store"
        return response


@admin.register(AccessToken)
class AccessTokenAdmin(SearchedByUser, ReadOnlyAdmin):
    list_display = ("id", "user", "application", "scope", "created", "expires")
    list_select_related = ("application", "user")
    fields = ("user", "application", "scope", "created", "expires")


@admin.register(RefreshToken)
class RefreshTokenAdmin(SearchedByUser, ReadOnlyAdmin):
    list_display = ("id", "user", "application", "created", "revoked")
    list_filter = (("revoked", admin.EmptyFieldListFilter),)
    list_select_related = ("application", "user")
    fields = ("user", "application", "created", "revoked")
