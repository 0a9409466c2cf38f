"""The delivery engine: takes lanes, carries what waits in them, records what came of it."""
