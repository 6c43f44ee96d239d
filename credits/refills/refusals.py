"""Why a refill cannot be switched on. The messages are for buyers."""

from django.utils.translation import gettext as _

from credits.currencies import format_amount
from credits.purchases.refusals import ShopRefusal


class BadThreshold(ShopRefusal):
    """`most` is the highest threshold, the credits of the package."""

    status = 400
    code = "bad_threshold"

    def __init__(self, *, most: int) -> None:
        text = _("Refill below a number from 1 to %(most)s, the credits of the package.")
        super().__init__(text % {"most": f"{most:,}"})


class BadCap(ShopRefusal):
    """The cap is too small for one refill, or too large; `least` and `most` in minor units."""

    status = 400
    code = "bad_cap"

    def __init__(self, *, least: int, most: int, currency: str) -> None:
        text = _("Choose a monthly limit between %(least)s, one refill, and %(most)s.")
        amounts = {"least": least, "most": most}
        super().__init__(
            text % {name: format_amount(value, currency) for name, value in amounts.items()}
        )


class NoCard(ShopRefusal):
    """No card is saved. The settings were kept, and the refill is off."""

    code = "no_card"

    def __init__(self) -> None:
        super().__init__(_("Save a card first. Then switch the refill on."))


class WouldChargeNow(ShopRefusal):
    """The balance is below the threshold already, so the card would be charged within minutes."""

    code = "would_charge_now"

    def __init__(self, *, price: int, currency: str) -> None:
        text = _(
            "Your balance is below this number now, so your card is charged %(price)s at once."
        )
        super().__init__(text % {"price": format_amount(price, currency)})
        self.price, self.currency = price, currency
