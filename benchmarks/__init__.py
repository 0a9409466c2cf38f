"""Measurements of what is slow or might become so: `make bench`, or `python -m benchmarks --quick`."""
