"""What the scheduler has done, each also by hand."""
