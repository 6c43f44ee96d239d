from django.urls import path

from credits import pages
from credits.api import rest
from credits.codes import pages as codes
from credits.shop import (
    document_pages,
    plan_pages,
    purchase_pages,
    refill_pages,
    refund_pages,
    webhook,
)
from credits.shop import pages as shop
from credits.statements import pages as statements

PURCHASE = "account/credits/purchases/<slug:public_id>"

urlpatterns = [
    path("account/transactions", pages.transactions, name="account_transactions"),
    path("account/statements/whole.json", statements.download, name="statement_file"),
    path("account/statements/<str:month>", statements.show, name="statement"),
    path("account/credits", shop.overview, name="account_credits"),
    path("account/credits/buy", shop.buy, name="account_buy"),
    path("account/credits/ask", shop.ask, name="account_ask"),
    path("account/codes", codes.show, name="account_codes"),
    path("account/credits/return", purchase_pages.come_back, name="account_return"),
    path(PURCHASE, purchase_pages.detail, name="account_purchase"),
    path(f"{PURCHASE}/check", purchase_pages.check, name="account_purchase_check"),
    path(f"{PURCHASE}/cancel", purchase_pages.cancel, name="account_purchase_cancel"),
    path(f"{PURCHASE}/refund", refund_pages.give_back, name="account_purchase_refund"),
    path("account/credits/plan", plan_pages.show, name="account_plan"),
    path("account/credits/plan/begin", plan_pages.begin, name="account_plan_begin"),
    path("account/credits/plan/give-up", plan_pages.give_up, name="account_plan_give_up"),
    path("account/credits/plan/cancel", plan_pages.cancel, name="account_plan_cancel"),
    path("account/credits/plan/resume", plan_pages.resume, name="account_plan_resume"),
    path("account/credits/plan/portal", plan_pages.open_portal, name="account_plan_portal"),
    path(
        "account/credits/plan/<slug:slug>/upgrade", plan_pages.upgrade, name="account_plan_upgrade"
    ),
    path(
        "account/credits/plan/<slug:slug>/downgrade",
        plan_pages.downgrade,
        name="account_plan_downgrade",
    ),
    path("account/credits/refill", refill_pages.show, name="account_refill"),
    path("account/credits/refill/on", refill_pages.switch_on, name="account_refill_on"),
    path("account/credits/refill/off", refill_pages.switch_off, name="account_refill_off"),
    path("account/credits/refill/card", refill_pages.save_card, name="account_refill_card"),
    path(
        "account/credits/documents/<str:public_id>",
        document_pages.document,
        name="account_document",
    ),
    path(
        "account/credits/documents/<str:public_id>/details",
        document_pages.replace,
        name="account_document_replace",
    ),
    path(
        "account/credits/invoice-details",
        document_pages.invoice_details,
        name="account_invoice_details",
    ),
    path("api/credits/history", rest.HistoryView.as_view(), name="credits_history"),
    path("api/credits/packages", rest.PackagesView.as_view(), name="credits_packages"),
    path("api/credits/stats", rest.StatsView.as_view(), name="credits_stats"),
    path("stripe/webhook", webhook.receive, name="stripe_webhook"),
]
