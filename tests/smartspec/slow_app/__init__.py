"""An application whose only migration is slow, for tests/smartspec/operation/test_migrate.py."""
