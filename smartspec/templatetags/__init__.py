"""Template filters of the documentation."""
