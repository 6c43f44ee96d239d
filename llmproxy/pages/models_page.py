"""The public page of models and their prices."""

from django import forms
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import User
from credits.shop.offers import (
    CreditPrice,
    choose_currency,
    find_credit_price,
    list_currencies,
)
from llmproxy import catalogue
from llmproxy.models import LanguageModel
from llmproxy.pages.model_offers import (
    TYPICAL_ANSWER_TOKENS,
    TYPICAL_PROMPT_TOKENS,
    ModelOffer,
    describe_model,
)

PER_PAGE = 50
MOST_PAGES = 10_000


class ModelsQuery(forms.Form):
    """`q` are words in the names of models."""

    q = forms.CharField(label=_("Search"), required=False, max_length=100)
    page = forms.IntegerField(required=False, min_value=1, max_value=MOST_PAGES)


@require_safe
def models_and_prices(request: HttpRequest) -> HttpResponse:
    """`/models`: what each model costs; status 400 for a query that no link has."""
    query = ModelsQuery(request.GET)
    is_valid = query.is_valid()
    wanted = query.cleaned_data if is_valid else {"q": "", "page": None}
    found = _search_models(wanted["q"])
    page = Paginator(found, PER_PAGE).get_page(wanted["page"] or 1)
    currencies = list_currencies()
    context = {
        "query": query if is_valid else ModelsQuery({}),
        "q": wanted["q"],
        "page": page,
        "currencies": currencies,
        "currency": choose_currency(request, currencies),
        "typical_prompt": TYPICAL_PROMPT_TOKENS,
        "typical_answer": TYPICAL_ANSWER_TOKENS,
    }
    context["credit"] = find_credit_price(context["currency"])
    context["offers"] = [
        offer for model in page if (offer := _describe(request, model, context["credit"]))
    ]
    return render(request, "llmproxy/models.html", context, status=200 if is_valid else 400)


def _search_models(words: str) -> list[LanguageModel]:
    """Return the models on sale whose names contain all of these words, in alphabetical order."""
    wanted = words.casefold().split()
    return sorted(
        (
            model
            for model in catalogue.list_models(None)
            if all(word in model.name.casefold() for word in wanted)
        ),
        key=lambda model: model.name.casefold(),
    )


def _describe(
    request: HttpRequest, model: LanguageModel, credit: CreditPrice | None
) -> ModelOffer | None:
    prices, user = model.prices, request.user
    if prices is None:
        return None
    included = user.plan.allowed_models if isinstance(user, User) else []
    return describe_model(
        model, prices, credit=credit, is_included=not included or model.name in included
    )
