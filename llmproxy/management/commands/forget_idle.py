from typing import Any

from django.core.management.base import BaseCommand

from accounts.access import browsers
from accounts.toolbox import rate_limits
from llmproxy.admission import idempotency
from llmproxy.models import Rate


class Command(BaseCommand):
    help = (
        "Delete rates of which nothing is used, browsers that have ended, and answers that are no"
        " longer repeated. Safe to run at any time."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        rate_limits.forget_idle()
        browsers.delete_ended()
        idempotency.forget_old()
        Rate.objects.idle().delete()
