"""Let everything go wrong while hundreds of users call (`python -m bench.chaos`).

stage            a small disk, and a clock that can be moved
load             the callers and the responses that they get
faults           what is drained, killed or moved, and how it comes back
database_faults  what happens to PostgreSQL besides its death
verdict          what must be true afterwards, as a table
"""
