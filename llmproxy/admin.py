"""Providers, models with prices, and completions with their receipts, in the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminURLInputWidget

from accounts.admin import CheckedActions, ReadOnlyAdmin
from accounts.filters import MOST, OneUserFilter, WrittenFilter, chosen_user
from llmproxy import receipt_pages
from llmproxy.models import ENVIRONMENT, Completion, Deployment, LanguageModel, Provider


class ProviderForm(forms.ModelForm[Provider]):
    base_url = forms.URLField(
        label=_("Base URL"),
        required=False,
        assume_scheme="https",
        widget=UnfoldAdminURLInputWidget(),
        help_text=_("Up to and including /v1."),
    )
    new_key = forms.CharField(
        label=_("New API key"),
        required=False,
        strip=True,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_("Kept encrypted and never shown again. Leave empty to keep the present one."),
    )

    def clean_base_url(self) -> str:
        address = str(self.cleaned_data["base_url"])
        if address and not address.startswith(("http://", "https://")):
            raise forms.ValidationError(_("Enter the address, up to and including /v1."))
        return address

    class Meta:
        model = Provider
        fields = ("name", "slug", "is_active")  # and what the admin adds; a read-only URL would become a plain field

    def clean_new_key(self) -> str:
        key = str(self.cleaned_data["new_key"])
        if not (key.isascii() and key.isprintable()):
            raise forms.ValidationError(_("A key has only letters, digits and signs of ASCII."))
        return key

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "base_url" in cleaned and not cleaned["base_url"] and cleaned.get("slug", self.instance.slug) != ENVIRONMENT:
            self.add_error("base_url", _("Enter the address, up to and including /v1."))
        return cleaned


@admin.register(Provider)
class ProviderAdmin(CheckedActions, ModelAdmin):
    form = ProviderForm
    list_display = ("name", "slug", "address", "has_key", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name", "slug")

    def get_readonly_fields(self, request: HttpRequest, obj: Provider | None = None) -> tuple[str, ...]:
        """What LLM_UPSTREAM_* says is changed there."""
        return ("slug", "base_url") if obj and obj.slug == ENVIRONMENT else ()

    def get_fields(self, request: HttpRequest, obj: Provider | None = None) -> tuple[str, ...]:
        fixed = obj is not None and obj.slug == ENVIRONMENT
        return ("name", "slug", "base_url", "is_active") + (() if fixed else ("new_key",))

    def save_model(self, request: HttpRequest, obj: Provider, form: Any, change: bool) -> None:  # noqa: FBT001 – Django's signature
        if key := form.cleaned_data.get("new_key"):
            obj.set_key(key)
        super().save_model(request, obj, form, change)

    @admin.display(description=_("address"))
    def address(self, provider: Provider) -> str:
        return provider.url or "–"

    @admin.display(description=_("key"), boolean=True)
    def has_key(self, provider: Provider) -> bool:
        return bool(provider.key if provider.slug == ENVIRONMENT else provider.encrypted_key)


class DeploymentInline(TabularInline):
    model = Deployment
    extra = 0
    fields = ("provider", "upstream_name", "order", "weight", "is_active")


@admin.register(LanguageModel)
class LanguageModelAdmin(CheckedActions, ModelAdmin):
    list_display = ("name", "prompt_price", "cached_prompt_price", "completion_price", "is_active")
    list_filter = ("is_active", "providers")
    search_fields = ("name", "deployments__upstream_name")
    inlines = (DeploymentInline,)
    fieldsets = (
        (None, {"fields": ("name", "max_output_tokens", "image_tokens", "is_active")}),
        (
            _("Prices in credits per 1,000 tokens"),
            {
                "fields": ("prompt_price", "cached_prompt_price", "completion_price"),
                "description": _("Empty: the default price. A change counts for completions that start after it."),
            },
        ),
    )


class ProviderFilter(DropdownFilter):
    """From the providers: to ask the completions which there are would read all of them."""

    title = _("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Provider.objects.values_list("slug", "name")[:MOST])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Completion]) -> QuerySet[Completion]:
        return queryset.filter(provider=self.value()) if self.value() else queryset


@admin.register(Completion)
class CompletionAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at",
        "user",
        "model",
        "credential_name",
        "status",
        "prompt_tokens",
        "completion_tokens",
        "charged",
        "total_ms",
    )
    list_filter = (
        OneUserFilter,
        ("status", ChoicesDropdownFilter),
        ("usage_source", ChoicesDropdownFilter),
        ProviderFilter,
        ("created_at", WrittenFilter),
    )
    list_filter_submit = True
    list_select_related = ("user",)
    search_fields = ("generation_id",)
    search_help_text = _("Whole e-mail, public id, completion or trace")
    change_form_before_template = "llmproxy/admin_receipt.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Above the columns, the receipt that the user sees."""
        row = self.get_object(request, object_id)
        context = (receipt_pages.shown(row) if row else {}) | (extra_context or {})
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Completion], search_term: str
    ) -> tuple[QuerySet[Completion], bool]:
        """One index for each kind of term; a trace, which has none, is looked for when nothing else is it."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if (user := chosen_user("", term)) is not None:
            return queryset.filter(user=user), False
        if found := Completion.objects.filter(generation_id=term).values_list("pk", flat=True)[:1]:
            return queryset.filter(pk__in=list(found)), False
        return queryset.filter(trace_id=term), False
