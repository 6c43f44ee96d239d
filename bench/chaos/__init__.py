"""Kill all kinds of processes while hundreds of users call (`python -m bench.chaos`).

load     the callers and the responses that they get
faults   what is killed, and how it comes back
verdict  what must be true afterwards, as a table
"""
