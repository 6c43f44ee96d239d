"""The page on which an administrator lets a frozen user buy again."""

from typing import Any

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from credits.admin.pages.confirmed_form import ConfirmedFormPage, Facts
from credits.models import Customer
from credits.operators import approvals
from credits.reversals import disputes, frozen


class ThawPage(ConfirmedFormPage):
    """Needs a reason. What has frozen the user so far does not freeze them again."""

    name = "thaw"
    label = gettext_lazy("Allow buying again")
    icon = "lock_open"
    permission = "credits.change_customer"
    at_once = True

    def __init__(self, request: Any, model_admin: Any, user: User) -> None:
        super().__init__(request, model_admin, user)
        self.user = user

    @classmethod
    def explain_obstacle(cls, row: User, actor: User) -> str:
        return "" if frozen.is_frozen(row) else _("This user may buy already.")

    def facts(self) -> Facts:
        customer = Customer.objects.filter(user=self.user).first()
        since = customer.frozen_at if customer else None
        return (
            (_("User"), self.user),
            (_("Frozen since"), formats.date_format(since, "DATETIME_FORMAT") if since else "–"),
            (_("Because"), customer.frozen_because if customer else "–"),
        )

    def act(self, cleaned: dict[str, Any]) -> str:
        approvals.refuse_own_account([self.user], self.actor)
        disputes.let_buy_again(self.user, reason=cleaned["reason"], actor=self.actor)
        return _("This user may buy again.")
