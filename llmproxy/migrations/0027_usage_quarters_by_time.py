import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # an index that is built while completions are folded

    dependencies = [
        ('llmproxy', '0026_roll_ups_of_the_whole_site'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='usagequarter',
            index=django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['quarter'], name='usage_quarters_by_time'),
        ),
    ]
