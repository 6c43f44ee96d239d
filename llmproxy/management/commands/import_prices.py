from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from llmproxy.models import LanguageModel
from llmproxy.price_lists import published
from llmproxy.price_lists.proposals import Change, PricesChanged, Proposal, Rate, propose


class Command(BaseCommand):
    help = (
        "Take over the published prices of models. Print what changes. A model whose price somebody"
        " has to choose is left as it is, unless --choose says which."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="change nothing")
        parser.add_argument(
            "--model", action="append", metavar="NAME", help="only this model; may be repeated"
        )
        parser.add_argument(
            "--choose",
            action="append",
            default=[],
            metavar="NAME=SOURCE",
            help="the row of the list for a model, such as gpt-4o=openai/gpt-4o; may be repeated",
        )
        parser.add_argument(
            "--credits-per-dollar",
            type=_parse_decimal,
            default=settings.CREDITS_PER_USD,
            metavar="CREDITS",
            help="instead of the setting CREDITS_PER_USD",
        )
        parser.add_argument(
            "--margin",
            type=_parse_decimal,
            default=settings.PRICE_MARGIN_PERCENT,
            metavar="PERCENT",
            help="instead of the setting PRICE_MARGIN_PERCENT",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        rate = _build_rate(options["credits_per_dollar"], options["margin"])
        choices = dict(_split_choice(text) for text in options["choose"])
        models = _find_models(options["model"], choices)
        proposals = propose(models, rate, choices)
        self.stdout.write(f"{published.get_version()}, {rate}")
        changed = [proposal for proposal in proposals if self._report(proposal)]
        if options["dry_run"]:
            self.stdout.write(f"{len(changed)} of {len(proposals)} models would be changed.")
            return
        try:
            for proposal in changed:
                proposal.apply()
        except PricesChanged as name:
            message = f"The prices of {name} were changed meanwhile. Run the command again."
            raise CommandError(message) from None
        self.stdout.write(f"{len(changed)} of {len(proposals)} models have been changed.")

    def _report(self, proposal: Proposal) -> bool:
        """Print what becomes of a model; return whether it is changed."""
        name, chosen = proposal.model.name, proposal.chosen
        if chosen is None or (proposal.is_possible and proposal.problem):
            self.stdout.write(f"{name}: left as it is. {proposal.problem}")
            for candidate in proposal.candidates:
                self.stdout.write(f"    --choose {name}={candidate.source}")
            return False
        if not proposal.is_possible:
            self.stdout.write(f"{name}: has these prices already ({chosen.source}).")
            return False
        self.stdout.write(" ".join([f"{name}: {chosen.source}.", *chosen.notes]))
        for change in proposal.changes:
            self.stdout.write(f"    {_describe(change)}")
        for cost in proposal.costs:
            self.stdout.write(f"    {cost.describe()}")
        return True


def _parse_decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error


def _build_rate(credits_per_usd: Decimal | None, margin: Decimal) -> Rate:
    if credits_per_usd is None:
        raise CommandError("Set CREDITS_PER_USD, or say --credits-per-dollar.")
    if not (credits_per_usd.is_finite() and credits_per_usd > 0):
        raise CommandError("--credits-per-dollar must be above 0.")
    if not (margin.is_finite() and margin > -100):
        raise CommandError("--margin must be above -100.")
    return Rate(credits_per_usd, margin)


def _split_choice(text: str) -> tuple[str, str]:
    name, sign, source = text.partition("=")
    if not (name and sign and source):
        raise CommandError(f"--choose {text}: write NAME=SOURCE.")
    return name, source


def _find_models(names: list[str] | None, choices: dict[str, str]) -> list[LanguageModel]:
    models = LanguageModel.objects.order_by("name").prefetch_related("deployments__provider")
    if names is not None:
        models = models.filter(name__in=names)
    found = list(models)
    missing = {*(names or ()), *choices} - {model.name for model in found}
    if missing:
        raise CommandError(f"There is no model {', '.join(sorted(missing))}.")
    return found


def _describe(change: Change) -> str:
    old, new = ("–" if value is None else f"{value:f}" for value in (change.old, change.new))
    return f"{change.column}: {old} → {new}"
