"""What the hub is compared with, and how both sides are put to the same work."""
