"""Stripe's SDK is imported when a worker starts, and only where there is a key."""

import os
import subprocess
import sys

from smartspec.drill.scratch import ROOT

SCRIPT = """
import sys
import django
django.setup()
from django.conf import settings
from credits.stripe_api import client
import credits.purchases.checkout, credits.shop.webhook
for settings.STRIPE_SECRET_KEY in ("", "sk_test_abc"):
    client.load()
    print("stripe" in sys.modules, "stripe.checkout" in sys.modules)
"""


def test_the_sdk_is_loaded_with_a_key_only():
    environment = {"DEBUG": "true", "DJANGO_SETTINGS_MODULE": "smartspec.settings"}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.split() == ["False", "False", "True", "True"]


def test_it_is_loaded_before_the_first_request():
    assert "\nstripe_client.load()\n" in (ROOT / "smartspec/wsgi.py").read_text()
