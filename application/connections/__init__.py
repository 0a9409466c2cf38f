"""Connecting to providers."""
