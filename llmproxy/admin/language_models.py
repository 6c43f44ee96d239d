"""The admin of models, their prices, and the providers that serve them."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from accounts.admin.bases import CheckedActions
from llmproxy.metering.price_kinds import COLUMN_KINDS, LONG_COLUMNS, PRICE_COLUMNS
from llmproxy.models import Deployment, LanguageModel
from llmproxy.receipts.explain import format_decimal

LISTED = tuple(kind.column for kind in COLUMN_KINDS)


class PriceField(forms.DecimalField):
    """Shows a price without trailing zeros."""

    widget = UnfoldAdminDecimalFieldWidget

    def prepare_value(self, value: Any) -> Any:
        return format_decimal(value) if isinstance(value, Decimal) else value


def _build_column(name: str) -> Callable[[LanguageModel], str]:
    """Return a column of the list that shows a price, and sorts by its number."""

    column: Any = LanguageModel._meta.get_field(name)

    @admin.display(description=column.verbose_name, ordering=name)
    def shown(model: LanguageModel) -> str:
        price = getattr(model, name)
        return "–" if price is None else format_decimal(price)

    shown.__name__ = f"shown_{name}"  # the list derives the CSS class of the column from this name
    return shown


class DeploymentInline(TabularInline):
    model = Deployment
    extra = 0
    fields = ("provider", "upstream_name", "order", "weight", "is_active")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Deployment]:
        rows: QuerySet[Deployment] = (
            super().get_queryset(request).select_related("model", "provider")
        )
        return rows


@admin.register(LanguageModel)
class LanguageModelAdmin(CheckedActions, ModelAdmin):
    list_display = ("name", "served_by", *map(_build_column, LISTED), "sold")
    list_filter = ("is_active", "providers")
    search_fields = ("name", "deployments__upstream_name")
    inlines = (DeploymentInline,)
    readonly_fields = ("sold",)
    fieldsets = (
        (None, {"fields": ("name", "max_output_tokens", "image_tokens", "is_active", "sold")}),
        (
            _("Prices in credits per 1,000 tokens"),
            {
                "fields": PRICE_COLUMNS,
                "description": _(
                    "If a price is empty, the default price applies; for cached prompts and "
                    "cache writes, the prompt price. Anthropic charges 1.25 times its "
                    "prompt price for a cache write. A change applies to completions that "
                    "start after it."
                ),
            },
        ),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name in (*PRICE_COLUMNS, *LONG_COLUMNS):
            options |= {"form_class": PriceField, "widget": UnfoldAdminDecimalFieldWidget}
            return db_field.formfield(**options)
        return super().formfield_for_dbfield(db_field, request, **options)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LanguageModel]:
        rows: QuerySet[LanguageModel] = (
            super().get_queryset(request).prefetch_related("deployments__provider")
        )
        return rows

    @admin.display(description=_("providers"))
    def served_by(self, model: LanguageModel) -> str:
        """The active providers, in the order in which they are tried."""
        return (
            ", ".join(str(row.provider) for row in model.deployments.all() if row.is_active) or "–"
        )

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
        return [
            (title, {"fields": tuple(name for name in first["fields"] if name != "sold")}),
            *others,
        ]
