"""Create the free plan, which every new user is on. Administrators edit it in the admin."""

from typing import Any

from django.db import migrations


def create_free_plan(apps: Any, schema_editor: Any) -> None:
    apps.get_model("accounts", "Plan").objects.get_or_create(slug="free", defaults={"name": "Free"})


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunPython(create_free_plan, migrations.RunPython.noop)]
