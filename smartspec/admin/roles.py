"""The roles of administrators: which permissions each has.

`manage.py seed_roles` makes a group of each, smartspec/admin/acts.py says what the permissions are
for, and docs/administration.md shows both.
"""

from django.contrib import admin

VIEWER, SUPPORT, FINANCE = "Viewer", "Support", "Finance"

# Support answers people: it views rows, adjusts up to SUPPORT_ADJUST_CREDITS, refunds usage, and
# revokes keys and devices that leaked. It cannot change prices, plans, providers or users, cannot
# approve, pays nobody back, and lets nobody buy again whose purchases are frozen. It may ask Stripe
# again, because that only finds out what is true.
_SUPPORT = (
    "accounts.view_user",
    "accounts.view_plan",
    "accounts.view_apikey",
    "accounts.revoke_apikey",
    "accounts.view_authevent",
    "credits.view_transaction",
    "credits.view_grant",
    "credits.view_hold",
    "credits.view_package",
    "credits.view_approval",
    "credits.view_purchase",
    "credits.change_purchase",
    "credits.view_packagerequest",
    "credits.change_packagerequest",
    "credits.view_subscription",
    "credits.change_subscription",
    "credits.view_refill",
    "credits.view_refillattempt",
    "credits.view_refund",
    "credits.view_paymentreversal",
    "credits.view_dispute",
    "credits.view_document",
    "credits.view_customer",
    "credits.view_paymentcomparison",
    "credits.add_transaction",
    "credits.refund_usage",
    "llmproxy.view_completion",
    "deviceauth.view_devicesession",
    "deviceauth.revoke_devicesession",
    "deviceauth.view_devicecode",
)
# Finance decides about money: it approves what others ask for, and has no hand in who gets in.
_FINANCE = (
    "accounts.view_user",
    "accounts.view_plan",
    "accounts.view_operatorsettings",
    "accounts.export_list",
    "admin.view_logentry",
    "credits.view_transaction",
    "credits.view_grant",
    "credits.view_hold",
    "credits.view_auditrun",
    "credits.view_package",
    "credits.add_package",
    "credits.change_package",
    "credits.delete_package",
    "credits.view_approval",
    "credits.approve_adjustment",
    "credits.view_codebatch",
    "credits.add_codebatch",
    "credits.revoke_codebatch",
    "credits.view_redemptioncode",
    "credits.view_purchase",
    "credits.change_purchase",
    "credits.accept_payment",
    "credits.refund_purchase",
    "credits.view_packagerequest",
    "credits.change_packagerequest",
    "credits.view_subscription",
    "credits.change_subscription",
    "credits.end_subscription",
    "credits.view_refill",
    "credits.view_refillattempt",
    "credits.view_refund",
    "credits.view_paymentreversal",
    "credits.view_dispute",
    "credits.view_document",
    "credits.change_document",
    "credits.view_customer",
    "credits.change_customer",
    "credits.view_paymentevent",
    "credits.replay_paymentevent",
    "credits.view_paymentcomparison",
    "credits.add_transaction",
    "credits.refund_usage",
    "credits.write_off_debt",
    "credits.cancel_hold",
    "credits.export_transaction",
    "llmproxy.view_completion",
    "llmproxy.view_languagemodel",
    "llmproxy.view_provider",
    "llmproxy.view_usageimport",
    "llmproxy.import_usage",
)


def list_roles() -> dict[str, tuple[str, ...]]:
    """Return the permissions of each role. The viewer sees every list and the whole status."""
    return {VIEWER: _list_views(), SUPPORT: _SUPPORT, FINANCE: _FINANCE}


def _list_views() -> tuple[str, ...]:
    metas = [model._meta for model in admin.site._registry]
    views = (f"{meta.app_label}.view_{meta.model_name}" for meta in metas)
    return tuple(sorted([*views, "accounts.view_jobrun"]))
