"""What can be connected, and what is."""
