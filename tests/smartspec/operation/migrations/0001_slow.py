from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "__first__")]
    operations = [
        migrations.RunSQL("SELECT pg_sleep(0.5)"),
        migrations.RunSQL("LOCK TABLE credit_packages IN ACCESS EXCLUSIVE MODE"),
    ]
