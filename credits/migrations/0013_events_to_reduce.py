"""Finds the events whose payload still has personal data. The site may run meanwhile."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("credits", "0012_decisions_and_endings")]

    operations = [
        AddIndexConcurrently(
            model_name='paymentevent',
            index=models.Index(condition=models.Q(('reduced_at', None)), fields=['received_at'], name='payment_events_whole'),
        ),
    ]
