"""The page that imports models from the list of a provider."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldBooleanSwitchWidget

from accounts.operation import current as operation
from llmproxy.admin.offered_prices import OfferedPrices, describe_offer
from llmproxy.admin.price_imports import build_rate_form
from llmproxy.metering.price_kinds import COLUMN_KINDS, PriceKind
from llmproxy.models import LanguageModel, Provider
from llmproxy.receipts.explain import format_decimal
from llmproxy.upstream import model_listing
from llmproxy.upstream.model_listing import Offers

MOST_SHOWN = 500
MOST_AT_ONCE = 200
COLUMNS = tuple(kind.column for kind in COLUMN_KINDS)
SWITCHES = ("use_default", "use_offered")
WHOLE = frozenset(kind.column for kind in COLUMN_KINDS if not kind.part_of)


@dataclass(frozen=True, slots=True)
class Row:
    """A model that the provider offers. `obstacle` says why it cannot be chosen, or is empty."""

    name: str
    is_known: bool
    obstacle: str
    is_chosen: bool = False
    price: str = ""


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
    use_offered = forms.BooleanField(
        label=gettext_lazy("Sell at the provider's prices with a margin"),
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        help_text=gettext_lazy(
            "Those of its list, else those of the published list. You see each price before "
            "anything is saved."
        ),
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
            initial={name: typed[name] for name in (*COLUMNS, *SWITCHES) if name in typed},
        )
        self.fields = {
            **{kind.column: _build_price_field(kind) for kind in COLUMN_KINDS},
            **self.fields,
        }
        self.fields["names"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
        default = operation.read_default_price()
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
        switches = sum(bool(cleaned.get(name)) for name in SWITCHES)
        if given and cleaned.get("use_default"):
            raise forms.ValidationError(
                _("Either enter prices or choose the default price, not both.")
            )
        if switches + bool(given) > 1:
            raise forms.ValidationError(_("Choose one way to find the prices, not two."))
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
        self.rate_form = build_rate_form(request.POST if "credits_per_usd" in request.POST else {})
        if "use_offered" not in request.POST:  # nobody needs the rate otherwise
            for field in self.rate_form.fields.values():
                field.required = False

    def respond(self) -> HttpResponseBase:
        try:
            offers = model_listing.list_models(self.provider)
        except model_listing.NoOffers as problem:
            messages.error(
                self.request, model_listing.describe_outcome(self.provider, str(problem))
            )
            return HttpResponseRedirect(self.back)
        rows = list(self._rows(offers))
        possible = [row.name for row in rows if not row.obstacle]
        sent = self.request.POST
        is_import = bool(sent) and not {"filter", "all"} & sent.keys()
        form = ImportForm(sent if is_import else None, names=possible, typed=sent)
        is_ready = form.is_bound and form.is_valid()
        if is_ready and form.cleaned_data["use_offered"]:
            return self._take_offered(form, rows, offers)
        if is_ready:
            self._take(form, offers)
            return HttpResponseRedirect(reverse("admin:llmproxy_languagemodel_changelist"))
        return self._page(form, rows)

    def _take_offered(self, form: ImportForm, rows: list[Row], offers: Offers) -> HttpResponseBase:
        """Show the prices that the chosen models would get; import them once they were shown."""
        if not self.rate_form.is_valid():
            return self._page(form, rows)
        plan = OfferedPrices(self.provider, form.cleaned_data["names"], offers, self.rate_form.rate)
        if self.request.POST.get("shown") == plan.digest:
            self._take(form, offers, plan)
            return HttpResponseRedirect(reverse("admin:llmproxy_languagemodel_changelist"))
        return self._page(form, rows, plan)

    def _rows(self, offers: Offers) -> Iterator[Row]:
        names = offers.names
        served = model_listing.list_served_names(self.provider)
        known = set(LanguageModel.objects.filter(name__in=names).values_list("name", flat=True))
        chosen = set(self.request.POST.getlist("names"))
        if "all" in self.request.POST:
            chosen |= {name for name in names if self.wanted.lower() in name.lower()}
        for name in names:
            obstacle = _("Already imported") if name in served else ""
            if not model_listing.can_be_named(name):
                obstacle = _("This name is not allowed here")
            price = describe_offer(offers.prices.get(name))
            yield Row(name, name in known, obstacle, name in chosen and not obstacle, price)

    @property
    def wanted(self) -> str:
        """The part of a name that was searched for."""
        return self.request.POST.get("q", self.request.GET.get("q", "")).strip()

    def _page(
        self, form: ImportForm, rows: list[Row], plan: OfferedPrices | None = None
    ) -> TemplateResponse:
        """Show the chosen models first, then those that match the filter."""
        wanted = self.wanted
        matches = [row for row in rows if row.is_chosen or wanted.lower() in row.name.lower()]
        matches.sort(key=lambda row: not row.is_chosen)
        context = self.model_admin.admin_site.each_context(self.request) | {
            "title": _("Models of %(provider)s") % {"provider": self.provider},
            "form": form,
            "rate_form": self.rate_form,
            "plan": plan,
            "rows": matches[:MOST_SHOWN],
            "more": max(len(matches) - MOST_SHOWN, 0),
            "wanted": wanted,
            "back": self.back,
            "opts": self.model_admin.model._meta,
        }
        return TemplateResponse(self.request, "llmproxy/import_models.html", context)

    def _take(self, form: ImportForm, offers: Offers, plan: OfferedPrices | None = None) -> None:
        columns = plan.columns if plan else {}
        taken = model_listing.import_models(
            self.provider,
            form.cleaned_data["names"],
            prices=form.prices,
            is_active=form.is_priced,
            facts={
                name: offers.facts.get(name, {}) | columns.get(name, {}) for name in offers.names
            },
            costs=plan.costs if plan else None,
        )
        for model in taken.added:
            self.model_admin.log_addition(self.request, model, f"Imported from {self.provider}.")
        for model in taken.joined:
            self.model_admin.log_change(self.request, model, f"Served by {self.provider} as well.")
        is_active = all(model.is_active for model in taken.added)
        self._tell(len(taken.added), len(taken.joined), is_active=is_active)

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
