from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts.models import User
from llmproxy.models import Provider, UsageFold
from llmproxy.reconciliation import imports
from llmproxy.reconciliation.files import read_file
from llmproxy.usage import folding

NOON = datetime(2025, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def router() -> Provider:
    return Provider.objects.create(
        slug="router", name="Router", base_url="https://openrouter.ai/api/v1"
    )


@pytest.fixture
def boss(make_user: Any) -> User:
    user: User = make_user("boss@example.com", is_staff=True, is_superuser=True)
    return user


def load(text: str, provider: Provider, user: User) -> imports.Preview:
    """Upload a file, look at the preview and import it."""
    draft = imports.make_draft(
        read_file(text.encode()), provider=provider, file_name="activity.csv", user=user
    )
    digest = imports.preview(draft).digest
    return imports.import_draft(draft.pk, digest=digest, user=user)


def fold(monkeypatch: pytest.MonkeyPatch, *, until: datetime = NOON + timedelta(days=1)) -> None:
    """Fold all completions, as if it were a day later."""
    monkeypatch.setattr(folding, "_read_clock", lambda: until + folding.GRACE)
    UsageFold.objects.all().delete()
    while folding.fold():
        pass
