"""`python -m benchmarks.delivery [--quick] [--only PART …]`: deliveries beside a usual sender's.

Turn by turn, peer and hub in the same run, so that a busy moment of the machine hits both alike. README.md says what the
numbers mean.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import attrs
import httpx
from rich.console import Console

from benchmarks import limits, scenes
from benchmarks.peers import servers
from benchmarks.peers.bullmq import BullMQ, install
from benchmarks.peers.hub import Patchbay
from benchmarks.peers.side import Missing, Side
from benchmarks.rows import Row, machine, row, show, tidy, versions
from benchmarks.scenes import Outcome
from benchmarks.sink.programs import Unfinished, language

RESULTS = Path(__file__).parent / "results"
PARTS = ("limits", "drain", "fan-out", "each", "batches", "latency", "backlog")

_ENDINGS = (Unfinished, TimeoutError, subprocess.SubprocessError, httpx.HTTPError)
"""How a part may come to no end: a side does not start, does not answer, or does not do what it should."""


@attrs.frozen
class Size:
    """How much of everything."""

    events: int
    fan_out: int
    batches: int
    seconds: int
    runs: int
    limit: int
    backlog: int


FULL = Size(events=20_000, fan_out=4_000, batches=40, seconds=20, runs=3, limit=20_000, backlog=1_000_000)
QUICK = Size(events=2_000, fan_out=400, batches=5, seconds=5, runs=1, limit=2_000, backlog=50_000)


def main() -> None:
    """Measure, show a table, keep JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short run each: a first look, no figure to quote")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--runs", type=int, help="how many turns (default 3; with --quick 1)")
    parser.add_argument("--together", action="store_true", help="the hub in one process: door and worker together")
    parser.add_argument("--peer-only", action="store_true", help="leave the hub out")
    parser.add_argument("--out", type=Path, help="where the JSON goes (default benchmarks/results/)")
    asked = parser.parse_args()
    console = Console(stderr=True, highlight=False)
    size = QUICK if asked.quick else FULL
    size = attrs.evolve(size, runs=asked.runs or size.runs)
    rows: list[Row] = []
    unfinished: dict[str, str] = {}
    started = machine()
    with ExitStack() as exits:
        peers, why = _peers(exits) if {"drain", "fan-out", "each"} & set(asked.only) else ([], "")
        if why:
            console.print(f"[yellow]Measured without the peer:[/] {why}")
        hub = None if asked.peer_only else Patchbay(not asked.together)
        for part in asked.only:
            console.print(f"[dim]measuring {part} …[/]")
            try:
                rows += _part(part, hub, peers, size)
            except _ENDINGS as error:  # what was measured before it is still worth having
                unfinished[part] = f"{type(error).__name__}: {error}"
                console.print(f"[red]{part}:[/] {error}")
        made_of = {name: version for peer in peers[:1] for name, version in peer.versions().items()}
    show(rows)
    path = asked.out or RESULTS / ("delivery-quick.json" if asked.quick else "delivery.json")
    _keep(rows, path, started, {**made_of, "sender and receiver": language()}, why, unfinished)
    console.print(f"[dim]Kept in {path}[/]")
    missed = any(each.holds is False for each in rows) and not asked.quick
    sys.exit(bool(missed or unfinished))


def _peers(exits: ExitStack) -> tuple[list[BullMQ], str]:
    """The peers that this machine can run, or why there are none."""
    try:
        installed = install()
        server = exits.enter_context(servers.postgres())
    except Missing as missing:
        return [], str(missing)
    kinds = (("PostgreSQL", "attempts"), ("PostgreSQL", "all"), ("SQLite", "attempts"))
    return [BullMQ(attempts, server, installed, kept) for attempts, kept in kinds], ""


