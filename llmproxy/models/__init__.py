from llmproxy.models.completions import Completion, IdempotencyKey, Rate, new_generation_id
from llmproxy.models.providers import (
    ENVIRONMENT,
    Deployment,
    Endpoint,
    LanguageModel,
    Problem,
    Provider,
)

__all__ = [
    "ENVIRONMENT",
    "Completion",
    "Deployment",
    "Endpoint",
    "IdempotencyKey",
    "LanguageModel",
    "Problem",
    "Provider",
    "Rate",
    "new_generation_id",
]
