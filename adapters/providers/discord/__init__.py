"""Discord: webhooks."""
