"""Compares the prices of models with the published ones, and takes the chosen ones over."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from django.db.transaction import atomic
from django.utils.translation import gettext as _

from llmproxy.metering.price_kinds import BY_NAME, TOKEN_KINDS
from llmproxy.models import Deployment, LanguageModel
from llmproxy.price_lists import published
from llmproxy.price_lists.provider_prices import CostChange, list_changes
from llmproxy.price_lists.published import GUESSED, Published

SMALLEST = Decimal("0.000001")
HIGHEST = Decimal("999999.999999")
Value = Decimal | int | None


class PricesChanged(Exception):
    """The prices of a model are not those that were compared. The message is the model's name."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What a US dollar is in credits, and the operator's margin in percent."""

    credits_per_usd: Decimal
    margin_percent: Decimal

    def convert(self, usd: Decimal) -> Decimal:
        """The price in credits, rounded up to six decimals."""
        credits = usd * self.credits_per_usd * (100 + self.margin_percent) / 100
        return credits.quantize(SMALLEST, rounding=ROUND_CEILING)

    def __str__(self) -> str:
        return f"{self.credits_per_usd} credits per USD and a margin of {self.margin_percent} %"


@dataclass(frozen=True, slots=True)
class Change:
    """A column of a model that would get another value; None is an empty one."""

    column: str
    label: Any
    old: Value
    new: Value


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would become of a model.

    `candidates` are the rows of the list that it can be, the likeliest first, and `chosen` is one
    of them, or None. `problem` says why nothing can be taken over, or why somebody has to choose;
    it is empty if the model is certain. `costs` are the deployments whose prices at the provider
    would change.
    """

    model: LanguageModel
    candidates: tuple[Published, ...]
    chosen: Published | None
    changes: tuple[Change, ...]
    problem: str
    costs: tuple[CostChange, ...] = ()

    @property
    def is_possible(self) -> bool:
        return self.chosen is not None and bool(self.changes or self.costs)

    @property
    def is_certain(self) -> bool:
        return self.is_possible and not self.problem

    @property
    def digest(self) -> str:
        """A checksum of all that the person saw: only that may be taken over."""
        shown = (
            self.chosen and self.chosen.source,
            [(c.column, c.old, c.new) for c in self.changes],
            [(c.deployment.pk, list(c.list_lines())) for c in self.costs],
        )
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:32]

    def apply(self) -> None:
        """Write the new prices. Completions that have begun keep theirs.

        Raises PricesChanged if one of the old values is no longer in the database.
        """
        columns = {change.column: change.new for change in self.changes}
        with atomic():
            row = LanguageModel.objects.select_for_update(no_key=True).get(pk=self.model.pk)
            if any(getattr(row, change.column) != change.old for change in self.changes):
                raise PricesChanged(self.model.name)
            if columns:
                LanguageModel.objects.filter(pk=row.pk).update(**columns)
            if not all(cost.apply() for cost in self.costs):
                raise PricesChanged(self.model.name)

    def describe(self, rate: Rate) -> str:
        """The change in the words of the administrators' log, which are not translated."""
        source = self.chosen.source if self.chosen else ""
        changes = "; ".join(
            f"{change.column} {_write(change.old)} → {_write(change.new)}"
            for change in self.changes
        )
        costs = "".join(f" {cost.describe()}." for cost in self.costs)
        changed = f"{rate}: {changes}." if changes else "the same in credits."
        return f"Prices from {published.get_version()} ({source}), {changed}{costs}"


def propose(
    models: Iterable[LanguageModel], rate: Rate, choices: Mapping[str, str] | None = None
) -> list[Proposal]:
    """A proposal for each model. `choices` has the source to take for models, by their names."""
    return [_propose_for(model, rate, (choices or {}).get(model.name)) for model in models]


def _propose_for(model: LanguageModel, rate: Rate, choice: str | None) -> Proposal:
    candidates = tuple(_list_candidates(model))
    if choice is not None:
        chosen = next((one for one in candidates if one.source == choice), None)
        problem = "" if chosen else _("The list has no such price for this model.")
    else:
        chosen, problem = _choose(candidates)
    if chosen is None:
        return Proposal(model, candidates, None, (), problem)
    columns = build_columns(chosen, rate)
    if any(isinstance(value, Decimal) and value > HIGHEST for value in columns.values()):
        too_high = _("A price would be too high to be stored.")
        return Proposal(model, candidates, None, (), too_high)
    if model.context_tokens is None:  # an operator's own number stays
        columns["context_tokens"] = chosen.context_tokens
    costs = tuple(list_changes(model, chosen))
    return Proposal(model, candidates, chosen, tuple(_compare(model, columns)), problem, costs)


def _choose(candidates: tuple[Published, ...]) -> tuple[Published | None, str]:
    """The row to propose, and why somebody has to confirm it."""
    if not candidates:
        return None, _("The list does not have this model.")
    possible = [one for one in candidates if "prompt" in one.prices]
    if not possible:
        return None, _("The list has no price by tokens for this model.")
    dearest = max(possible, key=lambda one: one.prices["prompt"] + one.prices.get("completion", 0))
    if any((one.prices, one.long) != (dearest.prices, dearest.long) for one in candidates):
        return dearest, _("Its providers have different prices. This is the dearest.")
    if dearest.certainty >= GUESSED:
        return dearest, _("Only the name of the model was recognised, not its provider.")
    if not any(dearest.prices.values()):
        return dearest, _("The list says that this model is free.")
    return dearest, ""


def _list_candidates(model: LanguageModel) -> Iterator[Published]:
    """The rows of the list for the providers of this model, each once."""
    seen: set[str] = set()
    for deployment in _list_deployments(model):
        provider = deployment.provider
        for found in published.list_published(
            name=deployment.upstream_name or model.name,
            url=provider.url,
            labels=(provider.slug, provider.name),
        ):
            if found.source not in seen:
                seen.add(found.source)
                yield found


def _list_deployments(model: LanguageModel) -> list[Deployment]:
    """Those that can be asked, or all if there are none."""
    every = list(model.deployments.all())
    return [row for row in every if row.is_active and row.provider.is_active] or every


def build_columns(chosen: Published, rate: Rate) -> dict[str, Value]:
    """The values of the columns of a model that the list knows something about.

    A price of tokens that the list does not have is emptied, except that of the answer: it is free.
    Prices of pages and the like stay, because they may be the operator's own.
    """
    prices = {"completion": Decimal(0), **chosen.prices}
    columns: dict[str, Value] = {"long_from_tokens": chosen.long_from}
    for kind in TOKEN_KINDS:
        columns[kind.column] = columns[kind.long_column] = None
        if kind.name in chosen.long:
            columns[kind.long_column] = rate.convert(chosen.long[kind.name])
    return columns | {BY_NAME[name].column: rate.convert(usd) for name, usd in prices.items()}


def _compare(model: LanguageModel, columns: Mapping[str, Value]) -> Iterator[Change]:
    for field in LanguageModel._meta.get_fields():
        if field.name in columns:
            old, new = getattr(model, field.name), columns[field.name]
            if old != new:
                yield Change(field.name, getattr(field, "verbose_name", field.name), old, new)


def _write(value: Value) -> str:
    return "–" if value is None else format(Decimal(value).normalize(), "f")
