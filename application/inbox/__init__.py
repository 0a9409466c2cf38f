"""Provider webhooks: taken in at the door, handled by a worker."""
