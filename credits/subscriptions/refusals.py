"""Why a plan cannot be begun or changed now. The messages are for buyers."""

from django.utils.translation import gettext as _

from credits.purchases.refusals import ShopRefusal


class AlreadySubscribed(ShopRefusal):
    code = "already_subscribed"

    def __init__(self) -> None:
        super().__init__(_("You have a plan already. Change it instead of buying a second one."))


class AnotherBegun(ShopRefusal):
    """Another tab has begun another plan while this page was opened."""

    code = "another_begun"

    def __init__(self) -> None:
        super().__init__(
            _("You have chosen another plan in another window. Nothing was charged for this one.")
        )


class NotSubscribed(ShopRefusal):
    code = "not_subscribed"

    def __init__(self) -> None:
        super().__init__(_("This plan is not running. Reload the page."))


class UnpaidInvoice(ShopRefusal):
    """An invoice waits to be paid; `url` is Stripe's page for it."""

    code = "unpaid_invoice"

    def __init__(self, url: str) -> None:
        super().__init__(_("An invoice of your plan is not paid yet. Pay it first."))
        self.url = url


class EndsAlready(ShopRefusal):
    code = "ends_already"

    def __init__(self) -> None:
        super().__init__(_("Your plan ends with its period. Keep it first, then change it."))


class NotHigher(ShopRefusal):
    code = "not_higher"

    def __init__(self) -> None:
        super().__init__(_("This plan does not cost more than yours, so you get it next period."))


class NotLower(ShopRefusal):
    code = "not_lower"

    def __init__(self) -> None:
        super().__init__(_("This plan costs more than yours, so it begins when you pay for it."))


class ChangeRefused(ShopRefusal):
    """Stripe refused the change, which had no effect. The log tells the operator why."""

    status = 502
    code = "change_refused"

    def __init__(self) -> None:
        super().__init__(
            _("The plan could not be changed. Nothing was charged. Please contact us.")
        )
