"""`python -m benchmarks [--quick] [--out FILE]`"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks import hub, signatures
from benchmarks.rows import Row, keep, show

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure one thing after the other; show a table, keep JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half a minute: one short run each, good for a first look")
    parser.add_argument("--out", type=Path, help="where the JSON goes (default benchmarks/results/)")
    asked = parser.parse_args()
    console = Console(stderr=True, highlight=False)
    rows: list[Row] = []
    for measurement in programme(quick=asked.quick):
        doing = measurement.func.__name__.replace("_", " ")
        with console.status(f"measuring {doing} …"):
            rows += measurement()
    show(rows)
    path = asked.out or RESULTS / ("quick.json" if asked.quick else "latest.json")
    keep(rows, path)
    console.print(f"[dim]Kept in {path}[/]")


def programme(*, quick: bool) -> list[partial[Iterator[Row]]]:
    """What is measured, how often, and how large."""
    runs = 1 if quick else 5
    many: Callable[[int, int], int] = (lambda small, _: small) if quick else (lambda _, large: large)
    return [
        partial(signatures.signing, many(2_000, 20_000), runs),
        partial(signatures.stripe_verifying, many(1_000, 10_000), runs),
        partial(hub.doors, many(200, 2_000), runs),
        partial(hub.deliveries, many(80, 1_000), many(30, 200), 20, 1 if quick else 3),
        partial(hub.backlog, many(80, 1_000), 1 if quick else 3),
    ]


if __name__ == "__main__":
    main()
