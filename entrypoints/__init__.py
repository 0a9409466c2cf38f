"""Who asks: HTTP, the console, the scheduler, the worker, the command line."""
