"""Money in invented histories: payers, people, providers and crashes against the providers' sandboxes."""
