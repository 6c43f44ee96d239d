"""Compare the gateway with its peers on loopback (`make bench`, `python -m bench.gateway`).

targets   what is measured: the mock itself, our site, and the peers
packages  the installation of the peers on demand
peers     LiteLLM, Portkey and nginx
wrk       JSON completions by wrk, with a different bearer token each time (tokens.lua)
runs      one run of each measurement
figures   all measurements in rounds, the targets in turn, and their medians
tables    the tables that are printed, and kept in docs/benchmarks.md
"""
