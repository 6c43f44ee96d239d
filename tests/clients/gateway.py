"""The site with the mock as its providers, and one user with credits and an API key."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal

from bench import isolated
from smartspec.drill import scratch
from tests.clients.mock import models
from tests.clients.mock.provider import KEY, Record
from tests.clients.mock.server import Serving, serve

CREDITS = 1_000_000_000
PRICES = {"prompt": 1000, "cached": 100, "cache_write": 1250, "completion": 5000}  # per 1,000
ROUTES = {
    "openai": ["chat/completions", "completions", "embeddings", "responses"],
    "anthropic": ["messages"],
}


@dataclass
class Gateway:
    """The running site. `key` is the user's; `records` has what the providers were asked."""

    url: str
    key: str
    serving: Serving

    @property
    def records(self) -> list[Record]:
        return self.serving.provider.records


@contextmanager
def run_gateway() -> Iterator[Gateway]:
    """Run PostgreSQL, the mock and gunicorn with two workers until the end of the block."""
    with ExitStack() as running:
        opened = running.enter_context(scratch.open_scratch())
        serving = running.enter_context(serve())
        isolated.make_tables(opened, serving.url)
        _make_models(serving.url)
        key = _make_key()
        url = isolated.build_direct_url(opened)
        site = running.enter_context(
            isolated.run_gateway(opened, serving.url, url, [], workers=2)
        )
        yield Gateway(site.site.address, key, serving)


def _make_models(url: str) -> None:
    """Sell each model of the mock; each maker is a provider."""
    from llmproxy.metering.pricing import PRICE_KINDS
    from llmproxy.models import Deployment, LanguageModel, Provider

    prices = {
        kind.column: Decimal(PRICES[kind.name]) for kind in PRICE_KINDS if kind.name in PRICES
    }
    for maker, endpoints in ROUTES.items():
        provider = Provider(slug=maker, name=maker, base_url=url, endpoints=endpoints)
        provider.key_header = "bearer" if maker == "openai" else "x-api-key"
        provider.set_key(KEY)
        provider.save()
        for model in models.MODELS.values():
            if model.maker == maker:
                row = LanguageModel.objects.create(
                    name=model.name, max_output_tokens=model.output or None, **prices
                )
                Deployment.objects.create(model=row, provider=provider)


def _make_key() -> str:
    """Create a user with credits and without limits; return their API key."""
    from accounts.access import api_keys
    from accounts.models import Plan, User
    from accounts.toolbox.request_source import Source
    from bench import many_rows

    many_rows.make_users(1, CREDITS)
    Plan.objects.update(
        requests_per_minute=isolated.MANY, tokens_per_minute=isolated.MANY, max_concurrent=None
    )
    user = User.objects.get(pk=1)
    return api_keys.create(user=user, name="clients", source=Source()).plain
