"""The site with the mock as its providers, and one user with credits and an API key."""

import time
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
SETTLED_SECONDS = 20
PRICES = {
    "prompt": 1000,
    "cached_prompt": 100,
    "cache_write": 1250,
    "completion": 5000,
}  # per 1,000
ROUTES = {
    "openai": ["chat/completions", "completions", "embeddings", "responses"],
    "anthropic": ["messages"],
}


@dataclass
class Gateway:
    """The running site.

    `key` belongs to a user with credits, `poor_key` to one without. `records` has what the
    providers were asked.
    """

    url: str
    key: str
    poor_key: str
    serving: Serving

    @property
    def records(self) -> list[Record]:
        return self.serving.provider.records

    def wait_until_settled(self) -> None:
        """Wait until no hold is open: every completion has been charged or released."""
        from bench import books

        deadline = time.monotonic() + SETTLED_SECONDS
        while books.select_number(books.OPEN) and time.monotonic() < deadline:
            time.sleep(0.05)


@contextmanager
def run_gateway() -> Iterator[Gateway]:
    """Run PostgreSQL, the mock and gunicorn with two workers until the end of the block."""
    with ExitStack() as running:
        opened = running.enter_context(scratch.open_scratch())
        serving = running.enter_context(serve())
        isolated.make_tables(opened, serving.url)
        make_models(serving.url)
        key, poor_key = _make_keys()
        url = isolated.build_direct_url(opened)
        site = running.enter_context(isolated.run_gateway(opened, serving.url, url, [], workers=2))
        yield Gateway(site.site.address, key, poor_key, serving)


def make_models(url: str) -> None:
    """Sell each model of the mock at this URL; each maker is a provider."""
    from llmproxy.models import Deployment, LanguageModel, Provider

    prices = {f"{name}_price": Decimal(price) for name, price in PRICES.items()}
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


def _make_keys() -> tuple[str, str]:
    """Create a user with credits and without limits, and one without credits.

    Return their API keys.
    """
    from accounts.access import api_keys
    from accounts.models import Plan, User
    from accounts.toolbox.request_source import Source
    from bench import many_rows

    many_rows.make_users(1, CREDITS)
    Plan.objects.update(
        requests_per_minute=isolated.MANY, tokens_per_minute=isolated.MANY, max_concurrent=None
    )
    rich = User.objects.get(pk=1)
    poor = User.objects.create_user(email="poor@example.com", password=None)
    rich_key, poor_key = (
        api_keys.create(user=user, name="clients", source=Source()).plain for user in (rich, poor)
    )
    return rich_key, poor_key
