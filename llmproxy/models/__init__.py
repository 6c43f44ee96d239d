from llmproxy.models.completions import Completion, IdempotencyKey, Rate, new_generation_id
from llmproxy.models.providers import ENVIRONMENT, Deployment, Endpoint, LanguageModel, Provider

__all__ = [
    "ENVIRONMENT",
    "Completion",
    "Deployment",
    "Endpoint",
    "IdempotencyKey",
    "LanguageModel",
    "Provider",
    "Rate",
    "new_generation_id",
]
