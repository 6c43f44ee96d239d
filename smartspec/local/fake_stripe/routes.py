"""The addresses of the API: which parameters each takes, and who answers it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NotRequired

import stripe
from typing_extensions import TypedDict

from smartspec.local.fake_stripe.billing import (
    changes,
    invoice_api,
    portal,
    subscription_api,
)
from smartspec.local.fake_stripe.checkout import payment_pages, sessions, setups
from smartspec.local.fake_stripe.memory.calls import Call
from smartspec.local.fake_stripe.memory.state import Entry
from smartspec.local.fake_stripe.objects import (
    account,
    balance,
    customers,
    endpoints,
    events,
    payment_methods,
    products,
)
from smartspec.local.fake_stripe.payments import charges, disputes, intents, refunds, warnings
from smartspec.local.fake_stripe.wire.refusals import Refusal

Json = dict[str, Any]
Act = Callable[[Call], "Entry | Json"]
ID = r"([A-Za-z0-9_]+)"


class UnknownRoute(Refusal):
    """There is no such address."""

    status = 404


class PageParams(TypedDict):
    """What the CLI sends when it retrieves a payment page."""

    expand: NotRequired[list[str]]


class ConfirmPageParams(PageParams):
    """What the CLI sends when it confirms a payment page."""

    payment_method: str
    expected_amount: NotRequired[int]


@dataclass(frozen=True)
class Route:
    """An act and the SDK's TypedDict of its parameters."""

    params: type
    act: Act


