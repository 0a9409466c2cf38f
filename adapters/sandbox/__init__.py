"""The outside world, emulated: what the vendors' sandboxes share, and the host application's own receiver."""
