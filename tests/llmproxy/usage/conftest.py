import itertools
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from accounts.models import User
from llmproxy.models import Completion

_numbers = itertools.count()


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user()


def answer(user: User | None, at: datetime, **fields: Any) -> Completion:
    """Write a completion as if it had been settled at this time. It is not in the ledger."""
    return Completion.objects.create(
        **{
            "generation_id": f"gen_u{next(_numbers)}",
            "user": user,
            "credential": "key:1",
            "credential_name": "Laptop",
            "provider": "local",
            "model": "small",
            "trace_id": "t",
            "route": "/v1/chat/completions",
            "is_stream": False,
            "status": "completed",
            "usage_source": "exact",
            "prompt_tokens": 100,
            "cached_tokens": 0,
            "completion_tokens": 10,
            "prompt_price": 1,
            "completion_price": 1,
            "held": 5,
            "cost": 5,
            "charged": 5,
            "uncollected": 0,
            "total_ms": 1,
            "created_at": at,
            **fields,
        }
    )