# Method and address; the parameters' type in stripe.params; the act.
TABLE: list[tuple[str, str | type, Act]] = [
    ("GET /account", "AccountRetrieveParams", account.retrieve_account),
    ("GET /balance_transactions", "BalanceTransactionListParams", balance.list_moves),
    ("GET /balance_transactions/{}", "BalanceTransactionRetrieveParams", balance.retrieve_move),
    ("GET /charges", "ChargeListParams", charges.list_charges),
    ("GET /charges/{}", "ChargeRetrieveParams", charges.retrieve_charge),
    ("GET /customers", "CustomerListParams", customers.list_customers),
    ("POST /customers", "CustomerCreateParams", customers.create_customer),
    ("GET /customers/{}", "CustomerRetrieveParams", customers.retrieve_customer),
    ("POST /customers/{}", "CustomerUpdateParams", customers.update_customer),
    ("DELETE /customers/{}", "CustomerDeleteParams", subscription_api.delete_customer),
    (
        "GET /customers/{}/payment_methods",
        "CustomerListPaymentMethodsParams",
        payment_methods.list_methods,
    ),
    ("GET /disputes", "DisputeListParams", disputes.list_disputes),
    ("GET /disputes/{}", "DisputeRetrieveParams", disputes.retrieve_dispute),
    ("POST /disputes/{}", "DisputeUpdateParams", disputes.update_dispute),
    ("POST /disputes/{}/close", "DisputeCloseParams", disputes.close_dispute),
    ("GET /events", "EventListParams", events.list_events),
    ("GET /events/{}", "EventRetrieveParams", events.retrieve_event),
    ("GET /invoice_payments", "InvoicePaymentListParams", invoice_api.list_payments),
    ("GET /invoice_payments/{}", "InvoicePaymentRetrieveParams", invoice_api.retrieve_payment),
    ("POST /invoiceitems", "InvoiceItemCreateParams", invoice_api.create_item),
    ("GET /invoices", "InvoiceListParams", invoice_api.list_invoices),
    ("POST /invoices", "InvoiceCreateParams", invoice_api.create_invoice),
    ("GET /invoices/{}", "InvoiceRetrieveParams", invoice_api.retrieve_invoice),
    ("POST /invoices/{}", "InvoiceUpdateParams", invoice_api.update_invoice),
    (
        "POST /invoices/{}/finalize",
        "InvoiceFinalizeInvoiceParams",
        invoice_api.finalize_invoice,
    ),
    ("GET /invoices/{}/lines", "InvoiceListLinesParams", invoice_api.list_lines),
    ("POST /invoices/{}/pay", "InvoicePayParams", subscription_api.pay_invoice),
    ("POST /invoices/{}/void", "InvoiceVoidInvoiceParams", invoice_api.void_invoice),
    ("GET /payment_intents", "PaymentIntentListParams", intents.list_intents),
    ("POST /payment_intents", "PaymentIntentCreateParams", intents.create_intent),
    ("GET /payment_intents/{}", "PaymentIntentRetrieveParams", intents.retrieve_intent),
    ("POST /payment_intents/{}", "PaymentIntentUpdateParams", intents.update_intent),
    ("POST /payment_intents/{}/cancel", "PaymentIntentCancelParams", intents.cancel_intent),
    ("POST /payment_intents/{}/confirm", "PaymentIntentConfirmParams", intents.confirm_intent),
    ("GET /payment_methods", "PaymentMethodListParams", payment_methods.list_methods),
    ("POST /payment_methods", "PaymentMethodCreateParams", payment_methods.create_method),
    ("GET /payment_methods/{}", "PaymentMethodRetrieveParams", payment_methods.retrieve_method),
    (
        "POST /payment_methods/{}/attach",
        "PaymentMethodAttachParams",
        payment_methods.attach_method,
    ),
    (
        "POST /payment_methods/{}/detach",
        "PaymentMethodDetachParams",
        payment_methods.detach_method,
    ),
    ("GET /payment_pages/{}", PageParams, payment_pages.retrieve_page),
    ("POST /payment_pages/{}/confirm", ConfirmPageParams, payment_pages.confirm_page),
    ("GET /prices", "PriceListParams", products.list_prices),
    ("POST /prices", "PriceCreateParams", products.create_price),
    ("GET /prices/{}", "PriceRetrieveParams", products.retrieve_price),
    ("POST /prices/{}", "PriceUpdateParams", products.update_price),
    ("GET /products", "ProductListParams", products.list_products),
    ("POST /products", "ProductCreateParams", products.create_product),
    ("GET /products/{}", "ProductRetrieveParams", products.retrieve_product),
    ("POST /products/{}", "ProductUpdateParams", products.update_product),
    ("DELETE /products/{}", "ProductDeleteParams", products.delete_product),
    ("GET /refunds", "RefundListParams", refunds.list_refunds),
    ("POST /refunds", "RefundCreateParams", refunds.create_refund),
    ("GET /refunds/{}", "RefundRetrieveParams", refunds.retrieve_refund),
    ("POST /refunds/{}", "RefundUpdateParams", refunds.update_refund),
    ("POST /refunds/{}/cancel", "RefundCancelParams", refunds.cancel_refund),
    ("GET /setup_intents/{}", "SetupIntentRetrieveParams", setups.retrieve_setup),
    ("GET /subscriptions", "SubscriptionListParams", subscription_api.list_subscriptions),
    ("POST /subscriptions", "SubscriptionCreateParams", subscription_api.create_subscription),
    (
        "GET /subscriptions/{}",
        "SubscriptionRetrieveParams",
        subscription_api.retrieve_subscription,
    ),
    ("POST /subscriptions/{}", "SubscriptionUpdateParams", changes.update_subscription),
    (
        "DELETE /subscriptions/{}",
        "SubscriptionCancelParams",
        subscription_api.cancel_subscription,
    ),
    ("GET /webhook_endpoints", "WebhookEndpointListParams", endpoints.list_endpoints),
    ("POST /webhook_endpoints", "WebhookEndpointCreateParams", endpoints.create_endpoint),
    (
        "GET /webhook_endpoints/{}",
        "WebhookEndpointRetrieveParams",
        endpoints.retrieve_endpoint,
    ),
    ("POST /webhook_endpoints/{}", "WebhookEndpointUpdateParams", endpoints.update_endpoint),
    ("DELETE /webhook_endpoints/{}", "WebhookEndpointDeleteParams", endpoints.delete_endpoint),
    (
        "GET /billing_portal/configurations",
        "billing_portal.ConfigurationListParams",
        portal.list_configurations,
    ),
    (
        "POST /billing_portal/configurations",
        "billing_portal.ConfigurationCreateParams",
        portal.create_configuration,
    ),
    (
        "GET /billing_portal/configurations/{}",
        "billing_portal.ConfigurationRetrieveParams",
        portal.retrieve_configuration,
    ),
    (
        "POST /billing_portal/configurations/{}",
        "billing_portal.ConfigurationUpdateParams",
        portal.update_configuration,
    ),
    (
        "POST /billing_portal/sessions",
        "billing_portal.SessionCreateParams",
        portal.create_session,
    ),
    ("GET /checkout/sessions", "checkout.SessionListParams", sessions.list_sessions),
    ("POST /checkout/sessions", "checkout.SessionCreateParams", sessions.create_session),
    ("GET /checkout/sessions/{}", "checkout.SessionRetrieveParams", sessions.retrieve_session),
    ("POST /checkout/sessions/{}", "checkout.SessionUpdateParams", sessions.update_session),
    (
        "POST /checkout/sessions/{}/expire",
        "checkout.SessionExpireParams",
        sessions.expire_session,
    ),
    (
        "GET /checkout/sessions/{}/line_items",
        "checkout.SessionListLineItemsParams",
        sessions.list_line_items,
    ),
    (
        "GET /radar/early_fraud_warnings",
        "radar.EarlyFraudWarningListParams",
        warnings.list_warnings,
    ),
    (
        "GET /radar/early_fraud_warnings/{}",
        "radar.EarlyFraudWarningRetrieveParams",
        warnings.retrieve_warning,
    ),
]


@cache
def find_shape(name: str) -> type:
    """Return a TypedDict of `stripe.params`; a dot leads into one of its packages."""
    place: Any = stripe.params
    for part in name.split("."):
        place = getattr(place, part)
    return place  # type: ignore[no-any-return]


@cache
def compile_routes() -> list[tuple[re.Pattern[str], str | type, Act]]:
    return [
        (re.compile(address.replace(" /", " /v1/").replace("{}", ID)), shape, act)
        for address, shape, act in TABLE
    ]


def find_route(method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    """Return the route and the ids in the address. Raises UnknownRoute."""
    for pattern, shape, act in compile_routes():
        if match := pattern.fullmatch(f"{method} {path}"):
            params = find_shape(shape) if isinstance(shape, str) else shape
            return Route(params, act), match.groups()
    raise UnknownRoute(
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we"
        " can help at https://support.stripe.com/."
    )
