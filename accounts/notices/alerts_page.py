"""`/account/alerts`: the choice of mail and webhook for each kind, the threshold, past alerts."""

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
from accounts.alerts.choices import Ways, read_choices, store_choices
from accounts.alerts.kinds import KINDS, Kind
from accounts.alerts.threshold import MAX_BELOW, set_threshold
from accounts.models import AccountAlert, User, WebhookEndpoint

NEWEST = 20  # alerts on the page
SILENCES = {
    "switched_off": gettext_lazy("Not mailed: switched off"),
    "told_today": gettext_lazy("Not mailed: at most one email a day"),
    "used_up": gettext_lazy("Not mailed: used up right after"),
    "refill": gettext_lazy("Not mailed: a refill buys credits"),
    "used_before": gettext_lazy("Not mailed: you will probably use them before"),
}


class AlertsForm(forms.Form):
    """The threshold, and two boxes for each kind: `mail_low`, `webhook_low`."""

    alert_below = forms.IntegerField(
        label=gettext_lazy("Tell me when my balance falls below"),
        required=False,
        min_value=0,
        max_value=MAX_BELOW,
        help_text=gettext_lazy("In credits. Leave empty for no alert."),
    )

    def __init__(self, user: User, data: Any = None) -> None:
        self.choices = read_choices(user)
        boxes = {f"mail_{kind}": ways.by_mail for kind, ways in self.choices.items()}
        boxes |= {f"webhook_{kind}": ways.by_webhook for kind, ways in self.choices.items()}
        initial = {"alert_below": user.alert_below or None, **boxes}
        super().__init__(data, initial=initial)
        for name in boxes:
            self.fields[name] = forms.BooleanField(required=False)

    @property
    def threshold(self) -> dict[str, Any]:
        """Return what templates/smartspec/fields.html shows: the one field without a table."""
        return {"visible_fields": [self["alert_below"]]}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return what the table shows for each kind."""
        return [
            {
                "kind": row.kind,
                "label": row.kind.label,
                "help": row.help,
                "is_always_mailed": row.is_always_mailed,
                "by_mail": self[f"mail_{kind}"].value(),
                "by_webhook": self[f"webhook_{kind}"].value(),
            }
            for kind, row in KINDS.items()
        ]

    @property
    def ways(self) -> dict[Kind, Ways]:
        cleaned = self.cleaned_data
        return {kind: Ways(cleaned[f"mail_{kind}"], cleaned[f"webhook_{kind}"]) for kind in KINDS}


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def show(request: HttpRequest) -> HttpResponse:
    """Show the choices; a POST stores them."""
    user = require_user(request)
    if request.method != "POST":
        return _show(request, user, AlertsForm(user))
    form = AlertsForm(user, request.POST)
    if not form.is_valid():
        return _show(request, user, form)
    _store(request, user, form)
    return HttpResponseRedirect(reverse("alerts"))


def _store(request: HttpRequest, user: User, form: AlertsForm) -> None:
    store_choices(user, form.ways)
    below = form.cleaned_data["alert_below"] or 0
    if below == user.alert_below or set_threshold(user, below):
        messages.success(request, _("Your alerts are saved."))
        return
    text = _(
        "Saved. Your balance is already below %(below)s. You get an alert when it has risen "
        "above that and falls again."
    )
    messages.warning(request, text % {"below": intcomma(below)})


def _show(request: HttpRequest, user: User, form: AlertsForm) -> HttpResponse:
    newest = AccountAlert.objects.filter(user=user).order_by("-pk")
    context = {
        "form": form,
        "alerts": [_describe(alert) for alert in newest[:NEWEST]],
        "has_webhooks": WebhookEndpoint.objects.filter(user=user, is_active=True).exists(),
    }
    return render(request, "accounts/alerts.html", context)


def _describe(alert: AccountAlert) -> dict[str, Any]:
    """Return an alert with its figures in words, and whether it was mailed."""
    return {
        "row": alert,
        "label": alert.get_kind_display(),
        "text": describe_facts(alert),
        "mail": describe_mail(alert),
    }


def describe_mail(alert: AccountAlert) -> str:
    """Say whether an alert was mailed, and why not."""
    if alert.mailed_at is not None:
        return _("Mailed")
    silence = SILENCES.get(alert.silent_because)
    return str(silence) if silence else _("On its way")


def describe_facts(alert: AccountAlert) -> str:
    """Return the figures of an alert in one short sentence; empty if it has none."""
    facts = {
        name: intcomma(value) if isinstance(value, int) else value
        for name, value in alert.facts.items()
    }
    match alert.kind:
        case Kind.LOW:
            text = _("Balance %(balance)s, threshold %(threshold)s")
        case Kind.USED_UP:
            text = _("Balance %(balance)s")
        case Kind.EXPIRING:
            text = _("%(credits)s credits")
        case Kind.UNUSUAL:
            text = _("%(charged)s credits in 24 hours, usually %(usual)s")
        case Kind.DEVICE:
            text = "%(device)s"
        case Kind.WEBHOOK_OFF:
            text = "%(url)s"
        case _:
            return str(PROBLEMS.get(alert.facts.get("problem", ""), ""))
    return text % facts


PROBLEMS = {
    "refill_failed": gettext_lazy("A refill failed"),
    "refill_off": gettext_lazy("Refills were switched off"),
    "refill_needs_you": gettext_lazy("A refill needs your action"),
    "plan_past_due": gettext_lazy("Your plan could not be charged"),
    "refund_failed": gettext_lazy("A refund did not arrive"),
    "dispute": gettext_lazy("Your bank has taken a payment back"),
}
