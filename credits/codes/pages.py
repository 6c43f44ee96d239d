"""The page on which a person enters a code, with the codes that they have used."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.access.authentication import require_user
from accounts.toolbox.exceptions import Refusal
from accounts.toolbox.request_source import Source
from credits.codes import redeem
from credits.codes.code_format import MAX_TYPED
from credits.codes.redeem import Redeemed
from credits.codes.refusals import CodeRefusal, TooManyCodes
from credits.exceptions import LedgerRefusal
from credits.models import RedemptionCode

NEWEST = 20  # used codes on the page


class CodeForm(forms.Form):
    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=MAX_TYPED,
        widget=forms.TextInput(
            attrs={
                "placeholder": "ABCD-EFGH-JKMN-PQRS",
                "autocomplete": "off",
                "autocapitalize": "characters",
                "spellcheck": "false",
                "class": "code-field",
            }
        ),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def show(request: HttpRequest) -> HttpResponse:
    """Show the form, with the code of `?code=` filled in; a POST redeems the code."""
    if request.method != "POST":
        code = request.GET.get("code", "")[:MAX_TYPED].replace("\x00", "")
        return _show(request, CodeForm(initial={"code": code}))
    form = CodeForm(request.POST)
    if not form.is_valid():
        return _show(request, form)
    user, source = require_user(request), Source.from_request(request)
    try:
        redeemed = redeem.redeem(user=user, typed=form.cleaned_data["code"], source=source)
    except (CodeRefusal, LedgerRefusal) as refusal:
        form.add_error("code", refusal.message)
        return _refuse(request, form, refusal)
    messages.success(request, _describe(redeemed))
    return HttpResponseRedirect(reverse("account_codes"))


def _describe(redeemed: Redeemed) -> str:
    number = intcomma(redeemed.credits)
    if redeemed.is_new:
        return _("%(number)s credits were added to your balance.") % {"number": number}
    return _("You have already used this code and received its %(number)s credits.") % {
        "number": number
    }


def _refuse(request: HttpRequest, form: CodeForm, refusal: Refusal) -> HttpResponse:
    if not isinstance(refusal, TooManyCodes):
        return _show(request, form)
    response = _show(request, form, status=refusal.status)
    response["Retry-After"] = str(refusal.retry_after)
    return response


def _show(request: HttpRequest, form: CodeForm, **options: Any) -> HttpResponse:
    used = RedemptionCode.objects.filter(user=require_user(request)).select_related("transaction")
    context = {"form": form, "used": used.order_by("-redeemed_at")[:NEWEST]}
    return render(request, "credits/codes.html", context, **options)
