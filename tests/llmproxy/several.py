"""A model at several providers, each of them scripted."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from llmproxy.models import Completion, Deployment, LanguageModel, Provider
from tests.llmproxy import scripted_upstream
from tests.llmproxy.scripted_upstream import Script, Upstream

Add = Callable[..., Upstream]


class Several:
    """`add` makes one more provider of the model `bright`: asked in the order of adding, unless it says otherwise."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.model = LanguageModel.objects.create(name="bright")

    def add(
        self,
        slug: str,
        script: Script | None = None,
        *,
        url: str = "",
        order: int | None = None,
        weight: int = 1,
        **row: Any,
    ) -> Upstream:
        upstream = self.stack.enter_context(scripted_upstream.serving())
        upstream.script = script or scripted_upstream.as_asked(slug)
        provider = Provider.objects.create(
            slug=slug, name=slug.title(), base_url=url or upstream.url, **row
        )
        place = self.model.deployments.count() if order is None else order
        Deployment.objects.create(
            model=self.model,
            provider=provider,
            upstream_name=f"{slug}-1",
            order=place,
            weight=weight,
        )
        return upstream

    def provider(self, slug: str) -> Provider:
        return Provider.objects.get(slug=slug)


def tried() -> list[tuple[str, str]]:
    """The providers that were asked for the only completion, with what failed there."""
    return [
        (attempt["provider"], attempt["error"]) for attempt in Completion.objects.get().attempts
    ]
