from typing import Any
from tests.clients.mock import models
from tests.clients.mock.models import Model
from tests.clients.mock.refusals import refuse_openai

def check(body: dict[str, Any]) -> Model:
    model = models.find(body.get("model"), "openai")
    if model is None:
        raise refuse_openai(
            f"The model `{body.get('model')}` does not exist or you do not have access to it.",
            code="model_not_found", status=404,
        )
    return model
