"""What the routes accept: one table of parameters for each API dialect, and their common groups.

What becomes of tools, items and beta features is beside them. docs/parameters.md is written from
here by tools/parameters_page.py.
"""

from llmproxy.routes.parameters import Parameters, Treatment
from llmproxy.routes.tables import chat, embeddings, messages, responses, text

TABLES: dict[str, Parameters] = {
    "/v1/chat/completions": chat.PARAMETERS,
    "/v1/responses": responses.PARAMETERS,
    "/v1/messages": messages.PARAMETERS,
    "/v1/completions": text.PARAMETERS,
    "/v1/embeddings": embeddings.PARAMETERS,
}
NEVER_FORWARDED = frozenset(
    row.name
    for table in TABLES.values()
    for row in table.rows
    if row.treatment in (Treatment.DROPPED, Treatment.REFUSED)
)
