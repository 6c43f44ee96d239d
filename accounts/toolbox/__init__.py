"""What every application uses and no person is in: encryption, keyset pages, refusals, rates,
request sources.

It imports no other module of ours.
"""
