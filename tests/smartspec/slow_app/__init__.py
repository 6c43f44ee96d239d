"""An application whose only migration is slow, for tests/smartspec/test_migrate.py."""
