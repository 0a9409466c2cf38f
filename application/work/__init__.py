"""Work records: create, change, remove; each tells the events that its kind declares."""
