"""What administrators can do, and which permissions each act needs.

tests/smartspec/administrators/test_roles_matrix.py opens every door of the admin as every role and
compares with this table. A door that no act names has to be closed to everybody, superusers too.
`tools/roles_page.py` writes the table into docs/administration.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib import admin

from smartspec.admin.roles import list_roles

SUPERUSER = "superuser"  # a need that no permission fulfils
ANYBODY = ""  # every administrator


@dataclass(frozen=True, slots=True)
class Act:
    """An act in words, what it needs, and the doors that lead to it.

    A door is the name of an address of the admin, with `:` and the act where several share one,
    or the list of a model with `!` and the name of a bulk act. With a method before it, other
    methods are another act or none. `needs` are permissions, of which all are needed; those in a
    `|` are alternatives.
    """

    words: str
    needs: tuple[str, ...]
    doors: tuple[str, ...]

    def is_allowed(self, permissions: frozenset[str]) -> bool:
        """Return whether somebody with these permissions, who is no superuser, may do it."""
        return all(
            need == ANYBODY or not permissions.isdisjoint(need.split("|")) for need in self.needs
        )

    def list_doors(self) -> Iterator[str]:
        """Yield the doors with their methods."""
        for door in self.doors:
            if " " in door or "!" in door:
                yield door
            elif ":" in door:
                yield f"POST {door}"
            else:
                yield from (f"GET {door}", f"POST {door}")


ACTS: tuple[Act, ...] = (
    Act(
        "Adjust credits",
        ("credits.add_transaction",),
        (
            "accounts_user_adjust",
            "accounts_user_adjust_one",
            "accounts_user!adjust_selected",
        ),
    ),
    Act(
        "Adjust credits for a package that somebody asked for",
        ("credits.add_transaction",),
        ("credits_packagerequest_act:give",),
    ),
    Act(
        "Mark a request for a package as answered",
        ("credits.change_packagerequest",),
        ("credits_packagerequest_act:answered",),
    ),
    Act(
        "Refund usage, or credits of a purchase",
        ("credits.refund_usage|credits.refund_purchase",),
        ("credits_transaction_refund",),
    ),
    Act(
        "Refund completions",
        ("credits.refund_usage", "llmproxy.view_completion"),
        ("llmproxy_completion_refund", "llmproxy_completion!refund"),
    ),
    Act("Refund money", ("credits.refund_purchase",), ("credits_purchase_refund",)),
    Act(
        "Accept or leave a payment in review",
        ("credits.accept_payment",),
        (
            "credits_purchase_accept",
            "credits_purchase_leave",
        ),
    ),
    Act("Write off a debt", ("credits.write_off_debt",), ("accounts_user_write_off",)),
    Act(
        "Allow a frozen user to buy again",
        ("credits.change_customer",),
        (
            "accounts_user_thaw",
            "credits_customer_thaw",
        ),
    ),
    Act(
        "Approve or reject what another administrator asks for",
        ("credits.approve_adjustment",),
        (
            "credits_approval_approve",
            "credits_codebatch_approve",
        ),
    ),
    Act("Withdraw one's own request", ("credits.view_approval",), ("credits_approval_withdraw",)),
    Act("Cancel a hold", ("credits.cancel_hold",), ("credits_hold_cancel",)),
    Act(
        "Export transactions",
        ("credits.export_transaction", "credits.view_transaction"),
        ("credits_transaction_export",),
    ),
    Act(
        "Create redemption codes, and export them",
        ("credits.add_codebatch",),
        (
            "credits_codebatch_new",
            "credits_codebatch_make",
            "credits_codebatch_export",
        ),
    ),
    Act("Revoke redemption codes", ("credits.revoke_codebatch",), ("credits_codebatch_revoke",)),
    Act(
        "Ask Stripe again about a payment",
        ("credits.change_purchase",),
        (
            "credits_purchase_act:check",
            "credits_refund_act:check",
            "credits_paymentreversal_act:check",
            "credits_dispute_act:check",
            "credits_refillattempt_act:check",
        ),
    ),
    Act(
        "Ask Stripe again about a plan",
        ("credits.change_subscription",),
        ("credits_subscription_act:check",),
    ),
    Act(
        "Replay events of Stripe",
        ("credits.replay_paymentevent",),
        ("credits_paymentevent_replay", "credits_paymentevent!replay"),
    ),
    Act("End a plan at once", ("credits.end_subscription",), ("credits_subscription_end",)),
    Act("Print a document", ("credits.view_document",), ("credits_document_print_sheet",)),
    Act(
        "Cancel a document and issue it anew",
        ("credits.change_document",),
        ("credits_document_replace",),
    ),
    Act("Create packages", ("credits.add_package",), ("credits_package_add",)),
    Act("Change packages", ("credits.change_package",), ("POST credits_package_change",)),
    Act(
        "Delete packages",
        ("credits.delete_package",),
        (
            "credits_package_delete",
            "credits_package!delete_selected",
        ),
    ),
    Act("Create users", ("accounts.add_user",), ("accounts_user_add",)),
    Act(
        "Change a user who is no administrator, and set the password",
        ("accounts.change_user",),
        (
            "POST accounts_user_change",
            "POST accounts_user_edit",
            "auth_user_password_change",
        ),
    ),
    Act("Open the form of a user", ("accounts.view_user",), ("GET accounts_user_edit",)),
    Act(
        "Disable and enable users",
        ("accounts.disable_user", "accounts.view_user"),
        ("accounts_user_disable", "accounts_user_enable", "accounts_user!disable"),
    ),
    Act(
        "Send mails again",
        ("accounts.resend_outgoingmail", "accounts.view_outgoingmail"),
        ("accounts_outgoingmail_resend", "accounts_outgoingmail!resend"),
    ),
    Act(
        "Send webhook messages again",
        ("accounts.redeliver_webhookdelivery", "accounts.view_webhookdelivery"),
        ("accounts_webhookdelivery_redeliver", "accounts_webhookdelivery!redeliver"),
    ),
    Act(
        "Close and open webhooks",
        ("accounts.close_webhookendpoint", "accounts.view_webhookendpoint"),
        ("accounts_webhookendpoint_close", "accounts_webhookendpoint_open"),
    ),
    Act(
        "Open the page of a bulk act; who began it goes on with it",
        ("accounts.view_bulkact",),
        ("POST accounts_bulkact_change",),
    ),
    Act("Export lists that one may view", ("accounts.export_list",), ()),
    Act("See jobs, database, disks and settings in the status", ("accounts.view_jobrun",), ()),
    Act("Remove a second factor", (SUPERUSER,), ("mfa_authenticator_delete",)),
    Act(
        "Create, change and delete groups",
        (SUPERUSER,),
        (
            "auth_group_add",
            "POST auth_group_change",
            "auth_group_delete",
            "auth_group!delete_selected",
        ),
    ),
    Act("Create plans", ("accounts.add_plan",), ("accounts_plan_add",)),
    Act("Change plans", ("accounts.change_plan",), ("POST accounts_plan_change",)),
    Act("Delete plans", ("accounts.delete_plan",), ("accounts_plan_delete",)),
    Act(
        "Change settings",
        ("accounts.change_operatorsettings", "accounts.view_operatorsettings"),
        ("POST accounts_operatorsettings_changelist",),
    ),
    Act(
        "Revoke API keys",
        ("accounts.revoke_apikey", "accounts.view_apikey"),
        ("accounts_apikey_revoke", "accounts_apikey!revoke"),
    ),
    Act(
        "Disconnect devices",
        ("deviceauth.revoke_devicesession", "deviceauth.view_devicesession"),
        ("deviceauth_devicesession_revoke", "deviceauth_devicesession!revoke"),
    ),
    Act(
        "Refuse requests of devices",
        ("deviceauth.revoke_devicecode", "deviceauth.view_devicecode"),
        ("deviceauth_devicecode_revoke", "deviceauth_devicecode!revoke"),
    ),
    Act(
        "Create applications",
        ("oauth2_provider.add_application",),
        ("oauth2_provider_application_add",),
    ),
    Act(
        "Change applications and their secrets",
        ("oauth2_provider.change_application",),
        (
            "POST oauth2_provider_application_change",
            "oauth2_provider_application_new_secret",
        ),
    ),
    Act(
        "Delete applications",
        ("oauth2_provider.delete_application",),
        (
            "oauth2_provider_application_delete",
            "oauth2_provider_application!delete_selected",
        ),
    ),
    Act("Create models", ("llmproxy.add_languagemodel",), ("llmproxy_languagemodel_add",)),
    Act(
        "Change models, and import prices",
        ("llmproxy.change_languagemodel",),
        (
            "POST llmproxy_languagemodel_change",
            "llmproxy_languagemodel_import_prices",
            "llmproxy_languagemodel!import_prices_of_chosen",
        ),
    ),
    Act(
        "Delete models",
        ("llmproxy.delete_languagemodel",),
        (
            "llmproxy_languagemodel_delete",
            "llmproxy_languagemodel!delete_selected",
        ),
    ),
    Act("Create providers", ("llmproxy.add_provider",), ("llmproxy_provider_add",)),
    Act(
        "Change providers, and test the connection",
        ("llmproxy.change_provider",),
        (
            "POST llmproxy_provider_change",
            "llmproxy_provider_test",
            "llmproxy_provider!test_chosen",
        ),
    ),
    Act(
        "Pause and wake providers",
        ("llmproxy.pause_provider", "llmproxy.view_provider"),
        ("llmproxy_provider_pause", "llmproxy_provider_wake"),
    ),
    Act("Delete providers", ("llmproxy.delete_provider",), ("llmproxy_provider_delete",)),
    Act(
        "Import models from a provider",
        ("llmproxy.change_provider", "llmproxy.add_languagemodel"),
        ("llmproxy_provider_import_models",),
    ),
    Act(
        "See the figures of providers",
        ("llmproxy.view_provider", "llmproxy.view_completion"),
        ("llmproxy_provider_figures",),
    ),
    Act(
        "Import the usage of providers",
        ("llmproxy.import_usage", "llmproxy.view_usageimport"),
        ("llmproxy_usageimport_preview",),
    ),
    Act(
        "See imports of usage, and explain and export differences",
        ("llmproxy.view_usageimport",),
        (
            "llmproxy_usageimport_imports",
            "llmproxy_usageimport_explain",
            "llmproxy_usageimport_export",
        ),
    ),
)


def list_views() -> Iterator[Act]:
    """Yield the acts of looking at each list of the admin, and at its rows."""
    for model in admin.site._registry:
        meta = model._meta
        name = f"{meta.app_label}_{meta.model_name}"
        doors = (f"GET {name}_changelist", f"GET {name}_change")
        yield Act(
            str(meta.verbose_name_plural), (f"{meta.app_label}.view_{meta.model_name}",), doors
        )


def list_allowed(act: Act) -> list[str]:
    """Return the roles that may do this, beside superusers, who may do everything."""
    return [
        role for role, permissions in list_roles().items() if act.is_allowed(frozenset(permissions))
    ]
