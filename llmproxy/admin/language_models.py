"""Models, their prices, and who serves them."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline

from accounts.admin import CheckedActions
from llmproxy.models import Deployment, LanguageModel

PRICES = ("prompt_price", "cached_prompt_price", "cache_write_price", "completion_price")


class DeploymentInline(TabularInline):
    model = Deployment
    extra = 0
    fields = ("provider", "upstream_name", "order", "weight", "is_active")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Deployment]:
        rows: QuerySet[Deployment] = super().get_queryset(request).select_related("model", "provider")
        return rows


@admin.register(LanguageModel)
class LanguageModelAdmin(CheckedActions, ModelAdmin):
    list_display = ("name", "served_by", *PRICES, "sold")
    list_filter = ("is_active", "providers")
    search_fields = ("name", "deployments__upstream_name")
    inlines = (DeploymentInline,)
    readonly_fields = ("sold",)
    fieldsets = (
        (None, {"fields": ("name", "max_output_tokens", "image_tokens", "is_active", "sold")}),
        (
            _("Prices in credits per 1,000 tokens"),
            {
                "fields": PRICES,
                "description": _(
                    "Empty: the default price; of cached and written tokens, that of the prompt. Anthropic takes 1.25 "
                    "times its prompt price for a write. A change counts for completions that start after it."
                ),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[LanguageModel]:
        rows: QuerySet[LanguageModel] = super().get_queryset(request).prefetch_related("deployments__provider")
        return rows

    @admin.display(description=_("providers"))
    def served_by(self, model: LanguageModel) -> str:
        """In the order in which they are asked."""
        return ", ".join(str(row.provider) for row in model.deployments.all() if row.is_active) or "–"

    @admin.display(description=_("sold"))
    def sold(self, model: LanguageModel) -> str:
        obstacle = model.obstacle if model.pk else None
        return gettext("No: %(why)s") % {"why": obstacle} if obstacle else gettext("Yes")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.readonly_fields

    def get_fieldsets(self, request: HttpRequest, obj: LanguageModel | None = None) -> Any:
        if obj is not None:
            return self.fieldsets
        (title, first), *others = self.fieldsets
        return [(title, {"fields": tuple(name for name in first["fields"] if name != "sold")}), *others]
