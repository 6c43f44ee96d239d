from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # indexes that are built while the site is running

    dependencies = [
        ("credits", "0018_indexes_to_find_by"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="transaction",
            index=models.Index(
                condition=models.Q(("type", "usage"), _negated=True),
                fields=["created_at"],
                include=["id", "type", "amount", "reference_id"],
                name="credit_transactions_moved",
            ),
        ),
        RemoveIndexConcurrently(
            model_name="transaction", name="credit_transactions_not_usage"
        ),
    ]
