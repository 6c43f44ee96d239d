"""Why a payment cannot be refunded now. Nothing was changed. The messages are for people."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from credits.exceptions import LedgerRefusal


class RefundRefusal(LedgerRefusal):
    """The base class of what credits/reversals/ refuses."""

    status = 409
    code = "not_refunded"


class NotPaidOnline(RefundRefusal):
    """There is no payment at Stripe, or no key to ask Stripe with."""

    def __init__(self) -> None:
        super().__init__(_("This was not paid online, so no money can be sent back from here."))


class PaymentDisputed(RefundRefusal):
    """The bank decides about the money of a disputed payment."""

    def __init__(self) -> None:
        super().__init__(_("The payment is disputed, so the bank decides about the money."))


class TooMuchMoney(RefundRefusal):
    """`most` minor units are left to refund."""

    def __init__(self, *, most: int) -> None:
        super().__init__(_("That is more than is left of this payment."))
        self.most = most


class CreditsChanged(RefundRefusal):
    """The refund takes `credits` now, not what the page showed."""

    def __init__(self, *, credits: int) -> None:
        text = ngettext(
            "The refund takes %(credits)s credit now. Check it, and confirm again.",
            "The refund takes %(credits)s credits now. Check it, and confirm again.",
            credits,
        )
        super().__init__(text % {"credits": credits})
        self.credits = credits


class NothingUnspent(RefundRefusal):
    def __init__(self) -> None:
        super().__init__(_("The credits of this purchase are spent, so nothing can be returned."))


class TooLateToReturn(RefundRefusal):
    def __init__(self) -> None:
        super().__init__(_("This purchase cannot be returned any more. Please contact us."))


class RefusedByStripe(RefundRefusal):
    """Stripe said no. The credits were given back."""

    status = 502

    def __init__(self, problem: str) -> None:
        super().__init__(
            _("The refund was refused: %(problem)s The credits were given back.")
            % {"problem": problem}
        )
