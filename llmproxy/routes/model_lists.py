"""The models of a caller, as OpenAI's clients read them and as Anthropic's do.

Anthropic's clients send `anthropic-version`. Sources: OpenAI API reference, "Models"; Anthropic API
reference, "List Models" and "Get a Model".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.toolbox import headers
from llmproxy.exceptions import InvalidRequest
from llmproxy.models import LanguageModel
from llmproxy.receipts import explain
from llmproxy.routes.base import Route
from llmproxy.routes.chat import CHAT
from llmproxy.routes.messages import MESSAGES

DEFAULT_LIMIT, MAX_LIMIT = 20, 1000
_VERSION = headers.wsgi_name("anthropic-version")
Query = Mapping[str, str]


class ModelList:
    """OpenAI's format: all models at once, with our prices. `route` writes the refusals."""

    route: Route = CHAT

    def render_list(self, rows: Sequence[LanguageModel], query: Query) -> dict[str, Any]:
        """Return the body of the list. Raises InvalidRequest for a parameter in `query`."""
        return {"object": "list", "data": [self.render_model(row) for row in rows]}

    def render_model(self, row: LanguageModel) -> dict[str, Any]:
        prices, deployments = row.prices, list(row.deployments.all())
        assert prices is not None  # a model without prices is not listed  # noqa: S101
        return {
            "id": row.name,
            "object": "model",
            "created": int(row.created_at.timestamp()),
            "owned_by": deployments[0].provider.slug,
            "max_output_tokens": row.output_limit,
            "context_length": row.context_tokens,
            "capabilities": {
                "images": row.sees_images,
                "audio": row.hears_audio,
                "tools": row.calls_tools,
            },
            **explain.describe_offer(prices),
        }


class AnthropicModelList(ModelList):
    """Anthropic's format: pages of at most `limit` models, after or before the model of an id."""

    route = MESSAGES

    def render_list(self, rows: Sequence[LanguageModel], query: Query) -> dict[str, Any]:
        page, has_more = _cut_page(rows, query)
        return {
            "data": [self.render_model(row) for row in page],
            "has_more": has_more,
            "first_id": page[0].name if page else None,
            "last_id": page[-1].name if page else None,
        }

    def render_model(self, row: LanguageModel) -> dict[str, Any]:
        return {
            "type": "model",
            "id": row.name,
            "display_name": row.name,
            "created_at": row.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "max_tokens": row.output_limit,
            "lifecycle": "active",
        }


OPENAI, ANTHROPIC = ModelList(), AnthropicModelList()


def choose_format(request: HttpRequest) -> ModelList:
    """Return the format for this client: Anthropic's if it sent `anthropic-version`."""
    return ANTHROPIC if _VERSION in request.META else OPENAI


def _cut_page(rows: Sequence[LanguageModel], query: Query) -> tuple[Sequence[LanguageModel], bool]:
    """Return the page that `query` asks for, and whether there are more rows in its direction."""
    limit, after, before = _read_limit(query), query.get("after_id"), query.get("before_id")
    if after and before:
        raise InvalidRequest(_("Send after_id or before_id, not both."), param="before_id")
    if before:
        end = _find(rows, "before_id", before)
        return rows[max(end - limit, 0) : end], end > limit
    start = _find(rows, "after_id", after) + 1 if after else 0
    return rows[start : start + limit], start + limit < len(rows)


def _read_limit(query: Query) -> int:
    text = query.get("limit") or str(DEFAULT_LIMIT)
    if text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise InvalidRequest(
        _("%(name)s must be a whole number from %(least)d to %(most)d.")
        % {"name": "limit", "least": 1, "most": MAX_LIMIT},
        param="limit",
    )


def _find(rows: Sequence[LanguageModel], name: str, model: str) -> int:
    position = next((i for i, row in enumerate(rows) if row.name == model), None)
    if position is None:
        raise InvalidRequest(
            _("%(name)s is not the id of a model that you can use.") % {"name": name}, param=name
        )
    return position
