"""A provider that speaks as OpenAI and Anthropic do, and refuses what they refuse.

    .venv/bin/python -m tests.clients.mock --port 9000 [--records FILE]

It is the upstream of real clients. What it accepts is decided by the types that the official SDKs
publish; what it answers is parsed by the same SDKs in their strict mode. There is no model behind
it: `task.py` decides what the model says.
"""
