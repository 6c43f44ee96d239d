"""Why something cannot be bought now. The messages are for buyers."""

from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.toolbox.exceptions import Refusal
from credits.currencies import format_amount


class ShopRefusal(Refusal):
    """The base class of what the shop refuses. Nothing was charged."""

    status = 409
    code = "not_sold"


class NotOnSale(ShopRefusal):
    code = "not_on_sale"

    def __init__(self) -> None:
        super().__init__(_("This is not on sale any more. Choose another package."))


class OfferChanged(ShopRefusal):
    """What is sold is not what the page showed."""


class PriceChanged(OfferChanged):
    """The price is not the one that the page showed; `price` is the new one, in minor units."""

    code = "price_changed"

    def __init__(self, *, price: int, currency: str) -> None:
        new_price = format_amount(price, currency)
        super().__init__(
            _("The price changed: it is %(price)s now. Buy again if you agree.")
            % {"price": new_price}
        )
        self.price, self.currency = price, currency


class CreditsChanged(OfferChanged):
    """The number of credits is not the one that the page showed; `credits` is the new one."""

    code = "credits_changed"

    def __init__(self, *, credits: int) -> None:
        super().__init__(
            _("This changed: you get %(credits)s credits now. Buy again if you agree.")
            % {"credits": f"{credits:,}"}
        )
        self.credits = credits


class AddressNotVerified(ShopRefusal):
    status = 403
    code = "address_not_verified"

    def __init__(self) -> None:
        super().__init__(_("Verify your email address before you buy. We sent you a mail for it."))


class TooManyAttempts(ShopRefusal):
    """Too many payments were begun; another may be begun after `seconds`."""

    status = 429
    code = "too_many_attempts"

    def __init__(self, *, seconds: int) -> None:
        minutes = max(1, -(-seconds // 60))
        super().__init__(
            _("You began too many payments. Try again in %(minutes)s minutes.")
            % {"minutes": minutes}
        )
        self.seconds = seconds


class TooMuchForToday(ShopRefusal):
    """A new account may spend `most` a day, in minor units."""

    status = 403
    code = "too_much_for_today"

    def __init__(self, *, most: int, currency: str) -> None:
        super().__init__(
            _(
                "New accounts can buy for %(amount)s a day. Choose a smaller package, or come back"
                " tomorrow."
            )
            % {"amount": format_amount(most, currency)}
        )


class ShopClosed(ShopRefusal):
    """This user may not buy now: until a time, or (None) until the operator allows it."""

    status = 403
    code = "shop_closed"

    def __init__(self, until: datetime | None = None) -> None:
        if until is None:
            text = _("You cannot buy at the moment. Please contact us.")
        else:
            text = _("You cannot buy until %(time)s UTC, because several cards were declined.") % {
                "time": timezone.localtime(until, timezone.get_default_timezone()).strftime(
                    "%Y-%m-%d %H:%M"
                )
            }
        super().__init__(text)
        self.until = until


class PaymentPageFailed(ShopRefusal):
    """Stripe refused to open its page. The log tells the operator why."""

    status = 502
    code = "payment_page_failed"

    def __init__(self) -> None:
        super().__init__(
            _(
                "The payment page cannot be opened. Nothing was charged. Try another currency, or"
                " contact us."
            )
        )
