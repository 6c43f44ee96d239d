"""Tools that every application uses: encryption, digests, keyset pages, refusals, rate limits,
request sources, OpenAPI helpers.

Nothing here knows a user, and no module here imports from outside the toolbox.
"""
