from django.conf import settings
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # indexes that are built while the site is running

    dependencies = [
        ("credits", "0017_permissions_of_acts"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='redemptioncode',
            index=models.Index(fields=['last_four', '-id'], name='redemption_codes_by_ending'),
        ),
        AddIndexConcurrently(
            model_name='refund',
            index=models.Index(condition=models.Q(('stripe_id', ''), _negated=True), fields=['stripe_id'], name='payment_refunds_by_stripe_id'),
        ),
    ]
