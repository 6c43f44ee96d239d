"""The page on which an administrator corrects balances: form, preview, then the ledger.

Nothing is written but by the confirming POST, and one form writes once: its key goes to the
ledger as the idempotency key, so that sending it twice, or going back, does not adjust twice.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.transaction import atomic
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.authentication import signed_in
from accounts.models import User
from credits import ledger
from credits.exceptions import IdempotencyConflict, InsufficientCredits, LedgerRefusal
from credits.models import Transaction

if TYPE_CHECKING:
    from credits.admin import UserAdmin

MAX_USERS = 100  # in one adjustment
MAX_REASON = 500  # characters, as the ledger's description


class AdjustmentForm(forms.Form):
    amount = forms.IntegerField(
        label=gettext_lazy("Credits"),
        min_value=-ledger.MAX_AMOUNT,
        max_value=ledger.MAX_AMOUNT,
        help_text=gettext_lazy("A whole number. With a minus sign it is taken away."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    type = forms.ChoiceField(
        label=gettext_lazy("Type"),
        choices=[(kind.value, kind.label) for kind in (Transaction.Type.ADJUSTMENT, Transaction.Type.BONUS)],
        help_text=gettext_lazy("A bonus can only be given."),
        widget=UnfoldAdminSelectWidget,
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=MAX_REASON,
        help_text=gettext_lazy("The user and the next administrator will read it."),
        widget=UnfoldAdminTextInputWidget,
    )
    key = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def clean_amount(self) -> int:
        amount = int(self.cleaned_data["amount"])
        if amount == 0:
            raise forms.ValidationError(_("Zero credits change nothing."))
        return amount

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("type") == Transaction.Type.BONUS and self.cleaned_data.get("amount", 1) < 0:
            self.add_error("amount", _("A bonus can only be given. Choose the type adjustment to take credits away."))
        if "key" in self.errors:
            self.add_error(None, _("This form is incomplete. Open it again."))
        return self.cleaned_data


@dataclass(frozen=True, slots=True)
class Preview:
    """What an adjustment would do to one user."""

    user: User
    amount: int

    @property
    def after(self) -> int:
        return self.user.credits + self.amount

    @property
    def possible(self) -> bool:
        """Held credits cannot be taken."""
        return self.after >= self.user.credits_held


def adjustment_page(request: HttpRequest, user_admin: "UserAdmin") -> HttpResponse:
    """GET shows the form, POST the preview, POST with `confirm` writes and leads back."""
    if not user_admin.has_adjust_credits_permission(request):
        raise PermissionDenied
    users = chosen_users(request.GET.getlist("user"))
    if not users:
        messages.error(request, _("Choose between 1 and %(most)d users to adjust.") % {"most": MAX_USERS})
        return HttpResponseRedirect(reverse("admin:accounts_user_changelist"))
    if request.method != "POST":
        return _render(request, user_admin, users, AdjustmentForm(initial={"key": secrets.token_urlsafe(16)}))
    form = AdjustmentForm(request.POST)
    if form.is_valid() and "confirm" in request.POST and _adjust(request, users, form):
        return HttpResponseRedirect(_back(users))
    return _render(request, user_admin, users, form)


def chosen_users(ids: Sequence[str]) -> list[User]:
    """The users with these ids, in the order their rows are locked; none for odd ids or too many."""
    if len(ids) > MAX_USERS or not all(pk.isascii() and pk.isdigit() and len(pk) < 19 for pk in ids):
        return []
    return list(User.objects.filter(pk__in={int(pk) for pk in ids}).order_by("pk"))


def _adjust(request: HttpRequest, users: Sequence[User], form: AdjustmentForm) -> bool:
    """All of these users or none; a refusal becomes an error of the form."""
    asked = form.cleaned_data
    try:
        with atomic():
            for user in users:
                ledger.adjust(
                    user=user,
                    amount=asked["amount"],
                    type=asked["type"],
                    reason=asked["reason"],
                    actor=signed_in(request),
                    idempotency_key=f"admin:{asked['key']}",
                )
    except LedgerRefusal as refusal:
        form.add_error(None, _in_words(refusal))
        return False
    messages.success(request, _done(len(users)))
    return True


def _in_words(refusal: LedgerRefusal) -> str:
    if isinstance(refusal, InsufficientCredits):
        return _("Nobody was adjusted: not everybody has so many credits available.")
    if isinstance(refusal, IdempotencyConflict):
        return _("This form was used before. Open it again to adjust once more.")
    return refusal.message


def _done(users: int) -> str:
    return ngettext("%(users)d user was adjusted.", "%(users)d users were adjusted.", users) % {"users": users}


def _back(users: Sequence[User]) -> str:
    if len(users) == 1:
        return reverse("admin:accounts_user_change", args=[users[0].pk])
    return reverse("admin:accounts_user_changelist")


def _render(request: HttpRequest, user_admin: "UserAdmin", users: Sequence[User], form: AdjustmentForm) -> HttpResponse:
    previews = [Preview(user, form.cleaned_data["amount"]) for user in users] if _is_checked(form) else []
    context = {
        **user_admin.admin_site.each_context(request),
        "opts": User._meta,
        "title": _("Adjust credits"),
        "form": form,
        "users": users,
        "previews": previews,
        "possible": all(preview.possible for preview in previews),
        "back": _back(users),
    }
    return TemplateResponse(request, "credits/adjust.html", context)


def _is_checked(form: AdjustmentForm) -> bool:
    return form.is_bound and form.is_valid()
