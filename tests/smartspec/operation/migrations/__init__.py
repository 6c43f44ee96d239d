"""One slow migration, for tests/smartspec/operation/test_migrate.py."""
