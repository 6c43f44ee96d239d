from typing import Any
from tests.clients.mock import models
from tests.clients.mock.models import Model
from tests.clients.mock.refusals import refuse_openai
SEAL = "gAAAAABmock"

def check(body: dict[str, Any]) -> Model:
    model = models.find(body.get("model"), "openai")
    if model is None:
        raise refuse_openai(
            f"The requested model '{body.get('model')}' does not exist.",
            code="model_not_found", status=400, param="model",
        )
    return model

def check_compaction(body): pass
def check_count(body): pass
