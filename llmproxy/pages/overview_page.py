"""`/account`: what a person has, what expires, and what to do first."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access.authentication import require_user
from accounts.models import ApiKey, User
from credits import ledger
from credits.models import Grant, Transaction
from deviceauth.models import DeviceSession
from llmproxy.models import Completion

NEWEST = 10  # transactions on the page
EXPIRING = 10  # grants on the page
SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do first. `link` leads to where it is done."""

    title: str
    text: str
    link: str
    is_done: bool


@require_safe
@never_cache
@login_required
def overview(request: HttpRequest) -> HttpResponse:
    """Show the available credits, what expires, and the newest transactions or the first steps."""
    user = require_user(request)
    balance = ledger.balance(user)
    newest = Transaction.objects.filter(user=user).newest_first()
    context = {
        "balance": balance,
        "plan": user.plan,
        "low": balance.available < settings.LOW_BALANCE_CREDITS,
        "expiring": summarise_expiries(user),
        "steps": list_first_steps(user),
        "transactions": newest[:NEWEST],
    }
    return render(request, "llmproxy/overview.html", context)


def summarise_expiries(user: User) -> dict[str, Any] | None:
    """Return the grants that expire first, and the sum of those of the next days in one line.

    If nothing expires within SOON, the line names the next grant alone. None if nothing expires.
    """
    grants = list(Grant.objects.filter(user=user).expiring()[:EXPIRING])
    if not grants:
        return None
    limit = timezone.now() + SOON
    soon = [grant for grant in grants if grant.expires_at and grant.expires_at <= limit]
    named = soon or grants[:1]
    return {
        "credits": sum(grant.remaining for grant in named),
        "until": named[-1].expires_at,
        "grants": grants,
    }


def list_first_steps(user: User) -> list[Step]:
    """Return what somebody does first; nothing once the user has had an answer."""
    if Completion.objects.filter(user=user).exists():
        return []
    has_access = DeviceSession.objects.filter(user=user).live().exists()
    has_access = has_access or ApiKey.objects.filter(user=user).live().exists()
    factors = Authenticator.objects.filter(user=user)
    return [
        Step(
            _("Confirm your email address"),
            _("We use it to contact you, and you need it to reset your password."),
            reverse("account_email"),
            is_done=EmailAddress.objects.filter(user=user, verified=True).exists(),
        ),
        Step(
            _("Connect a device, or create an API key"),
            _("An application shows a code to enter here. A program of your own uses a key."),
            reverse("access"),
            is_done=has_access,
        ),
        Step(
            _("Get your first answer"),
            _("Send a request. It appears here with the credits that it used."),
            reverse("access"),
            is_done=False,
        ),
        Step(
            _("Add a second factor"),
            _(
                "With a passkey or an authenticator app, nobody can log in with your password "
                "alone."
            ),
            reverse("account_security"),
            is_done=factors.exclude(type=Authenticator.Type.RECOVERY_CODES).exists(),
        ),
    ]
