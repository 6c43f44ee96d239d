"""The page on which an administrator corrects the balances of some users."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from accounts.admin.filters import DateInput
from accounts.models import User
from accounts.toolbox.exceptions import Refusal
from credits import ledger
from credits.admin.pages.confirmed_form import (
    ConfirmedFormPage,
    Preview,
    ReasonForm,
    describe_needed_approval,
    describe_requested_approval,
    make_reason_field,
)
from credits.exceptions import InsufficientCredits
from credits.models import Transaction
from credits.operators import approvals
from credits.operators.actions import Adjustment

MAX_USERS = 100  # In one adjustment.
MAX_YEARS = 10  # Until credits expire.


class AdjustmentForm(ReasonForm):
    amount = forms.IntegerField(
        label=gettext_lazy("Credits"),
        min_value=-ledger.MAX_AMOUNT,
        max_value=ledger.MAX_AMOUNT,
        help_text=gettext_lazy("Enter a whole number. Use a minus sign to take credits away."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    type = forms.ChoiceField(
        label=gettext_lazy("Type"),
        choices=[
            (kind.value, kind.label)
            for kind in (Transaction.Type.ADJUSTMENT, Transaction.Type.BONUS)
        ],
        help_text=gettext_lazy("A bonus can only add credits."),
        widget=UnfoldAdminSelectWidget,
    )
    last_day = forms.DateField(
        label=gettext_lazy("Last day"),
        required=False,
        help_text=gettext_lazy(
            "Credits that you add expire after this day (UTC). Leave empty if they should "
            "not expire."
        ),
        widget=DateInput,
    )
    reason = make_reason_field(
        help_text=gettext_lazy("The user and other administrators can read this.")
    )
    field_order = ("amount", "type", "last_day", "reason", "key")

    def __init__(self, *args: Any, most: int, **kwargs: Any) -> None:
        """`most` is how many credits per user, up or down, this administrator may move."""
        super().__init__(*args, **kwargs)
        self.most = most

    def clean_amount(self) -> int:
        amount = int(self.cleaned_data["amount"])
        if amount == 0:
            raise forms.ValidationError(_("Enter a number other than zero."))
        if abs(amount) > self.most:
            raise forms.ValidationError(
                _("You can adjust up to %(most)d credits per user.") % {"most": self.most}
            )
        return amount

    def clean_last_day(self) -> date | None:
        day: date | None = self.cleaned_data["last_day"]
        today = timezone.now().date()
        if day and not today <= day <= today + timedelta(days=MAX_YEARS * 365):
            raise forms.ValidationError(_("Choose a day between today and ten years from now."))
        return day

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("type") == Transaction.Type.BONUS and cleaned.get("amount", 1) < 0:
            self.add_error(
                "amount",
                _(
                    "A bonus can only add credits. To take credits away, choose the type "
                    "“Adjustment”."
                ),
            )
        if cleaned.get("last_day") and cleaned.get("amount", 1) < 0:
            self.add_error("last_day", _("Only credits that you add can expire."))
        return cleaned


class AdjustmentPage(ConfirmedFormPage):
    def __init__(self, request: HttpRequest, user_admin: Any, chosen: Sequence[User]) -> None:
        super().__init__(request, user_admin)
        self.chosen = chosen
        self.title, self.verb = _("Adjust credits"), _("Adjust")

    def form(self, data: Any = None) -> AdjustmentForm:
        return AdjustmentForm(data, initial=self.initial(), most=get_limit_per_user(self.actor))

    def initial(self) -> dict[str, Any]:
        """Begin with the number of credits that the link to this page names."""
        return {**super().initial(), "amount": self.request.GET.get("amount", "")[:20]}

    def users(self) -> Sequence[User]:
        return self.chosen

    def previews(self, cleaned: dict[str, Any]) -> list[Preview]:
        return [Preview(user, cleaned["amount"]) for user in self.chosen]

    def notice(self, cleaned: dict[str, Any]) -> str:
        return describe_needed_approval(cleaned["amount"] * len(self.chosen))

    def button(self, cleaned: dict[str, Any]) -> str:
        return (
            _("Request approval")
            if approvals.needs_approval(cleaned["amount"] * len(self.chosen))
            else self.verb
        )

    def act(self, cleaned: dict[str, Any]) -> str:
        adjustment = Adjustment(
            cleaned["amount"],
            cleaned["type"],
            cleaned["reason"],
            compute_expiry(cleaned["last_day"]),
        )
        if approvals.adjust_or_ask(self.chosen, adjustment, actor=self.actor, key=cleaned["key"]):
            return describe_requested_approval()
        number = len(self.chosen)
        return ngettext(
            "Credits adjusted for %(users)d user.", "Credits adjusted for %(users)d users.", number
        ) % {"users": number}

    def explain(self, refusal: Refusal) -> str:
        if isinstance(refusal, InsufficientCredits):
            return _(
                "Nothing was changed, because not all of these users have enough credits available."
            )
        return super().explain(refusal)

    def back(self) -> str:
        if len(self.chosen) == 1:
            return reverse("admin:accounts_user_change", args=[self.chosen[0].pk])
        return reverse("admin:accounts_user_changelist")


def serve_adjustment(request: HttpRequest, user_admin: Any) -> HttpResponseBase:
    if not user_admin.has_adjust_credits_permission(request):
        raise PermissionDenied
    users = load_users(request.GET.getlist("user"))
    if not users:
        messages.error(
            request, _("Select between 1 and %(most)d users to adjust.") % {"most": MAX_USERS}
        )
        return HttpResponseRedirect(reverse("admin:accounts_user_changelist"))
    return AdjustmentPage(request, user_admin, users).respond()


def load_users(ids: Sequence[str]) -> list[User]:
    """Return the users with these ids, ordered by id, which is the order of their locks.

    The list is empty if an id is not a number or there are more than MAX_USERS ids.
    """
    if len(ids) > MAX_USERS or not all(
        pk.isascii() and pk.isdigit() and len(pk) < 19 for pk in ids
    ):
        return []
    return list(User.objects.filter(pk__in={int(pk) for pk in ids}).order_by("pk"))


def get_limit_per_user(actor: User) -> int:
    """Return the support limit for an administrator without the permission to approve."""
    return (
        ledger.MAX_AMOUNT
        if actor.has_perm(approvals.MAY_APPROVE)
        else settings.SUPPORT_ADJUST_CREDITS
    )


def compute_expiry(day: date | None) -> datetime | None:
    """Return the end of the day in UTC; None if there is no last day."""
    return None if day is None else datetime.combine(day + timedelta(days=1), time(), tzinfo=UTC)
