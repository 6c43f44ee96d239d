"""One completion under way and its end: run, relay of the stream, callers who leave, settlement."""
