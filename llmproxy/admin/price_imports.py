"""The page that takes over published prices, after a preview of what would change."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.db.transaction import atomic
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from llmproxy.models import LanguageModel
from llmproxy.price_lists import published
from llmproxy.price_lists.proposals import PricesChanged, Proposal, Rate, propose
from llmproxy.receipts.explain import format_decimal

MOST_MODELS = 500


class RateForm(forms.Form):
    """What a US dollar is in credits, and the margin. The settings are the defaults."""

    credits_per_usd = forms.DecimalField(
        label=gettext_lazy("Credits per US dollar"),
        min_value=Decimal("0.000001"),
        max_value=Decimal(1_000_000_000),
        widget=UnfoldAdminDecimalFieldWidget(),
    )
    margin_percent = forms.DecimalField(
        label=gettext_lazy("Margin in percent"),
        min_value=Decimal(-99),
        max_value=Decimal(10_000),
        widget=UnfoldAdminDecimalFieldWidget(),
        help_text=gettext_lazy("This is added to what the provider charges."),
    )

    @property
    def rate(self) -> Rate:
        return Rate(self.cleaned_data["credits_per_usd"], self.cleaned_data["margin_percent"])


def build_rate_form(sent: Any) -> RateForm:
    """The form with what was sent; else with the settings, as far as there are any."""
    if sent:
        return RateForm(sent)
    margin = {"margin_percent": format_decimal(settings.PRICE_MARGIN_PERCENT)}
    if settings.CREDITS_PER_USD is None:
        return RateForm(initial=margin)
    return RateForm({**margin, "credits_per_usd": format_decimal(settings.CREDITS_PER_USD)})


class PriceImportPage:
    """Shows what would change. Changes the models whose rows are ticked, if they are as shown."""

    def __init__(
        self, request: HttpRequest, model_admin: Any, models: QuerySet[LanguageModel]
    ) -> None:
        self.request = request
        self.sent = request.POST
        self.model_admin = model_admin
        self.models = models.prefetch_related("deployments__provider")[:MOST_MODELS]
        self.back = reverse("admin:llmproxy_languagemodel_changelist")

    def respond(self) -> HttpResponseBase:
        form = build_rate_form(self.sent)
        proposals = self._propose(form) if form.is_valid() else []
        if "import" in self.sent and form.is_valid():
            chosen = [row for row in proposals if str(row.model.pk) in self._taken]
            shown = bool(chosen) and all(self._was_shown(row) for row in chosen)
            if shown and self._take(chosen, form.rate):
                return HttpResponseRedirect(self.back)
            self._explain(chosen)
        return self._page(form, proposals)

    def _propose(self, form: RateForm) -> list[Proposal]:
        choices = {
            model.name: source
            for model in self.models
            if (source := self.sent.get(f"source-{model.pk}"))
        }
        return propose(self.models, form.rate, choices)

    @property
    def _taken(self) -> set[str]:
        return set(self.sent.getlist("take"))

    def _was_shown(self, proposal: Proposal) -> bool:
        shown = self.sent.get(f"shown-{proposal.model.pk}")
        return proposal.is_possible and shown == proposal.digest

    def _explain(self, chosen: Sequence[Proposal]) -> None:
        text = (
            _("The new prices are not those that you saw. Check them, then import them again.")
            if chosen
            else _("Choose at least one model.")
        )
        messages.error(self.request, text)

    def _take(self, chosen: Sequence[Proposal], rate: Rate) -> bool:
        """Change all chosen models; False, and none is changed, if one has changed meanwhile."""
        try:
            with atomic():
                for proposal in sorted(chosen, key=lambda one: one.model.pk):
                    proposal.apply()
                    text = proposal.describe(rate)
                    self.model_admin.log_change(self.request, proposal.model, text)
        except (PricesChanged, LanguageModel.DoesNotExist):
            return False
        text = ngettext(
            "The prices of %d model have been changed.",
            "The prices of %d models have been changed.",
            len(chosen),
        )
        messages.success(self.request, text % len(chosen))
        return True

    def _page(self, form: RateForm, proposals: Sequence[Proposal]) -> TemplateResponse:
        context = self.model_admin.admin_site.each_context(self.request) | {
            "title": _("Import prices"),
            "list_name": published.get_version(),
            "form": form,
            "rows": [self._describe(row) for row in proposals if row.is_possible],
            "unchanged": [row.model for row in proposals if row.chosen and not row.is_possible],
            "unmatched": [row for row in proposals if not row.chosen],
            "back": self.back,
            "opts": self.model_admin.model._meta,
        }
        return TemplateResponse(self.request, "llmproxy/import_prices.html", context)

    def _describe(self, proposal: Proposal) -> dict[str, Any]:
        """A row of the page. Certain ones are ticked when they are shown for the first time."""
        key = str(proposal.model.pk)
        is_new = f"shown-{key}" not in self.sent
        ticked = proposal.is_certain if is_new else key in self._taken
        return {
            "proposal": proposal,
            "is_ticked": ticked,
            "changes": [
                {"label": change.label, "old": _show(change.old), "new": _show(change.new)}
                for change in proposal.changes
            ],
            "costs": [
                {
                    "provider": cost.deployment.provider,
                    "lines": [
                        {"label": label, "old": _show(old), "new": _show(new)}
                        for label, old, new in cost.list_lines()
                    ],
                }
                for cost in proposal.costs
            ],
        }


def _show(value: Any) -> str:
    if isinstance(value, int):
        return intcomma(value)
    return "–" if value is None else format_decimal(value)
