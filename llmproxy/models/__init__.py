from llmproxy.models.choices import Endpoint, Problem
from llmproxy.models.completions import Completion, IdempotencyKey, Rate
from llmproxy.models.providers import ENVIRONMENT, Deployment, LanguageModel, Provider

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
