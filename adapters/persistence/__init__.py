"""Storage: SQLAlchemy Core tables, explicit rows, one unit of work (ADR 0004)."""
