"""What a measurement is, and how it is shown and kept."""

import json
import os
import platform
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import attrs
from rich.console import Console
from rich.table import Table


@attrs.frozen
class Row:
    """One number: the median of the runs. range: the lowest and the highest of them.

    peer: what it is compared with; ratio: how many times the peer's number ours is. bar: what it is to reach, where that
    was decided, for the ratio if there is one and else for the value; bar_is: whether that is `at least` or `at most`.
    """

    name: str
    value: float
    unit: str
    peer: str | None = None
    ratio: float | None = None
    bar: float | None = None
    bar_is: str | None = None
    range: tuple[float, float] | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the bar is reached; None without a bar."""
        if self.bar is None:
            return None
        measured = self.value if self.ratio is None else self.ratio
        return measured >= self.bar if self.bar_is == "at least" else measured <= self.bar


def row(name: str, runs: Sequence[float], unit: str, **more: Any) -> Row:
    """A row of several runs."""
    return Row(name, tidy(median(runs)), unit, range=(tidy(min(runs)), tidy(max(runs))), **more)


def tidy(number: float) -> float:
    """Three digits that mean something."""
    return float(f"{number:.3g}") if abs(number) < 1000 else round(number)


def show(rows: Sequence[Row]) -> None:
    """A table for a person."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title, side in (("", "left"), ("median", "right"), ("range", "right"), ("unit", "left"), ("compared", "left")):
        table.add_column(title, justify="right" if side == "right" else "left", no_wrap=title != "compared")
    for each in rows:
        low, high = each.range or (each.value, each.value)
        compared = f"{each.ratio:g} × {each.peer}" if each.ratio is not None else ""
        if each.bar is not None:
            mark = "[green]✓[/]" if each.holds else "[red]✗[/]"
            compared = f"{compared} {mark} bar: {each.bar_is} {each.bar:g}".strip()
        table.add_row(each.name, f"{each.value:,g}", f"{low:,g}-{high:,g}", each.unit, compared)
    console = Console(highlight=False)
    Console(highlight=False, width=max(console.width, 150)).print(table)


def keep(rows: Sequence[Row], path: Path) -> None:
    """JSON for a machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "rows": [attrs.asdict(each) for each in rows],
    }
    path.write_text(json.dumps(kept, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """Where it was measured. Numbers of two machines are not to be compared."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**20, 1),
        "system": platform.system(),
        "load_before": [round(one, 2) for one in os.getloadavg()],
    }


def versions() -> dict[str, str]:
    """Of what matters for speed."""
    names = ("litestar", "uvicorn", "uvloop", "httptools", "sqlalchemy", "aiosqlite", "httpx", "httpcore", "msgspec")
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in names},
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
