"""The full chain of packages under tests/ is deliberate: a partial one lets tests/unit/domain shadow domain."""
