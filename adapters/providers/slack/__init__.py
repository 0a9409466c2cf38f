"""Slack: incoming webhooks."""
