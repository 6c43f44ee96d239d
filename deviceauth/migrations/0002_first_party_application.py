"""Create the OAuth client of our own desktop application.

The client is public, so its random secret, of which only a hash is stored, is never used.
"""

from typing import Any

from django.conf import settings
from django.db import migrations

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


def create_application(apps: Any, schema_editor: Any) -> None:
    apps.get_model("oauth2_provider", "Application").objects.get_or_create(
        client_id=settings.FIRST_PARTY_CLIENT_ID,
        defaults={
            "name": "SmartSpecPro",
            "client_type": "public",
            "authorization_grant_type": DEVICE_CODE,
        },
    )


class Migration(migrations.Migration):
    dependencies = [
        ("deviceauth", "0001_initial"),
        ("oauth2_provider", "0022_refreshtoken_token_family_index"),
    ]
    operations = [migrations.RunPython(create_application, migrations.RunPython.noop)]
