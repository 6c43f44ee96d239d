"""The drill of the ledger (`manage.py ledger_drill`): kill processes, and prove the books right.

Everything happens in a scratch database.

scratch   the drill's own PostgreSQL, provider and workers
wire      a proxy to PostgreSQL whose connections break at a chosen moment
provider  an OpenAI-compatible provider that can be paused
signals   how signals stop the drill
caller    users who send requests, and the responses
faults    each fault, and what the user may be charged after it
database  waiting, locking and terminating through the drill's own connection
verdict   the checks after each fault, and the report
races     many processes on a few accounts; `racer` is one process, `verbs` its operations
run       all steps in order
"""
