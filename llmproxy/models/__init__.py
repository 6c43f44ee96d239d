from llmproxy.models.completions import Completion, IdempotencyKey, Rate
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
]
