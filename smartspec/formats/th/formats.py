"""A time without its zone is one to guess at."""

DATETIME_FORMAT = "j M Y, H:i e"
