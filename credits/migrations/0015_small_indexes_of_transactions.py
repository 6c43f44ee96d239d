from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # an index that is built while transactions are written

    dependencies = [("credits", "0014_prices_in_one_place")]

    operations = [
        AddIndexConcurrently(
            model_name="transaction",
            index=models.Index(
                condition=models.Q(("reverses__isnull", False)),
                fields=["user", "created_at"],
                name="credit_transactions_reversed",
            ),
        ),
        AddIndexConcurrently(
            model_name="transaction",
            index=models.Index(
                condition=models.Q(("type", "usage"), _negated=True),
                fields=["created_at"],
                name="credit_transactions_not_usage",
            ),
        ),
    ]
