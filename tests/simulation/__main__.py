"""`python -m tests.simulation --seed N --histories M`: play histories; the first that breaks a rule is named, exit code 1.

Sets of texts are walked in an order that differs from process to process; PYTHONHASHSEED=0 makes histories repeat.
"""

import argparse
import os
import sys
import time
from collections import Counter

import attrs

from tests.simulation.history import play


def main() -> None:
    """Play them."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=20_260_301, help="the first history's seed")
    parser.add_argument("--histories", type=int, default=1_000)
    asked = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]], repeatable())
    sums: Counter[str] = Counter()
    began = time.perf_counter()
    for seed in range(asked.seed, asked.seed + asked.histories):
        try:
            report = play(seed)
        except BaseException as failure:
            failure.add_note(f"history {seed}: python -m tests.simulation --seed {seed} --histories 1")
            raise
        sums.update({name: int(value) for name, value in attrs.asdict(report).items()})
    seconds = time.perf_counter() - began
    told = ", ".join(f"{count} {name}" for name, count in sums.items())
    print(f"{asked.histories} histories in {seconds:.1f} s ({asked.histories / seconds * 60:.0f} a minute): {told}")


def repeatable() -> dict[str, str]:
    """This environment, in which histories repeat."""
    return {**os.environ, "PYTHONHASHSEED": "0"}


if __name__ == "__main__":
    main()
