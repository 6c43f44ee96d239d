"""A paid invoice gives credits once, as a payment does.

The index is built beside the running site, because a lock on the transactions would stop every
answer. Each step can be repeated after an interruption. Until the last step, one of the two indexes
is there.
"""

from django.db import migrations, models
from django.db.models import Q

NAME = "credit_transactions_once_per_payment"
BOTH = "type IN ('purchase', 'subscription') AND reference_id <> ''"
FORWARDS = (
    "DROP INDEX CONCURRENTLY IF EXISTS credit_transactions_once_per_paid",
    "CREATE UNIQUE INDEX CONCURRENTLY credit_transactions_once_per_paid"
    f" ON credit_transactions (reference_id) WHERE {BOTH}",
    f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}",
    f"ALTER INDEX credit_transactions_once_per_paid RENAME TO {NAME}",
)
BACKWARDS = (
    f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}",
    f"CREATE UNIQUE INDEX CONCURRENTLY {NAME} ON credit_transactions (reference_id)"
    " WHERE type = 'purchase' AND reference_id <> ''",
)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("credits", "0010_package_prices")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(list(FORWARDS), list(BACKWARDS))],
            state_operations=[
                migrations.RemoveConstraint(model_name="transaction", name=NAME),
                migrations.AddConstraint(
                    model_name="transaction",
                    constraint=models.UniqueConstraint(
                        fields=["reference_id"],
                        condition=Q(type__in=["purchase", "subscription"]) & ~Q(reference_id=""),
                        name=NAME,
                    ),
                ),
            ],
        ),
    ]
