"""Comparing 100,000 movements that a provider lists with as many payments: `python -m benchmarks.reconciliation [--quick]`.

One process fills a database, another compares: its time is from the first line asked for to the run being done, its memory
the most that the whole process ever had (ru_maxrss), with everything that is imported. The provider's list is made up as it
is read; of 1,000 movements one differs in its amount, one is missing here and one there.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import uvloop

from adapters.clock import RandomIds, SystemClock
from adapters.persistence import tables
from adapters.persistence.database import Database
from adapters.persistence.migrate import migrate
from adapters.persistence.rows import Mapper
from adapters.persistence.store import SqlStore
from adapters.queue.embedded import EmbeddedQueue
from application.billing.ask_provider import AskProvider
from application.billing.comparison import Comparison
from application.ports.payments import PaymentProvider, ProviderRefused
from application.ports.settlements import Movement, Settled
from benchmarks.rows import Row, keep, row, show
from domain.billing.payments import Fact, FactKind, Payment
from domain.billing.reconciliation import Reconciliation
from domain.ids import make_id
from domain.money import Currency, Money
from domain.organisations import Organisation

RESULTS = Path(__file__).parent / "results"
MOVEMENTS = 100_000
SECONDS, MEBIBYTES = 30, 300
"""The bars."""

USD = Currency("USD")
DAY = datetime(2026, 1, 2, tzinfo=UTC)
ORG = make_id("organisation", 1, bytes(10))
PROVIDER, CONNECTION = "made_up", "con_1"
_WRITTEN = 1_000


def main() -> int:
    """Measure, show, keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconciliation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10,000 movements, one run")
    parser.add_argument("--out", type=Path, help="where the JSON goes (default benchmarks/results/)")
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--compare", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=MOVEMENTS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.fill is not None:
        uvloop.run(_fill(asked.fill, asked.count))
        return 0
    if asked.compare is not None:
        print(json.dumps(uvloop.run(_compare(asked.compare, asked.count))))  # for the process above
        return 0
    count, runs = (10_000, 1) if asked.quick else (MOVEMENTS, 3)
    rows = list(_measured(count, runs))
    show(rows)
    keep(rows, asked.out or RESULTS / ("reconciliation-quick.json" if asked.quick else "reconciliation.json"))
    return int(not asked.quick and not all(each.holds is not False for each in rows))


def _measured(count: int, runs: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as folder:
        file = Path(folder) / "hub.db"
        _python("--fill", str(file), "--count", str(count))
        seen = [json.loads(_python("--compare", str(file), "--count", str(count))) for _ in range(runs)]
    expected = 3 * (count // 1000)
    if any((one["compared"], one["differences"]) != (count, expected) for one in seen):
        raise ValueError(f"{count} movements with {expected} differences were to be found: {seen}")
    bars: Mapping[str, Any] = {"bar_is": "at most"}
    yield row(f"reconciling {count:,} movements", [one["seconds"] for one in seen], "s", bar=SECONDS, **bars)
    yield row("  CPU", [one["cpu"] / count * 1e6 for one in seen], "µs each")
    yield row("  memory, at its most", [one["memory"] / 2**20 for one in seen], "MiB", bar=MEBIBYTES, **bars)
    yield row("  of that, before it began", [one["before"] / 2**20 for one in seen], "MiB")


def _python(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.reconciliation", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


async def _fill(file: Path, count: int) -> None:
    database = Database.at(f"sqlite:///{file}")
    await migrate(database)
    await _store(database).found(Organisation(ORG, "Bench", DAY))
    mapper: Mapper[Payment] = Mapper(Payment, tables.payments, reckoned=("state",))
    async with database.writing() as connection:
        for begun in range(0, count, _WRITTEN):
            numbers = range(begun, min(begun + _WRITTEN, count))
            rows = [mapper.to_row(_payment(number)) for number in numbers if number % 1000 != 1]
            await connection.execute(tables.payments.insert(), rows)
        await connection.commit()
    await database.close()


def _payment(number: int) -> Payment:
    at = DAY + timedelta(milliseconds=number * 800)
    id_, reference = make_id("payment", number, bytes(10)), f"pi_{number:024}"
    amount = 1_000 + number % 977
    facts = (Fact(FactKind.CAPTURED, reference, amount, at), Fact(FactKind.FEE, reference, 59, at))
    return Payment(id_, ORG, CONNECTION, PROVIDER, reference, Money(amount, USD), at, at, None, facts)


async def _listed(count: int) -> AsyncIterator[Settled]:
    """As a provider with pages of 100 would give it, newest first."""
    for number in reversed(range(count)):
        if number % 1000 == 2:
            continue  # missing there
        amount = 1_000 + number % 977 + (number % 1000 == 0)
        at = DAY + timedelta(milliseconds=number * 800)
        metadata = {"patchbay_organisation": ORG}
        reference = f"pi_{number:024}"
        yield Settled(Movement.PAYMENT, reference, Money(amount, USD), Money(59, USD), at, done=True, metadata=metadata)


class _KnowsNone:
    async def fetch_intent(self, access: Mapping[str, str], reference: str) -> None:
        raise ProviderRefused(f"There is no {reference}.", missing=True)


async def _compare(file: Path, count: int) -> dict[str, float]:
    database, ids, clock = Database.at(f"sqlite:///{file}"), RandomIds(), SystemClock()
    store = _store(database)
    now = clock.now()
    run = Reconciliation(
        ids.new("reconciliation"), ORG, CONNECTION, PROVIDER, DAY, DAY + timedelta(days=1), "bench", now, now
    )
    async with store.of(ORG) as work:
        await work.reconciliations.add(run)
        await work.commit()
    ask = AskProvider(cast("PaymentProvider", _KnowsNone()), {})
    comparison = Comparison(store, clock, ids, ask, frozenset({CONNECTION}), run)
    before, began, cpu = _memory(), time.perf_counter(), time.process_time()
    await comparison.compare(_listed(count))
    seconds = time.perf_counter() - began
    cpu = time.process_time() - cpu
    await database.close()
    return {
        "seconds": seconds,
        "cpu": cpu,
        "memory": _memory(),
        "before": before,
        "compared": comparison.tally.compared,
        "differences": comparison.run.differences,
    }


def _store(database: Database) -> SqlStore:
    return SqlStore(database, SystemClock(), EmbeddedQueue())


def _memory() -> int:
    """The most this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
