"""Acts of administrators, of all applications."""
