from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # an index that is built while the site is running

    dependencies = [("credits", "0019_transactions_by_time_covered")]

    operations = [
        AddIndexConcurrently(
            model_name="approval",
            index=models.Index(
                fields=["expires_at"],
                condition=models.Q(("state", "pending")),
                name="credit_approvals_waiting",
            ),
        ),
    ]
