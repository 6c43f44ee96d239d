"""Stripe's test cards, by number and by name (https://docs.stripe.com/testing)."""

from dataclasses import dataclass, replace

VISA = "4242424242424242"


@dataclass(frozen=True)
class Card:
    """What a test card does when it is charged."""

    number: str = VISA
    brand: str = "visa"
    country: str = "US"
    funding: str = "credit"
    code: str | None = None
    decline_code: str | None = None
    # 3-D Secure: never · unless_saved (not off session once it was saved) · on_session · always
    authentication: str = "never"
    # What its owner does after a successful charge: dispute, not_received, inquiry, warning.
    afterwards: str | None = None
    refund: str = "succeeded"  # … pending: succeeds later; failed: fails after it succeeded.


def _decline(number: str, code: str, decline_code: str | None = None) -> Card:
    return Card(number, code=code, decline_code=decline_code or code)


CARDS = {
    "visa": Card(),
    "visa_debit": Card("4000056655665556", funding="debit"),
    "mastercard": Card("5555555555554444", brand="mastercard"),
    "amex": Card("378282246310005", brand="amex"),
    "th": Card("4000007640000003", country="TH"),
    "chargeDeclined": _decline("4000000000000002", "card_declined", "generic_decline"),
    "chargeDeclinedInsufficientFunds": _decline(
        "4000000000009995", "card_declined", "insufficient_funds"
    ),
    "chargeDeclinedLostCard": _decline("4000000000009987", "card_declined", "lost_card"),
    "chargeDeclinedStolenCard": _decline("4000000000009979", "card_declined", "stolen_card"),
    "chargeDeclinedVelocityLimitExceeded": _decline(
        "4000000000006975", "card_declined", "card_velocity_exceeded"
    ),
    "chargeDeclinedFraudulent": _decline("4100000000000019", "card_declined", "fraudulent"),
    # Stripe has no test card for these two; the numbers are ours.
    "chargeDeclinedRevocation": _decline(
        "4000000000000903", "card_declined", "revocation_of_authorization"
    ),
    "chargeDeclinedPickupCard": _decline("4000000000000911", "card_declined", "pickup_card"),
    "chargeDeclinedExpiredCard": _decline("4000000000000069", "expired_card"),
    "chargeDeclinedIncorrectCvc": _decline("4000000000000127", "incorrect_cvc"),
    "chargeDeclinedProcessingError": _decline("4000000000000119", "processing_error"),
    "chargeCustomerFail": _decline("4000000000000341", "card_declined", "generic_decline"),
    "authenticationRequired": Card("4000002760003184", authentication="always"),
    "authenticationRequiredOnSetup": Card("4000002500003155", authentication="unless_saved"),
    "authenticationRequiredSetupForOffSession": Card(
        "4000003800000446", authentication="on_session"
    ),
    "authenticationRequiredChargeDeclinedInsufficientFunds": replace(
        _decline("4000008260003178", "card_declined", "insufficient_funds"),
        authentication="always",
    ),
    "createDispute": Card("4000000000000259", afterwards="dispute"),
    "createDisputeProductNotReceived": Card("4000000000002685", afterwards="not_received"),
    "createDisputeInquiry": Card("4000000000001976", afterwards="inquiry"),
    "createIssuerFraudRecord": Card("4000000000005423", afterwards="warning"),
    "pendingRefund": Card("4000000000007726", refund="pending"),
    "refundFail": Card("4000000000005126", refund="failed"),
}
NUMBERS = {card.number: name for name, card in CARDS.items()}
OTHER_NAMES = {"threeDSecure2Required": "authenticationRequired", "radarBlock": "fraudulent"}


def find_name(token: str) -> str | None:
    """Return the name of `pm_card_…` or `tok_…`; None if Stripe has no such test card."""
    for prefix in ("pm_card_", "tok_"):
        if token.startswith(prefix):
            name = token.removeprefix(prefix)
            name = OTHER_NAMES.get(name, name)
            return name if name in CARDS else _strip_brand(name)
    return None


def _strip_brand(name: str) -> str | None:
    bare = name.removeprefix("visa_")
    return bare if bare in CARDS else None


def find_number(number: str) -> str | None:
    """Return the name of the test card with this number, as typed; None if there is none."""
    return NUMBERS.get("".join(digit for digit in number if digit.isdecimal()))


def requires_authentication(card: Card, *, off_session: bool, is_saved: bool) -> bool:
    """Return True if the bank wants to see the buyer for this payment."""
    if card.authentication == "always":
        return True
    if card.authentication == "on_session":
        return not off_session
    return card.authentication == "unless_saved" and not (off_session and is_saved)
