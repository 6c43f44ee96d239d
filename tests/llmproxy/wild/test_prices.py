"""The prices of this folder's examples, and its fixtures."""

import pytest

from accounts.models import User
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Upstream
from tests.llmproxy.wild.conftest import BODIES, Ask, read_all, settled

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("path", BODIES)
def test_twenty_tokens_and_five_cost_45(
    path: str, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = scripted_routes.ANSWERS.get(path, script.answer)()
    read_all(ask(path))
    row = settled(payer)
    assert (row.charged, row.usage_source) == (20 if "embeddings" in path else 45, "exact")
