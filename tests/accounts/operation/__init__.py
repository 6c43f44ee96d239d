"""Settings at run time."""
