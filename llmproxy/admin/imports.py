"""The page that imports models from the list of a provider."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldBooleanSwitchWidget

from llmproxy.metering.price_kinds import COLUMN_KINDS, PriceKind
from llmproxy.models import LanguageModel, Provider
from llmproxy.receipts.explain import format_decimal
from llmproxy.upstream import model_listing
from llmproxy.upstream.model_listing import Offers

MOST_SHOWN = 500
MOST_AT_ONCE = 200
COLUMNS = tuple(kind.column for kind in COLUMN_KINDS)
WHOLE = frozenset(kind.column for kind in COLUMN_KINDS if not kind.part_of)


@dataclass(frozen=True, slots=True)
class Row:
    """A model that the provider offers. `obstacle` says why it cannot be chosen, or is empty."""

    name: str
    is_known: bool
    obstacle: str
    is_chosen: bool = False


def _build_price_field(kind: PriceKind) -> forms.DecimalField:
    return forms.DecimalField(
        label=capfirst(kind.label),
        help_text=_("If empty, the prompt price applies.") if kind.part_of == "prompt" else "",
        required=False,
        min_value=0,
        max_digits=12,
        decimal_places=6,
        widget=UnfoldAdminDecimalFieldWidget(),
    )


class ImportForm(forms.Form):
    """The names to import, which the provider must still offer, and a price of each kind."""

    use_default = forms.BooleanField(
        label=gettext_lazy("Sell at the default price"),
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
    )
    names = forms.MultipleChoiceField(
        error_messages={
            "required": gettext_lazy("Choose at least one model."),
            "invalid_choice": gettext_lazy(
                "%(value)s cannot be imported, or the provider no longer offers it."
            ),
        }
    )

    def __init__(self, data: Any, *, names: list[str], typed: Any) -> None:
        """`typed` are the values to show in a form that was not submitted for import."""
        super().__init__(
            data,
            initial={name: typed[name] for name in (*COLUMNS, "use_default") if name in typed},
        )
        self.fields = {
            **{kind.column: _build_price_field(kind) for kind in COLUMN_KINDS},
            **self.fields,
        }
        self.fields["names"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
        default = settings.WEB_LLM_CREDIT_PER_1K_TOKENS
        if default is None:
            del self.fields["use_default"]
        else:
            self.fields["use_default"].help_text = _("Credits per 1,000 tokens: %(price)s.") % {
                "price": format_decimal(default)
            }

    def clean_names(self) -> list[str]:
        names: list[str] = self.cleaned_data["names"]
        if len(names) > MOST_AT_ONCE:
            raise forms.ValidationError(
                _("Choose at most %(most)d models at once.") % {"most": MOST_AT_ONCE}
            )
        return names

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        given = [name for name in COLUMNS if cleaned.get(name) is not None]
        if given and not set(given) >= WHOLE:
            raise forms.ValidationError(
                _("Enter both the prompt price and the completion price, or neither.")
            )
        if given and cleaned.get("use_default"):
            raise forms.ValidationError(
                _("Either enter prices or choose the default price, not both.")
            )
        return cleaned

    @property
    def prices(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in COLUMNS}

    @property
    def is_priced(self) -> bool:
        return self.cleaned_data["prompt_price"] is not None or bool(
            self.cleaned_data.get("use_default")
        )


class ImportPage:
    """Asks the provider for its models, shows them, and imports the chosen ones."""

    def __init__(self, request: HttpRequest, model_admin: Any, provider: Provider) -> None:
        self.request = request
        self.model_admin = model_admin
        self.provider = provider
        self.back = reverse("admin:llmproxy_provider_change", args=[provider.pk])

    def respond(self) -> HttpResponseBase:
        try:
            offers = model_listing.list_models(self.provider)
        except model_listing.NoOffers as problem:
            messages.error(
                self.request, model_listing.describe_outcome(self.provider, str(problem))
            )
            return HttpResponseRedirect(self.back)
        rows = list(self._rows(offers.names))
        possible = [row.name for row in rows if not row.obstacle]
        sent = self.request.POST
        form = ImportForm(
            sent if sent and "filter" not in sent else None, names=possible, typed=sent
        )
        if form.is_bound and form.is_valid():
            self._take(form, offers)
            return HttpResponseRedirect(reverse("admin:llmproxy_languagemodel_changelist"))
        return self._page(form, rows)

    def _rows(self, names: list[str]) -> Iterator[Row]:
        served = model_listing.list_served_names(self.provider)
        known = set(LanguageModel.objects.filter(name__in=names).values_list("name", flat=True))
        chosen = set(self.request.POST.getlist("names"))
        for name in names:
            obstacle = _("Already imported") if name in served else ""
            if not model_listing.can_be_named(name):
                obstacle = _("This name is not allowed here")
            yield Row(name, name in known, obstacle, name in chosen)

    def _page(self, form: ImportForm, rows: list[Row]) -> TemplateResponse:
        """Show the chosen models first, then those that match the filter."""
        wanted = self.request.POST.get("q", self.request.GET.get("q", "")).strip()
        matches = [row for row in rows if row.is_chosen or wanted.lower() in row.name.lower()]
        matches.sort(key=lambda row: not row.is_chosen)
        context = self.model_admin.admin_site.each_context(self.request) | {
            "title": _("Models of %(provider)s") % {"provider": self.provider},
            "form": form,
            "rows": matches[:MOST_SHOWN],
            "more": max(len(matches) - MOST_SHOWN, 0),
            "wanted": wanted,
            "back": self.back,
            "opts": self.model_admin.model._meta,
        }
        return TemplateResponse(self.request, "llmproxy/import_models.html", context)

    def _take(self, form: ImportForm, offers: Offers) -> None:
        taken = model_listing.import_models(
            self.provider,
            form.cleaned_data["names"],
            prices=form.prices,
            is_active=form.is_priced,
            facts=offers.facts,
        )
        for model in taken.added:
            self.model_admin.log_addition(self.request, model, f"Imported from {self.provider}.")
        for model in taken.joined:
            self.model_admin.log_change(self.request, model, f"Served by {self.provider} as well.")
        self._tell(len(taken.added), len(taken.joined), is_active=form.is_priced)

    def _tell(self, added: int, joined: int, *, is_active: bool) -> None:
        sentences = [
            ngettext("%d model has been added.", "%d models have been added.", added) % added
        ]
        if added and not is_active:
            sentences.append(
                _("The new models are switched off. Enter their prices, then tick “Active”.")
            )
        if joined:
            text = ngettext(
                "%d existing model can now use this provider too.",
                "%d existing models can now use this provider too.",
                joined,
            )
            sentences.append(text % joined)
        messages.success(self.request, " ".join(sentences))
