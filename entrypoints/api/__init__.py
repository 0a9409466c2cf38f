"""The HTTP API: Litestar controllers that translate between the wire and the use cases, and nothing more."""
