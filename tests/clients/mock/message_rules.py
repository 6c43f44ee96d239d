from tests.clients.mock import models
from tests.clients.mock.refusals import refuse_anthropic

def caches(body):
    return "cache_control" in str(body)

def check(body, headers):
    if models.find(body.get("model"), "anthropic") is None:
        raise refuse_anthropic(f"model: {body.get('model')}", status=404, kind="not_found_error")
def check_count(body, headers): check(body, headers)
