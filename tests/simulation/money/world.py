"""A hub over one provider's sandbox, what may happen to it, and what must be true of the money all the while and in the end.

The use cases, the adapter and the sandbox are the real ones. What is played are the wire between them (wire.py), the moment
at which the process dies (fuse.py), time, and everybody who acts: payers, people at the console, banks and webhooks.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs

from adapters.persistence.database import Database
from adapters.persistence.inbox import SqlWebhookInbox
from adapters.persistence.store import SqlStore
from application.billing.charge import MethodToCharge
from application.billing.check_books import CheckBooks
from application.billing.resolve import Resolution
from application.ports.inbox import WebhookInbox
from application.ports.leases import Held, Leases
from application.ports.payments import (
    BadSignature,
    EventList,
    ProviderRefused,
    ReconnectNeeded,
    RetryLater,
    WebhookEvidence,
)
from application.ports.settlements import Movement
from application.ports.store import Store
from domain.billing.invoices import Invoice
from domain.billing.ledger import balance_at
from domain.billing.payments import Payment, PaymentState, RefundState
from domain.billing.reconciliation import Difference, Fix, RunState
from domain.inbox import InboxState
from domain.money import Money
from domain.refusals import Refusal
from tests.fakes.work_queue import RecordingQueue
from tests.simulation.loop import VirtualLoop
from tests.simulation.money.fake_shop import FakeShop
from tests.simulation.money.flutterwave_shop import FlutterwaveShop
from tests.simulation.money.fuse import Fuse, Killed, MortalInbox, MortalLeases, MortalStore
from tests.simulation.money.paypal_shop import PayPalShop
from tests.simulation.money.shops import NotNow, Shop, Taken, nth
from tests.simulation.money.stripe_shop import StripeShop
from tests.simulation.money.truths import Broken, Seen, never_back_more, paid_once, taken, told_once
from tests.simulation.money.wire import Wire
from tests.unit.application.bench import Bench

SHOPS: dict[str, type[Any]] = {
    "fake": FakeShop,
    "stripe": StripeShop,
    "paypal": PayPalShop,
    "flutterwave": FlutterwaveShop,
}

NO = (Refusal, RetryLater, ProviderRefused, ReconnectNeeded, Held, NotNow)
"""What may be answered to anybody at any time; everything else is a mistake of the hub's."""

RESTART = timedelta(minutes=3)
"""How long a hub that died is away: longer than any lease."""

_JOBS = ("unknown_payments", "resume_refunds", "poll_pages", "sweep", "expire_links", "mark_overdue")

PATIENCE = (
    *(timedelta(minutes=6),) * 2,
    *(timedelta(hours=1),) * 2,
    *(timedelta(days=1),) * 4,
)
"""In how many steps the healed world comes to rest: the janitor asks after five minutes, an hour, and then daily."""


