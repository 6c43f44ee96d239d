"""The areas of the status: who may see each, and the questions about it."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from smartspec.upkeep import (
    answers,
    clock,
    configuration,
    database,
    disks,
    money,
    outbox,
    payments,
    providers,
    security,
)
from smartspec.upkeep.conditions import Question


@dataclass(frozen=True, slots=True)
class Area:
    """Questions about one part; `permission` is that of an administrator who may see the answers.

    The answer to the first question is shown while all is well.
    """

    key: str
    title: str | Promise
    permission: str
    questions: tuple[Question, ...]


AREAS = (
    Area(
        "providers",
        gettext_lazy("Providers"),
        "llmproxy.view_provider",
        (providers.check_providers,),
    ),
    Area(
        "answers",
        gettext_lazy("Answers"),
        "llmproxy.view_completion",
        (answers.check_answers, answers.check_refusals),
    ),
    Area(
        "money",
        gettext_lazy("Ledger and debts"),
        "credits.view_transaction",
        (money.check_audit, money.check_balances, money.check_bills),
    ),
    Area(
        "payments",
        gettext_lazy("Payments"),
        "credits.view_purchase",
        (
            *(payments.check_review, payments.check_events, payments.check_comparison),
            *(payments.check_waiting, payments.check_subscriptions),
        ),
    ),
    Area(
        "clock",
        gettext_lazy("Regular jobs"),
        "accounts.view_jobrun",
        (clock.check_tick, clock.check_jobs, clock.check_holds),
    ),
    Area(
        "outbox",
        gettext_lazy("Mail and webhooks"),
        "accounts.view_outgoingmail",
        (outbox.check_mails, outbox.check_alerts, outbox.check_webhooks),
    ),
    Area(
        "database",
        gettext_lazy("Database and disks"),
        "accounts.view_jobrun",
        (
            *(database.check_database, database.check_migrations, database.check_connections),
            *(database.check_standbys, database.check_archive),
            *(disks.check_spool, disks.check_spool_disk, disks.check_data_disk),
        ),
    ),
    Area(
        "security",
        gettext_lazy("Security"),
        "accounts.view_authevent",
        (security.check_log_ins, security.check_reuse, security.check_administrators),
    ),
    Area(
        "configuration",
        gettext_lazy("Version and settings"),
        "accounts.view_jobrun",
        (
            configuration.check_version,
            configuration.check_settings,
            configuration.check_maintenance,
        ),
    ),
)
# What is asked also while the database does not answer.
WITHOUT_DATABASE = (
    *(disks.check_spool, disks.check_spool_disk),
    *(configuration.check_version, configuration.check_settings),
)
