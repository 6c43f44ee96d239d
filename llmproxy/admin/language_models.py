"""The admin of models, their prices, and the providers that serve them."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import flatten
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import action
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from accounts.admin.bases import CheckedActions, LabelledCells
from accounts.admin.stale_pages import RefusesStalePages
from accounts.admin.word_filters import SaleFilter
from llmproxy.admin.price_imports import PriceImportPage
from llmproxy.metering.media import MEDIA
from llmproxy.metering.price_kinds import (
    COLUMN_KINDS,
    LONG_COLUMNS,
    PRICE_COLUMNS,
    PRICE_KINDS,
    TOKEN_KINDS,
)
from llmproxy.models import Deployment, LanguageModel
from llmproxy.receipts import typical_answers
from llmproxy.receipts.explain import format_decimal

LISTED = tuple(kind.column for kind in COLUMN_KINDS)
OTHER_TOKENS = tuple(kind.column for kind in TOKEN_KINDS if kind not in COLUMN_KINDS)
THINGS = tuple(kind.column for kind in PRICE_KINDS if kind not in TOKEN_KINDS)
RATES = tuple(f"{medium.name}_tokens" for medium in MEDIA)
LONG_LABELS = {kind.long_column: kind.label for kind in TOKEN_KINDS}
USUAL = 2  # the groups of fields that are always open


def _pair(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Put two fields on each line."""
    return tuple(names[start : start + 2] for start in range(0, len(names), 2))


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


class DeploymentInline(LabelledCells, TabularInline):
    model = Deployment
    extra = 0
    fields = ("provider", "upstream_name", "limit_spelling", "order", "weight", "is_active")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Deployment]:
        rows: QuerySet[Deployment] = (
            super().get_queryset(request).select_related("model", "provider")
        )
        return rows


@admin.register(LanguageModel)
class LanguageModelAdmin(RefusesStalePages, CheckedActions, ModelAdmin):
    list_display = ("name", "served_by", *map(_build_column, LISTED), "sold")
    list_filter = (SaleFilter, ("providers", RelatedDropdownFilter))
    list_filter_submit = True
    search_fields = ("name", "deployments__upstream_name")
    inlines = (DeploymentInline,)
    actions_list = ("import_prices",)
    actions = ("import_prices_of_chosen",)
    readonly_fields = ("sold",)
    change_form_outer_before_template = "llmproxy/typical_answer.html"
    fieldsets = (
        (None, {"fields": ("name", ("max_output_tokens", "is_active"), "sold")}),
        (
            _("What it can do"),
            {
                "fields": (("sees_images", "hears_audio"), ("calls_tools", "context_tokens")),
                "description": _(
                    "A request that needs more is refused before a provider is asked. Where a "
                    "field is unknown or empty, the provider decides."
                ),
            },
        ),
        (
            _("Prices in credits per 1,000 tokens"),
            {
                "fields": _pair(LISTED),
                "description": _(
                    "If a price is empty, the default price applies; for cached prompts and "
                    "cache writes, the prompt price. Anthropic charges 1.25 times its "
                    "prompt price for a cache write. A change applies to completions that "
                    "start after it."
                ),
            },
        ),
        (
            _("Prices of other tokens, per 1,000"),
            {
                "fields": _pair(OTHER_TOKENS),
                "description": _(
                    "If a price is empty, these tokens cost what all tokens of the prompt or of "
                    "the answer cost. Anthropic charges twice its prompt price for a cache write "
                    "that lasts an hour."
                ),
            },
        ),
        (
            _("Prices beside the tokens"),
            {
                "fields": _pair(THINGS),
                "description": _(
                    "These are charged in addition to the tokens. If a price is empty, nothing is."
                ),
            },
        ),
        (
            _("Prices of long prompts, per 1,000 tokens"),
            {
                "fields": ("long_from_tokens", *_pair(LONG_COLUMNS)),
                "description": _(
                    "They apply to all tokens of a completion whose prompt has at least so many "
                    "tokens. If a price is empty, the price above applies."
                ),
            },
        ),
        (
            _("Tokens of images, documents, audio and video"),
            {
                "fields": _pair(RATES),
                "description": _(
                    "So many tokens are held for each. What the provider reports is charged. If a "
                    "number is empty, the default applies."
                ),
            },
        ),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name in (*PRICE_COLUMNS, *LONG_COLUMNS):
            options |= {"form_class": PriceField, "widget": UnfoldAdminDecimalFieldWidget}
            if label := LONG_LABELS.get(db_field.name):
                options["label"] = capfirst(label)
            return db_field.formfield(**options)
        return super().formfield_for_dbfield(db_field, request, **options)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LanguageModel]:
        rows: QuerySet[LanguageModel] = (
            super().get_queryset(request).prefetch_related("deployments__provider")
        )
        return rows

    def render_change_form(self, request: HttpRequest, context: Any, **options: Any) -> Any:
        model = options.get("obj")
        # The row as it is stored: the one of the form may have what was typed.
        stored = self.get_queryset(request).filter(pk=model.pk).first() if model else None
        if stored is not None:
            context["typical"] = typical_answers.describe_model(stored)
        return super().render_change_form(request, context, **options)

    @action(
        description=_("Import prices…"),
        url_path="prices",
        permissions=["change"],
        icon="price_change",
    )  # type: ignore[untyped-decorator]
    def import_prices(self, request: HttpRequest) -> HttpResponseBase:
        """Show what the published prices would change, of all models or of those in `?model=`."""
        models = LanguageModel.objects.order_by("name")
        if chosen := [
            key for key in request.GET.getlist("model") if key.isdecimal() and len(key) < 19
        ]:
            models = models.filter(pk__in=chosen)
        return PriceImportPage(request, self, models).respond()

    @admin.action(description=_("Import prices…"), permissions=["change"])
    def import_prices_of_chosen(
        self, request: HttpRequest, chosen: QuerySet[LanguageModel]
    ) -> HttpResponseBase:
        query = urlencode([("model", key) for key in chosen.values_list("pk", flat=True)])
        return HttpResponseRedirect(
            f"{reverse('admin:llmproxy_languagemodel_import_prices')}?{query}"
        )

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
        """Close the groups in which nothing is entered; a new model is not sold yet."""
        groups: list[Any] = [(title, dict(options)) for title, options in self.fieldsets]
        if obj is None:
            groups[0][1]["fields"] = groups[0][1]["fields"][:-1]
        for _title, options in groups[USUAL:]:
            names = flatten(options["fields"])
            if obj is None or all(getattr(obj, name) is None for name in names):
                options["classes"] = ("collapse",)
        return groups
