"""Work records: clients, deals, projects, meetings and the rest, all of one generic shape declared as data."""
