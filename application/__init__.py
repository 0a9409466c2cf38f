"""What can be done: one use case a file. Opens the unit of work, asks the domain, saves, tells."""
