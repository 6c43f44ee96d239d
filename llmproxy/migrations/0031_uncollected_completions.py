from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # an index that is built while completions are written

    dependencies = [
        ("llmproxy", "0030_reconciliation"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='completion',
            index=models.Index(condition=models.Q(('uncollected__gt', 0)), fields=['id'], name='completions_uncollected'),
        ),
    ]
