from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone
from oauth2_provider.models import clear_expired

from deviceauth.models import DeviceCode, DeviceSession


class Command(BaseCommand):
    help = (
        "Delete what device login no longer needs: old device codes, dead tokens, "
        "sessions without tokens."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        # Codes stay for a while after they expire, so that late devices and users get a precise
        # error.
        before = timezone.now() - timedelta(seconds=settings.DEVICE_CODE_KEEP_SECONDS)
        codes, _ = DeviceCode.objects.filter(expires__lt=before).delete()
        clear_expired()
        sessions, _ = DeviceSession.objects.forgotten().delete()
        if codes or sessions:
            self.stdout.write(
                f"Device codes deleted: {codes}. Device sessions deleted: {sessions}."
            )
