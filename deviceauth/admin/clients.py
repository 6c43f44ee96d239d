"""OAuth clients in the admin, and the secrets of the confidential ones."""

from typing import Any, ClassVar

import oauth2_provider.admin  # noqa: F401 – it registers the admin that is replaced here
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.transaction import atomic
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import Application
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action

from accounts.admin.bases import CheckedActions
from accounts.admin.stale_pages import RefusesStalePages, StalePage
from accounts.toolbox import shown_once
from accounts.toolbox.typed.names import clean_name

admin.site.unregister(Application)


def _name_secret(pk: int) -> str:
    return f"client:{pk}"


class ClientForm(forms.ModelForm[Application]):
    """Requires a name, because the page that asks a person to allow a device shows it."""

    class Meta:
        model = Application
        fields = ("name", "client_id", "client_type")

    def clean_name(self) -> str:
        name = clean_name(str(self.cleaned_data["name"]))
        if not name:
            raise forms.ValidationError(
                _("Enter a name. People see it when they connect this application.")
            )
        return name


@admin.register(Application)
class ApplicationAdmin(RefusesStalePages, CheckedActions, ModelAdmin):
    """OAuth clients. A confidential client gets a random secret, shown once; its hash is stored."""

    form = ClientForm
    sealed = ("client_secret",)
    list_display = ("name", "number", "kind", "created")
    list_filter = (("client_type", ChoicesDropdownFilter),)
    list_filter_submit = True
    search_fields = ("name", "client_id")
    fields: ClassVar[list[str]] = ["name", "client_id", "client_type"]
    actions_detail = ("new_secret",)
    view_on_site = False  # django-oauth-toolkit's own page of a client is not served here

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("number", "kind") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Show what a client cannot change under labels of ours, which have a translation."""
        return ["name", "number", "kind"] if obj else self.fields

    @admin.display(description=_("client ID"))
    def number(self, client: Any) -> str:
        return str(client.client_id)

    @admin.display(description=_("client type"))
    def kind(self, client: Any) -> str:
        return str(client.get_client_type_display())

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"client_type": Application.CLIENT_PUBLIC}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        if not change:
            # The only grant type that a client may begin with here.
            obj.authorization_grant_type = Application.GRANT_DEVICE_CODE
        super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Protect the client of the desktop application. Deleting it would log desktops out."""
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
        has_secret = client is not None and client.client_type == Application.CLIENT_CONFIDENTIAL
        return super().get_actions_detail(request, object_id) if has_secret else []

    @action(
        description=_("Create a new secret"),
        url_path="new-secret",
        permissions=["new_secret"],
        icon="key",
    )  # type: ignore[untyped-decorator]
    def new_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for confirmation, then replace the secret. The old one stops working at once.

        With `?shown` the page shows the new secret, as long as it is kept.
        """
        client = self.get_object(request, object_id)
        if client is None or client.client_type != Application.CLIENT_CONFIDENTIAL:
            return HttpResponseRedirect(reverse("admin:oauth2_provider_application_changelist"))
        if request.method != "POST":
            return self._show_secret(request, client)
        try:
            with atomic():
                self.require_version(request, self.get_object(request, object_id))
                self.log_change(request, client, "New secret.")
                return self._with_new_secret(request, client)
        except StalePage as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(request.path)

    def _show_secret(self, request: HttpRequest, client: Any) -> HttpResponse:
        if "shown" not in request.GET:
            return self._secret_page(request, client)
        secret = shown_once.read_secret(request, name=_name_secret(client.pk))
        if secret is None:
            return redirect("admin:oauth2_provider_application_change", client.pk)
        return self._secret_page(request, client, secret=secret)

    def _with_new_secret(self, request: HttpRequest, client: Any) -> HttpResponse:
        secret = generate_client_secret()
        client.client_secret = secret
        client.save(update_fields=["client_secret"])
        shown_once.keep_secret(request, name=_name_secret(client.pk), secret=secret)
        page = reverse("admin:oauth2_provider_application_new_secret", args=[client.pk])
        return redirect(f"{page}?shown=1")

    def _secret_page(self, request: HttpRequest, client: Any, **more: Any) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": client.name,
            "client": client,
            "page_version": self.read_version(request, client).sign(client),
            **more,
        }
        response = TemplateResponse(request, "deviceauth/admin_secret.html", context)
        response["Cache-Control"] = "no-store"
        return response
