"""Plans and subscriptions: those a provider renews, and those the hub renews in its stead."""
