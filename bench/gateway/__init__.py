"""The gateway beside its peers, on loopback, in one command (`make bench`, `python -m bench.gateway`).

targets   what is measured: the mock itself, our site, and the peers
packages  how the peers are installed on demand
peers     LiteLLM, Portkey and nginx
wrk       JSON completions by wrk, with another bearer token each time (tokens.lua)
runs      one run of each measurement
figures   rounds in turn, A B A B, and their medians
tables    what is printed, and kept in docs/benchmarks.md
"""
