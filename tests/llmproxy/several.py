"""One model at several providers, each a scripted server on loopback."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from llmproxy.models import Completion, Deployment, LanguageModel, Provider
from tests.llmproxy import scripted_upstream
from tests.llmproxy.scripted_upstream import Script, Upstream

Add = Callable[..., Upstream]


class Several:
    """Providers of the model `bright`.

    They are asked in the order in which they were added, unless `order` says otherwise.
    """

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
    """The slug and the error of each provider that was asked for the only completion."""
    return [
        (attempt["provider"], attempt["error"]) for attempt in Completion.objects.get().attempts
    ]
