"""Organisations, their keys and their people."""
