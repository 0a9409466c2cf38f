"""How it is done: vendors, storage, transports."""
