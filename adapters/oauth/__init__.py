"""OAuth 2.0, once for all providers; a provider adds addresses and data only."""
