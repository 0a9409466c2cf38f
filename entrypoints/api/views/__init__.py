"""What the API shows: one frozen struct a thing. Never a secret, except the few that are shown once on purpose."""
