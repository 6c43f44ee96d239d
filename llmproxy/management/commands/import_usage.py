from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.transaction import atomic, set_rollback

from llmproxy.models import Provider
from llmproxy.reconciliation import imports
from llmproxy.reconciliation.cells import FileRefused
from llmproxy.reconciliation.files import MAX_BYTES, File, read_file


class Command(BaseCommand):
    help = (
        "Import the usage file of a provider, such as one that is too large for the admin. What it "
        "covers replaces what was imported before."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--provider", metavar="SLUG", help="if the file does not tell")
        parser.add_argument("--dry-run", action="store_true", help="change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        file = _read(options["file"])
        provider = _find_provider(file, options["provider"])
        with atomic():
            draft = imports.make_draft(
                file, provider=provider, file_name=options["file"].name, user=None
            )
            seen = imports.preview(draft)
            if options["dry_run"]:
                set_rollback(True)
            else:
                imports.import_draft(draft.pk, digest=seen.digest, user=None)
        self.stdout.write(f"{file.format.label}, {provider}, {len(file.lines)} lines")
        for day in seen.days:
            self.stdout.write(f"{day.day} {day.scope}: {day.kind}")


def _read(path: Path) -> File:
    try:
        with path.open("rb") as opened:
            return read_file(opened.read(MAX_BYTES + 1))
    except (FileRefused, OSError) as error:
        raise CommandError(str(error)) from None


def _find_provider(file: File, slug: str | None) -> Provider:
    if slug is None:
        provider = imports.find_provider(file)
    else:
        provider = Provider.objects.filter(slug=slug).first()
    if provider is None:
        raise CommandError("Say which provider it is: --provider SLUG.")
    return provider
