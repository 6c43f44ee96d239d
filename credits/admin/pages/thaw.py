"""The page on which an administrator lets a frozen user buy again."""

from typing import Any

from django.urls import reverse
from django.utils import formats
from django.utils.translation import gettext as _

from accounts.models import User
from credits.admin.pages.confirmed_form import ConfirmedFormPage, Facts
from credits.models import Customer
from credits.reversals import disputes


class ThawPage(ConfirmedFormPage):
    """Needs a reason. What has frozen the user so far does not freeze them again."""

    at_once = True

    def __init__(self, request: Any, model_admin: Any, user: User) -> None:
        super().__init__(request, model_admin)
        self.user = user
        self.title = self.verb = _("Allow buying again")

    def facts(self) -> Facts:
        customer = Customer.objects.filter(user=self.user).first()
        since = customer.frozen_at if customer else None
        return (
            (_("User"), self.user),
            (_("Frozen since"), formats.date_format(since, "DATETIME_FORMAT") if since else "–"),
            (_("Because"), customer.frozen_because if customer else "–"),
        )

    def act(self, cleaned: dict[str, Any]) -> str:
        disputes.let_buy_again(self.user, reason=cleaned["reason"], actor=self.actor)
        return _("This user may buy again.")

    def back(self) -> str:
        return reverse("admin:accounts_user_change", args=[self.user.pk])