def _part(part: str, hub: Patchbay | None, peers: Sequence[Side], size: Size) -> Iterator[Row]:
    if part == "limits":
        yield from limits.receiving(size.limit * 5, size.runs)
        yield from limits.signing(size.limit, size.runs)
        yield from limits.storing(size.limit // 20, size.runs)
    elif part == "drain":
        drain: Callable[[Side], Outcome] = lambda side: scenes.drain(side, size.events)  # noqa: E731
        yield from _beside("draining a backlog", drain, hub, peers, size.runs, bar=5)
    elif part == "fan-out":
        fan: Callable[[Side], Outcome] = lambda side: scenes.end_to_end(side, size.fan_out, endpoints=5)  # noqa: E731
        yield from _beside("one POST per event, fan-out to 5", fan, hub, peers, size.runs, bar=5)
    elif part == "each":
        each: Callable[[Side], Outcome] = lambda side: scenes.end_to_end(side, size.events)  # noqa: E731
        yield from _beside("one POST per event, end to end", each, hub, peers, size.runs, bar=2)
    elif part == "batches" and hub is not None:
        for endpoints in (0, 1):
            rates, cpu = zip(*(scenes.batches(hub, size.batches, endpoints) for _ in range(size.runs)), strict=True)
            name = f"events taken in by batches of 1,000, {endpoints or 'no'} endpoint subscribed"
            yield row(name, rates, "1/s", bar=20_000, bar_is="at least")
            yield row("  CPU of the hub", cpu, "ms each")
    elif part == "backlog" and hub is not None:
        counted = size.events
        small = scenes.under_a_backlog(hub, 2 * counted, counted)
        large = scenes.under_a_backlog(hub, size.backlog, counted)
        yield row(f"worker's CPU under a backlog of {2 * counted:,}", [small.cpu], "ms each")
        yield row(f"worker's CPU under a backlog of {size.backlog:,}", [large.cpu], "ms each")
        yield row("  times that of the small one", [large.cpu / small.cpu], "x", bar=1.2, bar_is="at most")
        yield row("  its most memory", [large.memory], "MiB", bar=400, bar_is="at most")
    elif part == "latency" and hub is not None:
        alone = Patchbay()  # one process, as it comes
        found = [scenes.latency(alone, scenes.PACE, size.seconds) for _ in range(size.runs)]
        for name, bar in (("p50", {}), ("p95", {"bar": 25, "bar_is": "at most"}), ("p99", {})):
            at = f"event to receiver at {scenes.PACE}/s, {name}"
            yield row(at, [waits[name] for waits in found], "ms", **bar)


def _beside(
    name: str, scene: Callable[[Side], Outcome], hub: Patchbay | None, peers: Sequence[Side], runs: int, bar: float
) -> Iterator[Row]:
    """The scene by each side, turn by turn. The bar is for the ratio to the first peer; there is none without it."""
    sides: list[Side] = [*peers, *([hub] if hub else [])]
    played: Mapping[str, list[Outcome]] = {side.name: [] for side in sides}
    for _ in range(runs):
        for side in sides:
            played[side.name].append(scene(side))
    for peer in peers:
        rates = [one.per_second for one in played[peer.name]]
        yield row(f"{name}: {peer.name}", rates, "1/s")
        yield row("  CPU of all its processes", [one.cpu for one in played[peer.name]], "ms each")
    if hub is None:
        return
    ours = played[hub.name]
    for peer in peers:
        ratio = tidy(median(a.per_second / b.per_second for a, b in zip(ours, played[peer.name], strict=True)))
        held = {"bar": bar, "bar_is": "at least"} if peer is peers[0] else {}
        yield row(f"{name}: {hub.name}", [one.per_second for one in ours], "1/s", peer=peer.name, ratio=ratio, **held)
    if not peers:
        yield row(f"{name}: {hub.name}", [one.per_second for one in ours], "1/s")
    yield row("  CPU of all its processes", [one.cpu for one in ours], "ms each")


def _keep(
    rows: Sequence[Row],
    path: Path,
    started: Mapping[str, object],
    made_of: Mapping[str, str],
    why: str,
    unfinished: Mapping[str, str],
) -> None:
    """As rows.keep does, with the peer's versions, why it was not run if so, and which parts came to no end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": started,
        "versions": {**versions(), **made_of},
        "peer_missing": why or None,
        "unfinished": unfinished,
        "rows": [attrs.asdict(each) for each in rows],
    }
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
