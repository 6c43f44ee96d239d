"""The pages on which a person makes, limits and revokes API keys; access_pages.py lists them.

Only one page shows a key, right after the form that made it. No address, message or log contains
it; the session does until then, encrypted (accounts/toolbox/shown_once.py).
"""

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access import api_keys
from accounts.access.authentication import require_user
from accounts.models import ApiKey
from accounts.toolbox import shown_once
from accounts.toolbox.exceptions import AlreadyCreated, KeyRevoked, TooManyKeys
from accounts.toolbox.request_source import Source
from credits import budgets
from llmproxy import catalogue
from llmproxy.examples import VARIABLE, list_examples
from llmproxy.pages.access_pages import describe_key
from llmproxy.pages.key_forms import KeyForm

page = require_http_methods(["GET", "HEAD", "POST"])


@page
@never_cache
@login_required
@reauthentication_required  # type: ignore[untyped-decorator]  # because a key outlives an open browser
def new(request: HttpRequest) -> HttpResponse:
    """`/account/keys/new`: the form, and after it a redirect to the key."""
    user = require_user(request)
    form = KeyForm(user, request.POST or None)
    if not form.is_valid():
        return render(
            request, "llmproxy/key_new.html", {"form": form}, status=400 if form.is_bound else 200
        )
    try:
        made = api_keys.create(
            user=user,
            source=Source.from_request(request),
            form=form.cleaned_data["form"],
            **form.settings,
        )
    except TooManyKeys as refusal:
        form.add_error(None, refusal.message)
        return render(request, "llmproxy/key_new.html", {"form": form}, status=refusal.status)
    except AlreadyCreated as refusal:
        return redirect("account_key_created", refusal.key.pk)
    name = _name_secret(made.key.pk)
    shown_once.keep_secret(request, name=name, secret=made.plain)
    return redirect("account_key_created", made.key.pk)


@require_safe
@never_cache
@login_required
def created(request: HttpRequest, pk: int) -> HttpResponse:
    """`/account/keys/1/created`: a new key, for ten minutes or until the list is opened."""
    user = require_user(request)
    key = get_object_or_404(ApiKey, user=user, pk=pk)
    plain = shown_once.read_secret(request, name=_name_secret(key.pk))
    models = catalogue.list_models(user, key.allowed_models)
    context = {
        "key": key,
        "plain": plain,
        "examples": list_examples(models) if plain else (),
        "variable": VARIABLE,
    }
    return render(request, "llmproxy/key_created.html", context)


def _name_secret(pk: int) -> str:
    return f"key:{pk}"


@page
@never_cache
@login_required
def change(request: HttpRequest, pk: int) -> HttpResponse:
    """`/account/keys/1`: change the name, date, budget, limits or models."""
    user = require_user(request)
    key = get_object_or_404(ApiKey.objects.live(), user=user, pk=pk)
    form = KeyForm(user, request.POST or None, key=key)
    if not form.is_valid():
        access = describe_key(key, budgets.read_spending(user))
        context = {"form": form, "key": key, "access": access}
        return render(request, "llmproxy/key.html", context, status=400 if form.is_bound else 200)
    try:
        api_keys.change(key=key, source=Source.from_request(request), **form.settings)
    except KeyRevoked as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, _("The key “%(name)s” has been changed.") % {"name": key.name})
    return redirect("access")


@page
@never_cache
@login_required
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """`/account/keys/1/revoke`: ask, then revoke the key."""
    key = get_object_or_404(ApiKey, user=require_user(request), pk=pk)
    if request.method != "POST":
        return render(request, "llmproxy/key_revoke.html", {"key": key})
    api_keys.revoke(key=key, source=Source.from_request(request))
    messages.success(request, _("The key “%(name)s” has been revoked.") % {"name": key.name})
    return redirect("access")
