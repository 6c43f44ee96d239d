"""Which pages and states are photographed. Whoever adds a page adds a line here.

An address may name a fact of the stage (`tests/looks/stage.py`) in braces, such as {receipt}. A
line can name the reader: a stranger, `ann` who uses the site daily, `newcomer` who has just signed
up, or `boss` who works in the admin. A page that needs an act first gives it as a function of the
page.
"""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page


@dataclass(frozen=True)
class Place:
    """One picture. `act` is done on the open page first. `status` is what the page answers."""

    name: str
    address: str
    reader: str = ""
    act: Callable[[Page], object] | None = None


def open_menu(page: Page) -> None:
    page.locator("[data-menu] summary").click()


def open_details(page: Page) -> None:
    for summary in page.locator("main details > summary").all():
        summary.click()


def submit(page: Page) -> None:
    with page.expect_navigation():
        page.locator("main form button[type=submit]").first.click()


def confirm_password(page: Page) -> None:
    """Pass the question for the password, which a browser gets once in a while."""
    field = page.locator("input[type=password]")
    if field.count():
        field.fill("correct horse battery")
        with page.expect_navigation():
            field.press("Enter")


def create_key(page: Page) -> None:
    confirm_password(page)
    page.locator("[name=name]").fill("Laptop")
    with page.expect_navigation():
        page.locator("[name=name]").press("Enter")


STRANGER = [
    Place("home", "/"),
    Place("home-menu", "/", act=open_menu),
    Place("log-in", "/accounts/login/"),
    Place("sign-up", "/accounts/signup/"),
    Place("password-reset", "/accounts/password/reset/"),
    Place("not-found", "/nothing/here"),
    Place("wrong-method", "/account/theme"),
    Place("billing", "/account/billing"),
    Place("models", "/models"),
    Place("models-not-found", "/models?q=nothing+like+this"),
    Place("status", "/status"),
    Place("docs", "/docs"),
    Place("docs-quick-start", "/docs/quick-start"),
    Place("docs-errors", "/docs/errors"),
    Place("docs-api", "/docs/api"),
    Place("docs-api-credits", "/docs/api/credits"),
]
NEWCOMER = [
    Place(f"newcomer-{name}", address, "newcomer")
    for name, address in (
        ("overview", "/account"),
        ("credits", "/account/credits"),
        ("activity", "/account/activity"),
        ("access", "/account/access"),
    )
]
ANN = [
    Place("overview", "/account", "ann"),
    Place("overview-menu", "/account", "ann", act=open_menu),
    Place("activity", "/account/activity", "ann"),
    Place("activity-none", "/account/activity?state=refunded&day=2026-03-01", "ann"),
    Place("usage", "/account/usage", "ann"),
    Place("usage-tables", "/account/usage", "ann", act=open_details),
    Place("alerts", "/account/alerts", "ann"),
    Place("webhooks", "/account/webhooks", "ann"),
    Place("codes", "/account/codes", "ann"),
    Place("receipt", "/account/completions/{answered}", "ann"),
    Place("receipt-failed", "/account/completions/{failed}", "ann"),
    Place("receipt-left", "/account/completions/{left}", "ann"),
    Place("credits", "/account/credits", "ann"),
    Place("transactions", "/account/transactions", "ann"),
    Place("plan", "/account/credits/plan", "ann"),
    Place("refill", "/account/credits/refill", "ann"),
    Place("purchase-paid", "/account/credits/purchases/{paid}", "ann"),
    Place("purchase-open", "/account/credits/purchases/{open}", "ann"),
    Place("purchase-failed", "/account/credits/purchases/{failed_purchase}", "ann"),
    Place("give-back", "/account/credits/purchases/{paid}/refund", "ann"),
    Place("invoice-details", "/account/credits/invoice-details", "ann"),
    Place("access", "/account/access", "ann"),
    Place("device", "/account/devices/{device}", "ann"),
    Place("disconnect", "/account/devices/{device}/disconnect", "ann"),
    Place("key-new", "/account/keys/new", "ann", act=confirm_password),
    Place("key-created", "/account/keys/new", "ann", act=create_key),
    Place("key", "/account/keys/{key}", "ann"),
    Place("key-revoke", "/account/keys/{key}/revoke", "ann"),
    Place("connect", "/auth/device", "ann"),
    Place("connect-code", "/auth/device?user_code={user_code}", "ann"),
    Place("connect-confirm", "/auth/device?user_code={user_code}", "ann", act=submit),
    Place("data", "/account/data", "ann"),
    Place("data-archive", "/account/data/archive", "ann", act=confirm_password),
    Place("statement", "/account/statements/{month}", "ann"),
    Place("security", "/account/security", "ann"),
    Place("settings", "/account/settings", "ann"),
    Place("chat", "/chat", "ann"),
    Place("password-change", "/accounts/password/change/", "ann"),
    Place("email-change", "/accounts/email/", "ann"),
    Place("passkey-add", "/accounts/2fa/webauthn/add/", "ann"),
    Place("app-set-up", "/accounts/2fa/totp/activate/", "ann"),
    Place("close", "/account/delete", "ann"),
    Place("log-out", "/accounts/logout/", "ann"),
]
OPERATOR = [
    Place(f"admin-{name}", f"/admin/{address}", "boss")
    for name, address in (
        ("users", "accounts/user/"),
        ("user-add", "accounts/user/add/"),
        ("alerts", "accounts/accountalert/"),
        ("webhooks", "accounts/webhookendpoint/"),
        ("webhook-deliveries", "accounts/webhookdelivery/"),
        ("log", "admin/logentry/"),
        ("keys", "accounts/apikey/"),
        ("transactions", "credits/transaction/"),
        ("approvals", "credits/approval/?state__exact=pending"),
        ("code-batches", "credits/codebatch/"),
        ("codes", "credits/redemptioncode/"),
        ("purchases", "credits/purchase/"),
        ("nothing-found", "credits/purchase/?state__exact=review"),
        ("completions", "llmproxy/completion/"),
        ("models", "llmproxy/languagemodel/"),
        ("providers", "llmproxy/provider/"),
        ("sessions", "deviceauth/devicesession/"),
        ("export", "export/accounts/user/?balance=low"),
    )
]
PLACES = [*STRANGER, *NEWCOMER, *ANN, *OPERATOR]
