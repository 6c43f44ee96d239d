"""The drill of the ledger: everything that can die is killed, on a scratch database (`manage.py ledger_drill`).

scratch   a PostgreSQL, a provider and workers of the drill's own
wire      a line to PostgreSQL that can break at a chosen moment
provider  an OpenAI-compatible provider that can be made to wait
signals   what stops it
caller    users, and what they are answered
faults    each fault, and what the user may be charged after it
database  waiting, locking, terminating at the drill's own connection
verdict   what must hold after a fault, and how it is told
races     many processes at once on a few accounts; racer is one of them, verbs is what it does
run       all of it in order
"""
