"""Telling: publishing events, delivering them, sending them again."""