class World:
    """One organisation at one provider. database: a migrated SQLite file; without one, everything is in memory."""

    def __init__(self, slug: str, seed: int, database: Path | None = None) -> None:
        self.loop = asyncio.new_event_loop() if database else VirtualLoop()
        self.fuse = Fuse()
        self.wire = Wire(self.fuse, random.Random(seed), tick_s=0.0002 if database else 0.002)
        self._database = Database.at(f"sqlite:///{database}") if database else None
        self._delivered: set[bytes] = set()
        self._lost: set[bytes] = set()
        self.told: Counter[str] = Counter()
        """What was done, for the statistics of many histories."""
        self.do(self._begin(slug))

    async def _begin(self, slug: str) -> None:
        self.bench = Bench(around=self._around)
        self.shop: Shop = SHOPS[slug](self.bench.clock, self.wire)
        self._began = self.bench.clock.now()
        await self.bench.prepare()
        self.bench.providers.put_in(self.shop.provider, self.shop.manifest)
        secrets = {**self.shop.access, "webhook_secret": self.shop.secret}
        connection = await self.bench.connect(self.bench.org, provider=slug, secrets=secrets)
        account = await self.shop.provider.account(self.shop.access)
        self.connection = attrs.evolve(connection, account_reference=account.reference)
        async with self.bench.store.of(self.bench.org) as work:
            await work.connections.save(self.connection)
            gone = await work.connections.get(self.bench.connection.id)
            await work.connections.save(gone.disconnected(self.bench.clock.now()))
            await work.commit()
        self.bench.clock.advance(timedelta(minutes=10))
        await self.bench.sweep()  # it has been running for a while

    def _around(self, store: Store, leases: Leases, inbox: WebhookInbox) -> tuple[Any, Any, Any]:
        if self._database is not None:
            queue = RecordingQueue()
            store = SqlStore(self._database, store._clock, queue)  # type: ignore[attr-defined]
            inbox = SqlWebhookInbox(self._database, queue)
        fuse = self.fuse
        self._leases = MortalLeases(leases, fuse)
        return MortalStore(store, fuse), self._leases, MortalInbox(inbox, fuse)

    def close(self) -> None:
        """Let go."""

        async def go() -> None:
            await self._leases.forget()
            await self.shop.close()
            if self._database is not None:
                await self._database.close()

        self.fuse.arm(None)
        self.do(go())
        self._end_tasks()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    # How something is done.

    def do(self, what: Awaitable[Any], *, dies_after: int | None = None) -> Any:
        """Do it in a process that may die on the way, and is then started anew. None for a refusal, or a death."""
        self.fuse.arm(dies_after)
        try:
            return self.loop.run_until_complete(_refused(what))
        except BaseException as error:
            if not _is_death(error):
                raise
            self.told["deaths"] += 1
            self._end_tasks()
            self.bench.clock.advance(RESTART)
            return None
        finally:
            self.fuse.arm(None)

    def _end_tasks(self) -> None:
        left = [one for one in asyncio.all_tasks(self.loop) if "_sweep" not in repr(one.get_coro())]
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left))

    # What people do.

    async def invoice(self, major: int, code: str) -> Invoice:
        """Opened, with its link."""
        bench, money = self.bench, Money.of(str(major), code)
        made: Invoice = bench.make.invoice(bench.org)
        line = attrs.evolve(made.lines[0], unit_price=money, quantity=1, tax=None, discount=None)
        client = attrs.evolve(made.client, email="pat@example.com")
        opened = attrs.evolve(made, client=client, currency=money.currency, lines=(line,)).open(bench.clock.now())
        async with bench.store.of(bench.org) as work:
            await work.invoices.add(opened)
            await bench.books.invoice_opened(work, opened)
            await work.commit()
        self.told["invoices"] += 1
        await bench.link(bench.caller, invoice_id=opened.id, provider=self.connection.id)
        return opened

    async def invoices(self) -> tuple[Invoice, ...]:
        """All, oldest first."""
        async with self.bench.store.reading(self.bench.org) as work:
            return tuple(sorted(await work.invoices.all(), key=lambda one: one.id))

    async def payments(self) -> tuple[Payment, ...]:
        """All, oldest first."""
        async with self.bench.store.reading(self.bench.org) as work:
            return tuple(sorted(await work.payments.all(), key=lambda one: one.id))

    async def follow(self, which: int) -> None:
        """Somebody clicks on a link."""
        invoice = nth(list(await self.invoices()), which)
        link = (await self.bench.link(self.bench.caller, invoice_id=invoice.id, provider=self.connection.id)).link
        await self.bench.follow(link.token)

    async def pages(self) -> list[Any]:
        """Those that the provider knows, oldest first."""
        async with self.bench.store.reading(self.bench.org) as work:
            found = [one for one in await work.checkouts.all() if one.reference is not None]
        return sorted(found, key=lambda one: one.id)

    async def pay(self, which: int, how: str) -> None:
        """A payer pays a page of any age, as it asks or otherwise."""
        page = nth(await self.pages(), which)
        money: Money = page.amount
        if how == "not":
            return
        if self.shop.takes_any_amount and how == "over":
            money += Money.of("5", money.currency)
        elif self.shop.takes_any_amount and how == "under":
            money = Money.of(str(max(int(float(money.decimal)) // 2, 1)), money.currency)
        elif self.shop.takes_any_amount and how == "other":
            money = Money.of("40", next(one for one in self.shop.currencies if one != money.currency.code))
        self.shop.pay(page.reference, money)
        self.told["paid"] += 1

    async def decline(self, which: int) -> None:
        """A payer tries in vain."""
        self.shop.decline(nth(await self.pages(), which).reference)

    async def back(self, which: int) -> None:
        """A payer is back from a page."""
        page = nth(await self.pages(), which)
        async with self.bench.store.reading(self.bench.org) as work:
            link = await work.links.get(page.link_id)
        await self.bench.return_from(link.token)

    async def refund(self, which: int, parts: Sequence[int]) -> None:
        """People refund a payment at the same moment, each so many hundredths of it."""
        payment = nth([one for one in await self.payments() if one.captured], which)
        unit = 10**payment.currency.exponent
        amounts = [max(payment.captured.amount // unit * part // 100, 1) for part in parts]
        self.told["refunds"] += len(parts)
        await self._together(
            [self.bench.refund(self.bench.caller, payment.id, amount=str(amount)) for amount in amounts]
        )

    async def resolve(self, which: int, how: Resolution) -> None:
        """A person settles a conflict."""
        found = [one for one in await self.payments() if one.state is PaymentState.CONFLICTED]
        payment = nth(found, which)
        other = None
        if how is Resolution.MOVE:
            other = nth(list(await self.invoices()), which).id
        self.told["resolved"] += 1
        await self.bench.resolve(self.bench.caller, payment.id, how, invoice_id=other)

    async def give_up(self, which: int, how: str) -> None:
        """An invoice is made void, or written off."""
        invoice = nth(list(await self.invoices()), which)
        act = self.bench.void_invoice if how == "void" else self.bench.write_off
        await act(self.bench.caller, invoice.id)

    async def charge(self, which: int) -> None:
        """The hub charges a client who is away."""
        invoice = nth(list(await self.invoices()), which)
        reference, customer = self.shop.method(invoice.client.id)
        self.told["charges"] += 1
        await self.bench.charge(
            self.bench.org,
            invoice_id=invoice.id,
            connection_id=self.connection.id,
            method=MethodToCharge(reference, customer, "pat@example.com", "visa 4242"),
        )

    # What providers and time do.

    async def deliver(self, which: int, copies: int, *, again: bool = False, back: int | None = None) -> None:
        """Webhooks come: one that has not come yet, or one `again`, so many times at once, perhaps as a payer is back."""
        new = [one for one in self.shop.bodies() if again or one not in self._delivered | self._lost]
        body = nth(new, which)
        self.told["webhooks"] += copies
        returning = [] if back is None or not await self.pages() else [self.back(back)]
        await self._together([*returning, *(self._receive(body) for _ in range(copies)), self.bench.handle()])
        self._delivered.add(body)

    async def _receive(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.shop.sign(body, self.bench.clock.now()).items()}
        if isinstance(self.shop.provider, WebhookEvidence):
            await self.shop.provider.gather_evidence(headers)
        with suppress(BadSignature):
            await self.bench.receive(self.shop.provider.slug, headers, body, connection_id=self.connection.id)

    def lose(self, which: int) -> None:
        """One never comes."""
        with suppress(NotNow):
            self._lost.add(nth([one for one in self.shop.bodies() if one not in self._delivered], which))

    async def work_off(self) -> None:
        """Handle what has come in and is due."""
        for _ in range(50):
            if not await self.bench.handle():
                return

    async def jobs(self) -> None:
        """The scheduler's round."""
        for name in _JOBS:
            with suppress(*NO):
                await getattr(self.bench, name)()

    async def _together(self, what: Sequence[Awaitable[Any]]) -> None:
        for answer in await asyncio.gather(*(_refused(one) for one in what), return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer

    def rest(self) -> None:
        """From now on all is well: everything arrives but what is lost, and every job runs until nothing is left."""
        self.wire.armed.clear()
        for step in PATIENCE:
            for body in self.shop.bodies():
                if body not in self._delivered | self._lost:
                    self._delivered.add(body)
                    self.do(self._receive(body))
            self.do(self.work_off())
            self.do(self.jobs())
            self.do(self.work_off())
            self.bench.clock.advance(step)

    # What must be true.

    async def look(self) -> "Seen":
        """The books as they are."""
        async with self.bench.store.reading(self.bench.org) as work:
            return Seen(
                await work.invoices.all(),
                await work.payments.all(),
                await work.refunds.all(),
                await work.ledger.balances(),
                await work.events.all(),
                await work.inbox.all(),
                await CheckBooks(self.bench.store)(self.bench.org),
            )

    def check(self) -> None:
        """All the while. Raises Broken."""
        seen, truth = self.do(self.look()), self.shop.truth()
        if seen.wrong:
            raise Broken("the books do not agree: " + "; ".join(seen.wrong))
        never_back_more(truth)
        for payment in seen.payments:
            there = truth.get(payment.reference)
            if payment.captured and there is None:
                raise Broken(f"{payment.id} is recorded as taken, and {payment.reference} took nothing")
            if there is not None and payment.captured.amount not in (0, there.captured):
                raise Broken(f"{payment.id} is recorded with {payment.captured}; {there.captured} were taken")
            if payment.captured < payment.refunded:
                raise Broken(f"{payment.refunded} of {payment.captured} went back ({payment.id})")
        self._check_asked(truth)
        paid_once(seen)
        told_once(seen)

    def _check_asked(self, truth: dict[str, Taken]) -> None:
        """Nobody asks for more than is left. What a payer's bank has taken may be asked for, until the hub hears of it."""
        refused, self.wire.refused = self.wire.refused, []
        for one in refused:
            if any(reference in one and not there.disputed for reference, there in truth.items()):
                raise Broken(f"the provider was asked to send back what was not there: {one}")

    def check_end(self) -> None:
        """When everything is at rest. Raises Broken."""
        self.check()
        seen, truth = self.do(self.look()), self.shop.truth()
        ours = {one.reference: one for one in seen.payments if one.captured}
        for reference, there in truth.items():
            if reference not in ours:
                raise Broken(f"{there} was taken as {reference}, and the hub does not know")
            if taken(ours[reference]) != there:
                raise Broken(f"{reference}: the provider has {there}, the hub {taken(ours[reference])}")
        self._check_ledger(seen, truth)
        waiting = [one for one in seen.payments if one.waits_for_answer or one.state is PaymentState.UNKNOWN]
        if waiting:
            raise Broken(f"charges without an answer: {[one.id for one in waiting]}")
        hanging = [one.id for one in seen.refunds if one.waiting]
        if hanging:
            raise Broken(f"refunds without an answer: {hanging}")
        failed = [(one.type, one.error) for one in seen.inbox if one.state in (InboxState.FAILED, InboxState.PENDING)]
        if failed:
            raise Broken(f"webhooks that could not be handled: {failed}")
        self._check_refunds(seen)

    def _check_ledger(self, seen: "Seen", truth: dict[str, Taken]) -> None:
        held: Counter[tuple[str, str]] = Counter()
        account = balance_at(self.shop.provider.slug)
        for there in truth.values():
            held[account, there.currency] += there.captured - there.refunded - there.fee - there.disputed
        for balance in seen.balances:
            if balance.account == account:
                held[account, balance.amount.currency.code] -= balance.amount.amount
        apart = {key: sum_ for key, sum_ in held.items() if sum_}
        if apart:
            raise Broken(f"the provider holds so much more than the ledger: {apart}")

    def _check_refunds(self, seen: "Seen") -> None:
        """What the hub says it sent back is what went back: each of its refunds is one of the provider's."""
        for payment in seen.payments:
            mine = [one for one in seen.refunds if one.payment_id == payment.id]
            done = sum(one.amount.amount for one in mine if one.state is RefundState.SUCCEEDED)
            if done != payment.refunded.amount:
                raise Broken(f"{payment.id}: refunds of {done} succeeded, {payment.refunded} went back")

    def wait(self, minutes: int) -> None:
        """Time passes."""
        self.bench.clock.advance(timedelta(minutes=minutes))

    def make_up(self) -> None:
        """Where a provider lists no events, a refund that came back and whose webhook was lost is found by the nightly
        reconciliation, and a person clicks it right. Raises Broken when there is anything else to click."""
        if isinstance(self.shop.provider, EventList):
            return
        for one in self.reconcile():
            if not self._lost or one.movement != Movement.REFUND.value:
                raise Broken(f"a difference that no lost webhook explains: {one}")
            self.do(self.bench.fix_difference(self.bench.caller, one.run_id, one.id, Fix.SETTLED))

    def check_reconciled(self) -> None:
        """A reconciliation of the whole history finds nothing. Raises Broken."""
        if left := [attrs.asdict(one) for one in self.reconcile()]:
            told = ("kind", "movement", "reference", "ours", "theirs")
            raise Broken(f"differences: {[[one[name] for name in told] for one in left]}")

    def reconcile(self) -> tuple[Difference, ...]:
        """What a reconciliation of everything finds. Raises Broken when it cannot be made."""

        async def compare() -> tuple[Difference, ...]:
            bench, now = self.bench, self.bench.clock.now()
            run = await bench.start_reconciliation(
                bench.caller, self.connection.id, since=self._began, until=now - timedelta(hours=4)
            )
            await bench.reconcile()
            async with bench.store.reading(bench.org) as work:
                ended = await work.reconciliations.get(run.id)
                if ended.state is not RunState.DONE:
                    raise Broken(f"the reconciliation {ended.state.value}: {ended.error}")
                return await work.differences.all(run_id=run.id)

        return tuple(self.do(compare()))


async def _refused(what: Awaitable[Any]) -> Any:
    try:
        return await what
    except NO:
        return None


def _is_death(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_is_death(one) for one in error.exceptions)
    return isinstance(error, Killed)
