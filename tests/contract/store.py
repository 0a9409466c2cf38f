"""What every store must do. A store's own test subclasses the parts and gives a `rig` fixture.

Here is what a unit of work promises; the inbox and the upkeep are in store_claims.py, what runs at once in
store_at_once.py. What waits in lanes is Dispatch's (dispatch.py).
"""

import asyncio
from datetime import date, timedelta
from typing import Any

import attrs
import pytest

from application.ports.store import AlreadyThere, Answer, Collection, Page, Slice, StaleWrite, Store, Work
from application.ports.work_queue import Topic
from domain.billing.invoices import InvoiceState
from domain.billing.payments import Fact, FactKind, PaymentState
from domain.inbox import InboxState
from domain.money import Currency
from domain.notifications.deliveries import DeliveryState, DestinationKind
from domain.notifications.replays import ReplayState
from domain.organisations import Organisation
from domain.refusals import Invalid, NotFound
from domain.work.kinds import kind_named
from tests.contract.examples import BARE, FULL, NOW, ODD, TEXT, Examples, full, optional
from tests.fakes.clock import FrozenClock
from tests.fakes.work_queue import RecordingQueue

ALL = sorted(BARE)
VERSIONED = sorted(set(ALL) - {"events", "deliveries", "ledger", "audit"})
LATER = NOW + timedelta(hours=1)


@attrs.define
class Rig:
    """A store under test. `other` is another process's store over the same data."""

    store: Store
    other: Store
    clock: FrozenClock
    queue: RecordingQueue
    make: Examples = attrs.field(factory=Examples)

    async def organisation(self) -> str:
        """A new organisation's id."""
        organisation = self.make.organisation()
        await self.store.found(organisation)
        return organisation.id

    async def add(self, org: str, name: str, *things: Any) -> None:
        """Add and commit."""
        async with self.store.of(org) as work:
            for thing in things:
                await shelf(work, name).add(thing)
            await work.commit()

    async def find(self, org: str, name: str, id: str) -> Any:
        """As anybody sees it."""
        async with self.other.reading(org) as work:
            return await shelf(work, name).find(id)


def shelf(work: Work, name: str) -> Collection[Any]:
    """A collection by its name."""
    found: Collection[Any] = getattr(work, name)
    return found


class UnitOfWorkContract:
    """Collections, their filters and pages, commit and rollback."""

    def test_the_full_examples_are_full(self) -> None:
        """A new optional field without an example would be kept untested."""
        for name in ALL:
            example = full(Examples(), name, "org_1")
            for field, default in optional(type(example)).items():
                assert getattr(example, field) != default, f"{name}: {field} is not set in the full example"

    @pytest.mark.parametrize("name", ALL)
    @pytest.mark.parametrize("filled", [False, True], ids=["bare", "full"])
    async def test_what_is_added_is_found_as_it_was(self, rig: Rig, name: str, filled: bool) -> None:
        """Every field of every kind survives the journey, set or not."""
        org = await rig.organisation()
        thing = full(rig.make, name, org) if filled else BARE[name](rig.make, org)
        async with rig.store.of(org) as work:
            await shelf(work, name).add(thing)
            assert await shelf(work, name).find(thing.id) == thing
            await work.commit()
            assert await shelf(work, name).get(thing.id) == thing
        async with rig.other.reading(org) as work:
            assert await shelf(work, name).get(thing.id) == thing
            assert await shelf(work, name).all() == (thing,)
            assert await shelf(work, name).page() == Page((thing,), None)

    @pytest.mark.parametrize("name", ALL)
    async def test_what_is_saved_takes_the_place_of_what_was(self, rig: Rig, name: str) -> None:
        """Set fields can be emptied again, too."""
        org = await rig.organisation()
        thing, changed = BARE[name](rig.make, org), full(rig.make, name, org)
        await rig.add(org, name, thing)
        for wanted in (changed, thing):
            values = attrs.evolve(wanted, id=thing.id, **({"version": thing.version} if name in VERSIONED else {}))
            async with rig.store.of(org) as work:
                saved = await shelf(work, name).save(values)
                await work.commit()
            expected = attrs.evolve(values, version=thing.version + 1) if name in VERSIONED else values
            assert saved == expected
            assert await rig.find(org, name, thing.id) == expected
            thing = saved

    @pytest.mark.parametrize("name", VERSIONED)
    async def test_a_stale_version_is_not_saved(self, rig: Rig, name: str) -> None:
        """Two who read the same cannot both have their way."""
        org = await rig.organisation()
        thing = BARE[name](rig.make, org)
        await rig.add(org, name, thing)
        async with rig.store.of(org) as work:
            newer = await shelf(work, name).save(thing)
            await work.commit()
        async with rig.store.of(org) as work:
            with pytest.raises(StaleWrite):
                await shelf(work, name).save(thing)
        assert await rig.find(org, name, thing.id) == newer

    @pytest.mark.parametrize("name", ALL)
    async def test_what_is_removed_is_gone(self, rig: Rig, name: str) -> None:
        """It is not found, cannot be saved, and removing it again is nothing."""
        org = await rig.organisation()
        thing, other = BARE[name](rig.make, org), BARE[name](rig.make, org)
        await rig.add(org, name, thing, other)
        for _ in range(2):
            async with rig.store.of(org) as work:
                await shelf(work, name).remove(thing.id)
                await work.commit()
        async with rig.store.of(org) as work:
            assert await shelf(work, name).find(thing.id) is None
            with pytest.raises(NotFound, match=thing.id):
                await shelf(work, name).get(thing.id)
            with pytest.raises(StaleWrite):
                await shelf(work, name).save(thing)
        async with rig.store.reading(org) as work:
            assert await shelf(work, name).all() == (other,)

    @pytest.mark.parametrize("name", ALL)
    async def test_an_organisation_sees_and_touches_nothing_of_another(self, rig: Rig, name: str) -> None:
        """Whatever is asked, in whatever way."""
        mine, theirs = await rig.organisation(), await rig.organisation()
        thing = BARE[name](rig.make, theirs)
        await rig.add(theirs, name, thing)
        async with rig.store.of(mine) as work:
            collection = shelf(work, name)
            assert await collection.find(thing.id) is None
            with pytest.raises(NotFound):
                await collection.get(thing.id)
            assert await collection.all() == ()
            assert await collection.all(id=(thing.id,)) == ()
            assert await collection.all(organisation_id=theirs) == ()
            assert (await collection.page(Slice(newest_first=False))).items == ()
            with pytest.raises(AssertionError):
                await collection.add(BARE[name](rig.make, theirs))
            with pytest.raises(AssertionError):
                await collection.save(thing)
            with pytest.raises(StaleWrite):
                await collection.save(attrs.evolve(thing, organisation_id=mine))
            with pytest.raises(AlreadyThere):
                await collection.add(attrs.evolve(thing, organisation_id=mine))
            await collection.remove(thing.id)
            await work.commit()
        assert await rig.find(theirs, name, thing.id) == thing

    async def test_an_organisation_is_its_own(self, rig: Rig) -> None:
        """Its row has no owner but itself."""
        mine, theirs = await rig.organisation(), await rig.organisation()
        async with rig.store.of(mine) as work:
            assert [one.id for one in await work.organisation.all()] == [mine]
            assert await work.organisation.find(theirs) is None
            renamed = attrs.evolve(await work.organisation.get(mine), name=TEXT, notices_to="a" * 307 + "@acme.example")
            assert await work.organisation.save(renamed) == renamed
            await work.commit()
        assert await rig.find(mine, "organisation", mine) == renamed

    @pytest.mark.parametrize("name", ALL)
    async def test_an_id_is_taken_once(self, rig: Rig, name: str) -> None:
        """Also within one unit of work, which goes on after the refusal."""
        org = await rig.organisation()
        thing, another = BARE[name](rig.make, org), BARE[name](rig.make, org)
        async with rig.store.of(org) as work:
            await shelf(work, name).add(thing)
            with pytest.raises(AlreadyThere):
                await shelf(work, name).add(attrs.evolve(another, id=thing.id))
            await shelf(work, name).add(another)
            await work.commit()
        async with rig.store.reading(org) as work:
            assert await shelf(work, name).all() == (thing, another)

    @pytest.mark.parametrize(
        ("name", "key"),
        [
            ("users", {"email": "a@acme.example"}),
            ("keys", {"hash": "0" * 64}),
            ("links", {"token": "token"}),
            ("inbox", {"connection_id": "con_9", "external_id": "evt_9"}),
        ],
    )
    async def test_a_unique_key_is_taken_once_over_all_organisations(
        self, rig: Rig, name: str, key: dict[str, str]
    ) -> None:
        """A provider's object is one, and a secret leads to one owner."""
        mine, theirs = await rig.organisation(), await rig.organisation()
        await rig.add(theirs, name, attrs.evolve(BARE[name](rig.make, theirs), **key))
        for org in (mine, theirs):
            async with rig.store.of(org) as work:
                with pytest.raises(AlreadyThere):
                    await shelf(work, name).add(attrs.evolve(BARE[name](rig.make, org), **key))
        other = {**key, next(reversed(key)): "b" * 64}
        await rig.add(mine, name, attrs.evolve(BARE[name](rig.make, mine), **other))

    async def test_invoice_numbers_are_each_organisations_own(self, rig: Rig) -> None:
        """Both have an INV-0001, and neither has two."""
        mine, theirs = await rig.organisation(), await rig.organisation()
        for org in (mine, theirs):
            await rig.add(org, "invoices", rig.make.invoice(org, number="INV-0001"))
            async with rig.store.of(org) as work:
                with pytest.raises(AlreadyThere):
                    await work.invoices.add(rig.make.invoice(org, number="INV-0001"))

    # Commit and rollback.

    async def test_what_is_not_committed_never_was(self, rig: Rig) -> None:
        """Adding, saving, removing, counting and answering, all in one."""
        org = await rig.organisation()
        kept, gone = rig.make.invoice(org), rig.make.invoice(org)
        await rig.add(org, "invoices", kept)
        async with rig.store.of(org) as work:
            await work.invoices.add(gone)
            await work.invoices.remove(kept.id)
            assert await work.invoices.all() == (gone,)
            assert await work.counters.next("invoice") == 1
            await work.answers.add(Answer("key", "hash", 200, b"", {}, NOW))
        async with rig.store.of(org) as work:
            assert await work.invoices.all() == (kept,)
            assert await work.counters.next("invoice") == 1
            assert await work.answers.find("key") is None

    async def test_an_error_undoes_everything(self, rig: Rig) -> None:
        """The error itself comes out."""
        org = await rig.organisation()

        async def fail() -> None:
            async with rig.store.of(org) as work:
                await work.invoices.add(rig.make.invoice(org))
                raise Invalid.field("x", "wrong")

        with pytest.raises(Invalid):
            await fail()
        async with rig.store.reading(org) as work:
            assert await work.invoices.all() == ()

    async def test_what_follows_a_commit_needs_another(self, rig: Rig) -> None:
        """A commit is not the end of the unit of work."""
        org = await rig.organisation()
        first, second, third = (rig.make.invoice(org) for _ in range(3))
        async with rig.store.of(org) as work:
            await work.invoices.add(first)
            await work.commit()
            await work.invoices.add(second)
            await work.commit()
            await work.invoices.add(third)
        async with rig.store.reading(org) as work:
            assert await work.invoices.all() == (first, second)

    async def test_others_see_nothing_before_the_commit(self, rig: Rig) -> None:
        """And everything after it."""
        org = await rig.organisation()
        invoice = rig.make.invoice(org)
        async with rig.store.of(org) as work:
            await work.invoices.add(invoice)
            assert await rig.find(org, "invoices", invoice.id) is None
            await work.commit()
            assert await rig.find(org, "invoices", invoice.id) == invoice

    async def test_reading_sees_one_moment(self, rig: Rig) -> None:
        """A list and its sum agree, whatever is committed between the two questions."""
        org = await rig.organisation()
        invoice = rig.make.invoice(org)
        async with rig.other.reading(org) as work:
            assert await work.invoices.all() == ()
            await rig.add(org, "invoices", invoice)
            assert await work.invoices.all() == ()
        assert await rig.find(org, "invoices", invoice.id) == invoice

    async def test_reading_does_not_wait_for_a_writer(self, rig: Rig) -> None:
        """A page of the console opens while something long is written."""
        org = await rig.organisation()
        async with rig.store.of(org) as work, asyncio.timeout(5):
            await work.invoices.add(rig.make.invoice(org))
            async with rig.store.reading(org) as reading, rig.other.reading(org) as elsewhere:
                assert await reading.invoices.all() == await elsewhere.invoices.all() == ()
            assert await rig.store.marked("x") is None

    async def test_what_only_reads_cannot_commit(self, rig: Rig) -> None:
        """A use case that opened the wrong one would lose its work silently."""
        org = await rig.organisation()
        async with rig.store.reading(org) as work:
            with pytest.raises(AssertionError):
                await work.commit()

    # Lists.

    @pytest.mark.parametrize("newest_first", [True, False])
    @pytest.mark.parametrize("limit", [1, 4, 12, 13, 200])
    async def test_pages_lead_to_the_end(self, rig: Rig, newest_first: bool, limit: int) -> None:
        """Everything once, in order, in both directions; the last page says so."""
        org = await rig.organisation()
        events = [rig.make.event(org) for _ in range(12)]
        await rig.add(org, "events", *events)
        seen: list[Any] = []
        after, pages = None, 0
        async with rig.store.reading(org) as work:
            while pages == 0 or after is not None:
                page = await work.events.page(Slice(limit, after, newest_first))
                assert len(page.items) <= limit
                seen.extend(page.items)
                after, pages = page.next, pages + 1
        assert seen == (events[::-1] if newest_first else events)
        assert pages == -(-12 // limit)

    async def test_what_is_new_does_not_shift_a_page(self, rig: Rig) -> None:
        """A reader who pages backwards through time sees nothing twice."""
        org = await rig.organisation()
        events = [rig.make.event(org) for _ in range(4)]
        await rig.add(org, "events", *events)
        async with rig.store.reading(org) as work:
            first = await work.events.page(Slice(2))
        await rig.add(org, "events", rig.make.event(org))
        async with rig.store.of(org) as work:
            await work.events.remove(events[2].id)  # even the one the first page ended with
            await work.commit()
        async with rig.store.reading(org) as work:
            second = await work.events.page(Slice(2, first.next))
        assert (*first.items, *second.items) == tuple(events[::-1])

    @pytest.mark.parametrize("limit", [0, 201, -1])
    def test_a_page_has_its_bounds(self, limit: int) -> None:
        """Nobody reads a whole table at once."""
        with pytest.raises(Invalid, match="limit"):
            Slice(limit)

    async def test_lists_are_filtered_by_any_field(self, rig: Rig) -> None:
        """By a value or several, by an enum or its text, by being empty, by a day, a currency, a flag."""
        org = await rig.organisation()
        make = rig.make
        draft = make.invoice(org)
        due = make.invoice(org, state=InvoiceState.OPEN, due_on=date(2026, 5, 1), sent_at=ODD)
        yen = full(make, "invoices", org)
        await rig.add(org, "invoices", draft, due, yen)
        on, off = make.notification(org), make.notification(org, is_active=False)
        await rig.add(org, "notifications", on, off)
        async with rig.store.reading(org) as work:
            find = work.invoices.all
            assert await find(state=InvoiceState.OPEN) == await find(state="open") == (due,)
            assert await find(state=(InvoiceState.DRAFT, "open")) == (draft, due)
            assert await find(state=frozenset({InvoiceState.DRAFT})) == (draft,)
            assert await find(state=()) == await find(state="nonsense") == ()
            assert await find(due_on=date(2026, 5, 1)) == (due,)
            assert await find(due_on=None) == (draft,)
            assert await find(due_on=(None, date(2026, 5, 1))) == (draft, due)
            assert await find(sent_at=None) == (draft,)
            assert await find(sent_at=ODD) == (due, yen)
            assert await find(currency=Currency("JPY")) == await find(currency="JPY") == (yen,)
            assert await find(paid=0, state=InvoiceState.OPEN) == (due,)
            assert await find(id=tuple(str(n) for n in range(5000))) == ()
            assert await work.notifications.all(is_active=True) == (on,)
            assert await work.notifications.all(is_active=False) == (off,)
            assert await work.notifications.all(reason=None, name="Sales") == (on, off)
            page = await work.invoices.page(Slice(1, newest_first=False), state=("draft", "open"))
            assert page == Page((draft,), draft.id)
            rest = await work.invoices.page(Slice(1, page.next, newest_first=False), state=("draft", "open"))
            assert rest == Page((due,), None)

    async def test_payments_are_filtered_by_what_their_facts_add_up_to(self, rig: Rig) -> None:
        """Which follows each change: a state that was kept beside the facts and lagged would hide money."""
        org = await rig.organisation()
        came, waits = rig.make.payment(org), rig.make.payment(org)
        await rig.add(org, "payments", came, waits)
        async with rig.store.of(org) as work:
            learned, _ = came.learn(Fact(FactKind.CAPTURED, "ch_1", 100, NOW), now=NOW)
            learned = await work.payments.save(learned)
            await work.commit()
        async with rig.store.of(org) as work:
            assert await work.payments.all(state=PaymentState.PENDING) == (waits,)
            assert await work.payments.all(state=("succeeded", PaymentState.REFUNDED)) == (learned,)
            refunded, _ = learned.learn(Fact(FactKind.REFUNDED, "re_1", 100, NOW), now=NOW)
            refunded = await work.payments.save(refunded)
            assert await work.payments.all(state=PaymentState.SUCCEEDED) == ()
            assert (await work.payments.page(state="refunded")).items == (refunded,)

    async def test_records_are_listed_by_kind(self, rig: Rig) -> None:
        """By the kind itself or its name."""
        org = await rig.organisation()
        client, tag = rig.make.record(org), rig.make.record(org, "tag", name="vip")
        await rig.add(org, "records", client, tag)
        async with rig.store.reading(org) as work:
            assert await work.records.all(kind=kind_named("tag")) == await work.records.all(kind="tag") == (tag,)
            assert len(await work.records.all()) == 2

    async def test_records_are_found_by_their_fields(self, rig: Rig) -> None:
        """By texts of their own, also inside a field, page by page, never another organisation's."""
        org, other = await rig.organisation(), await rig.organisation()
        kind = kind_named("client")
        acme = [attrs.evolve(rig.make.record(org), fields={"name": TEXT, "at": {"city": "Köln"}}) for _ in range(3)]
        rest = attrs.evolve(rig.make.record(org), fields={"name": "Beta", "at": {"city": "Köln"}, "tags": ["Köln"]})
        await rig.add(org, "records", *acme, rest, rig.make.record(org, "tag", name=TEXT[:10]))
        await rig.add(other, "records", attrs.evolve(rig.make.record(other), fields={"name": TEXT}))
        async with rig.store.reading(org) as work:

            async def find(**fields: str) -> tuple[Any, ...]:
                paths = {name.replace("__", "."): text for name, text in fields.items()}
                return (await work.records.matching(kind, Slice(newest_first=False), paths)).items

            assert await find() == (*acme, rest)
            assert await find(name=TEXT) == tuple(acme)
            assert await find(name="Beta", at__city="Köln") == (rest,)
            assert await find(at__city="Köln") == (*acme, rest)
            assert await find(at="Köln") == await find(tags="Köln") == await find(name__city="Köln") == ()
            assert await find(unheard="of") == ()
            first = await work.records.matching(kind, Slice(2), {"name": TEXT})
            assert first == Page((acme[2], acme[1]), acme[1].id)
            assert await work.records.matching(kind, Slice(2, first.next), {"name": TEXT}) == Page((acme[0],), None)

    # Counters and answers.

    async def test_counters_count_from_one(self, rig: Rig) -> None:
        """Each by its name, each organisation for itself."""
        mine, theirs = await rig.organisation(), await rig.organisation()
        async with rig.store.of(mine) as work:
            assert [await work.counters.next("invoice") for _ in range(3)] == [1, 2, 3]
            assert await work.counters.next("quote") == 1
            await work.commit()
        async with rig.store.of(theirs) as work:
            assert await work.counters.next("invoice") == 1
        async with rig.other.of(mine) as work:
            assert await work.counters.next("invoice") == 4

    async def test_an_answer_is_kept_for_its_key(self, rig: Rig) -> None:
        """Word for word; another organisation's same key is another call."""
        mine, theirs = await rig.organisation(), await rig.organisation()
        answer = Answer("k" * 255, "h" * 64, 201, bytes(range(256)), {"etag": '"1"'}, ODD)
        async with rig.store.of(mine) as work:
            await work.answers.add(answer)
            with pytest.raises(AlreadyThere):
                await work.answers.add(attrs.evolve(answer, request_hash="other"))
            await work.commit()
        async with rig.store.of(theirs) as work:
            assert await work.answers.find(answer.key) is None
            await work.answers.add(attrs.evolve(answer, status=500))
            await work.commit()
        async with rig.other.reading(mine) as work:
            assert await work.answers.find(answer.key) == answer
            assert await work.answers.find("another") is None

    async def test_a_later_answer_replaces_what_is_answered(self, rig: Rig) -> None:
        """The request it answers stays the same, and so does its age."""
        org = await rig.organisation()
        answer = Answer("key", "hash", 202, b"requested", {}, NOW)
        later = Answer("key", "hash", 201, b"done", {"a": "b"}, LATER)
        async with rig.store.of(org) as work:
            await work.answers.replace(later)
            assert await work.answers.find("key") is None
            await work.answers.add(answer)
            await work.answers.replace(later)
            await work.commit()
        async with rig.store.reading(org) as work:
            assert await work.answers.find("key") == attrs.evolve(later, created_at=NOW)

    # Deliveries and attempts.

    async def test_many_deliveries_are_added_at_once(self, rig: Rig) -> None:
        """Full and bare ones together; none is fine too."""
        org, other = await rig.organisation(), await rig.organisation()
        many = (*(rig.make.delivery(org) for _ in range(50)), full(rig.make, "deliveries", org))
        async with rig.store.of(org) as work:
            await work.deliveries.add_all([])
            await work.deliveries.add_all(many)
            with pytest.raises(AssertionError):
                await work.deliveries.add_all([rig.make.delivery(other)])
            await work.commit()
        async with rig.store.reading(org) as work:
            assert await work.deliveries.all() == many

    async def test_deliveries_are_counted_by_state(self, rig: Rig) -> None:
        """Every state is named, also those without any."""
        org, other = await rig.organisation(), await rig.organisation()
        pending = [rig.make.delivery(org), rig.make.delivery(org, destination="wh_2")]
        done = [rig.make.delivery(org, state=DeliveryState.DELIVERED, finished_at=NOW) for _ in range(3)]
        await rig.add(org, "deliveries", *pending, *done)
        async with rig.store.reading(org) as work:
            all_, one = await work.deliveries.counts(), await work.deliveries.counts("wh_1")
        none = dict.fromkeys((state.value for state in DeliveryState), 0)
        assert all_ == {**none, "pending": 2, "delivered": 3}
        assert one == {**none, "pending": 1, "delivered": 3}
        async with rig.store.reading(other) as work:
            assert set((await work.deliveries.counts()).values()) == {0}

    async def test_what_waits_for_a_removed_destination_is_cancelled(self, rig: Rig) -> None:
        """Also what waits to be fetched. Nothing else is: not another's, not what is finished, not another organisation's."""
        org, other = await rig.organisation(), await rig.organisation()
        states = (DeliveryState.PENDING, DeliveryState.WAITING)
        waiting = [rig.make.delivery(org, attempts=n, state=state) for n, state in enumerate(states)]
        rest = [rig.make.delivery(org, destination="wh_2"), full(rig.make, "deliveries", org)]
        theirs = rig.make.delivery(other)
        await rig.add(org, "deliveries", *waiting, *rest)
        await rig.add(other, "deliveries", theirs)
        async with rig.store.of(org) as work:
            assert await work.deliveries.cancel_pending("wh_1", TEXT, ODD) == 2
            assert await work.deliveries.cancel_pending("wh_1", TEXT, ODD) == 0
            assert await work.deliveries.cancel_pending("wh_9", TEXT, ODD) == 0
            await work.commit()
        async with rig.store.reading(org) as work:
            assert await work.deliveries.all() == (*(one.cancel(TEXT, ODD) for one in waiting), *rest)
        assert await rig.find(other, "deliveries", theirs.id) == theirs

    async def test_attempts_are_told_in_order(self, rig: Rig) -> None:
        """With everything that came of them, and only to their organisation."""
        org, other = await rig.organisation(), await rig.organisation()
        delivery = rig.make.delivery(org)
        second = rig.make.attempt(delivery, rig.make.full_outcome(), 2)
        first, elsewhere = rig.make.attempt(delivery), rig.make.attempt(rig.make.delivery(org))
        async with rig.store.of(org) as work:
            for attempt in (second, first, elsewhere):
                await work.attempts.add(attempt)
            with pytest.raises(AssertionError):
                await work.attempts.add(rig.make.attempt(rig.make.delivery(other)))
            await work.commit()
        async with rig.other.reading(org) as work:
            assert await work.attempts.of(delivery.id) == (first, second)
            assert await work.attempts.of("dlv_none") == ()
        async with rig.other.reading(other) as work:
            assert await work.attempts.of(delivery.id) == ()

    # Announcements.

    async def test_new_work_is_announced_when_it_is_committed(self, rig: Rig) -> None:
        """A worker starts at once; before the commit there is nothing for it to find."""
        org = await rig.organisation()
        async with rig.store.of(org) as work:
            await work.deliveries.add(rig.make.delivery(org))
            assert rig.queue.announced == []
            await work.commit()
        assert rig.queue.announced == [Topic.DELIVERIES]
        async with rig.store.of(org) as work:
            await work.deliveries.add_all([rig.make.delivery(org)])
            await work.inbox.add(rig.make.received(org))
            await work.commit()
        assert sorted(topic.value for topic in rig.queue.announced[1:]) == ["deliveries", "inbox"]

    async def test_new_deliveries_are_announced_with_their_destinations(self, rig: Rig) -> None:
        """A worker that holds the lane need not look at any other."""
        org = await rig.organisation()
        done = rig.make.delivery(org, destination="wh_3", state=DeliveryState.FAILED, finished_at=NOW)
        await rig.add(org, "deliveries", rig.make.delivery(org), rig.make.delivery(org, destination="wh_2"))
        assert rig.queue.lanes == [{"wh_1", "wh_2"}]
        async with rig.store.of(org) as work:
            await work.deliveries.add_all([rig.make.delivery(org, destination="wh_4"), done])
            await work.commit()
        async with rig.store.of(org) as work:
            await work.deliveries.save(attrs.evolve(done, state=DeliveryState.PENDING, finished_at=None))
            await work.commit()
        assert [set(lanes) for lanes in rig.queue.lanes[1:]] == [{"wh_3", "wh_4"}, {"wh_3"}]

    async def test_a_changed_endpoint_is_announced(self, rig: Rig) -> None:
        """Who delivers there reads its settings anew; a new one has nobody yet."""
        org = await rig.organisation()
        endpoint, other = rig.make.endpoint(org), rig.make.endpoint(org)
        await rig.add(org, "endpoints", endpoint, other)
        assert rig.queue.announced == []
        async with rig.store.of(org) as work:
            await work.endpoints.save(endpoint.pause(NOW))
            await work.endpoints.remove(other.id)
            await work.deliveries.stir("wh_9")
            assert rig.queue.announced == []
            await work.commit()
        assert rig.queue.announced == [Topic.SETTINGS]
        assert rig.queue.lanes == [{endpoint.id, other.id, "wh_9"}]

    async def test_nothing_new_is_not_announced(self, rig: Rig) -> None:
        """No worker wakes for an empty commit, an empty list, or what was undone."""
        org = await rig.organisation()
        async with rig.store.of(org) as work:
            await work.invoices.add(rig.make.invoice(org))
            await work.deliveries.add_all([])
            await work.commit()
        async with rig.store.of(org) as work:
            await work.deliveries.add(rig.make.delivery(org))
            await work.inbox.add(rig.make.received(org))
        assert rig.queue.announced == []

    async def test_a_webhook_that_waits_again_is_announced(self, rig: Rig) -> None:
        """A person who has it handled again need not wait for a poll."""
        org = await rig.organisation()
        received = rig.make.received(org, state=InboxState.FAILED)
        await rig.add(org, "inbox", received)
        rig.queue.announced.clear()
        async with rig.store.of(org) as work:
            received = await work.inbox.save(attrs.evolve(received, state=InboxState.PENDING))
            await work.commit()
        assert rig.queue.announced == [Topic.INBOX]
        async with rig.store.of(org) as work:
            await work.inbox.save(received.handled(NOW))
            await work.commit()
        assert rig.queue.announced == [Topic.INBOX]

    # Over all organisations.

    async def test_an_organisation_is_founded_with_its_owner_or_not_at_all(self, rig: Rig) -> None:
        """An organisation nobody can sign in to would stay for ever."""
        first, second, third = (rig.make.organisation() for _ in range(3))
        owner = rig.make.user(first.id, email="ada@acme.example")
        await rig.store.found(first, owner)
        with pytest.raises(AlreadyThere):
            await rig.store.found(second, rig.make.user(second.id, email=owner.email))
        with pytest.raises(AlreadyThere):
            await rig.store.found(attrs.evolve(first, name="Other"))
        await rig.store.found(third)
        assert await rig.other.organisations() == (first, third)
        assert await rig.find(first.id, "users", owner.id) == owner

    async def test_secrets_lead_to_their_owners(self, rig: Rig) -> None:
        """A key, an address, a token, whoever they belong to."""
        org, other = await rig.organisation(), await rig.organisation()
        key, user, link = full(rig.make, "keys", org), rig.make.user(other), full(rig.make, "links", org)
        await rig.add(org, "keys", key, rig.make.key(org))
        await rig.add(other, "users", user)
        await rig.add(org, "links", link, rig.make.link(org))
        assert await rig.other.key_by_hash(key.hash) == key
        assert await rig.other.user_by_email(f" {user.email.upper()} ") == user
        assert await rig.other.link_by_token(link.token) == link
        assert await rig.store.key_by_hash("x") is None
        assert await rig.store.user_by_email("x") is None
        assert await rig.store.link_by_token("x") is None

    async def test_keys_that_sign_are_shown_to_everybody(self, rig: Rig) -> None:
        """Of every organisation; one that was replaced until its end, and no longer."""
        org, other = await rig.organisation(), await rig.organisation()
        ending = rig.make.signing_key(org, expires_at=NOW + timedelta(microseconds=1))
        ended, theirs = rig.make.signing_key(org, expires_at=NOW), rig.make.signing_key(other)
        await rig.add(org, "signing_keys", ending, ended)
        await rig.add(other, "signing_keys", theirs)
        assert await rig.other.live_signing_keys(NOW) == (ending, theirs)
        assert await rig.other.live_signing_keys(NOW + timedelta(microseconds=1)) == (theirs,)

    async def test_replays_that_are_under_way_are_known(self, rig: Rig) -> None:
        """Of every organisation, oldest first: whoever starts goes on with them."""
        org, other = await rig.organisation(), await rig.organisation()
        first, second = rig.make.replay(org), rig.make.replay(other)
        done = rig.make.replay(org, state=ReplayState.DONE)
        await rig.add(other, "replays", second)
        await rig.add(org, "replays", done, first, rig.make.replay(org).cancel(NOW))
        assert await rig.other.running_replays() == (first, second)

    async def test_a_provider_has_connections_of_every_organisation(self, rig: Rig) -> None:
        """Its webhook does not say whose it is."""
        org, other = await rig.organisation(), await rig.organisation()
        mine, theirs, mail = full(rig.make, "connections", org), rig.make.connection(other), rig.make.connection(org)
        await rig.add(org, "connections", mine, attrs.evolve(mail, provider="post"))
        await rig.add(other, "connections", theirs)
        assert await rig.other.connections_of("fake") == (mine, theirs)
        assert await rig.other.connections_of("none") == ()

    async def test_a_session_lasts_until_it_is_ended(self, rig: Rig) -> None:
        """Ending it twice is ending it."""
        session = rig.make.session("org_1", expires_at=ODD)
        await rig.store.add_session(session)
        assert await rig.other.find_session(session.id) == session
        await rig.store.remove_session(session.id)
        await rig.store.remove_session(session.id)
        assert await rig.other.find_session(session.id) is None

    async def test_all_sessions_of_a_person_end_together(self, rig: Rig) -> None:
        """Those of others last."""
        mine = [rig.make.session("org_1", user_id="usr_1") for _ in range(2)]
        other = rig.make.session("org_1", user_id="usr_2")
        for session in (*mine, other):
            await rig.store.add_session(session)
        await rig.store.remove_sessions_of("usr_1")
        await rig.store.remove_sessions_of("usr_none")
        assert [await rig.other.find_session(session.id) for session in mine] == [None, None]
        assert await rig.other.find_session(other.id) == other

    async def test_a_mark_is_made_once(self, rig: Rig) -> None:
        """Several first starts at once seal one canary, and all see the same."""
        made = await asyncio.gather(
            *(store.mark_once("canary", f"{n} {TEXT}") for n, store in enumerate((rig.store, rig.other) * 3))
        )
        assert set(made) == {await rig.other.marked("canary")}
        await rig.store.mark("other", "one")
        assert await rig.other.mark_once("other", "two") == "one"
        assert await rig.store.marked("other") == "one"

    async def test_a_mark_is_kept_and_written_over(self, rig: Rig) -> None:
        """The vault's canary outlives the process."""
        assert await rig.store.marked("canary") is None
        await rig.store.mark("canary", "one")
        await rig.store.mark("other", "x")
        await rig.store.mark("canary", TEXT)
        assert await rig.other.marked("canary") == TEXT

    async def test_a_store_that_is_there_answers(self, rig: Rig) -> None:
        """The readiness check asks this."""
        await rig.store.ping()

    async def test_a_delivery_keeps_what_kind_of_destination_it_has(self, rig: Rig) -> None:
        """Enums come back as enums, not as their texts."""
        org = await rig.organisation()
        for kind in DestinationKind:
            delivery = rig.make.delivery(org, kind=kind)
            await rig.add(org, "deliveries", delivery)
            found = await rig.find(org, "deliveries", delivery.id)
            assert found.kind is kind

    async def test_texts_that_lead_nowhere_find_nothing(self, rig: Rig) -> None:
        """What comes in a URL may be anything, and never breaks the database."""
        org = await rig.organisation()
        async with rig.store.reading(org) as work:
            for odd in ("", "\0", "\ud800", "a" * 10_000, "' OR 1=1 --", TEXT):
                assert await work.invoices.find(odd) is None
                assert (await work.invoices.page(Slice(after=odd), memo=odd)).items == ()
                assert await rig.store.link_by_token(odd) is None
                assert await rig.store.key_by_hash(odd) is None
                assert await work.answers.find(odd) is None

    async def test_organisations_are_listed_oldest_first(self, rig: Rig) -> None:
        """The jobs go through them in a stable order."""
        made: list[Organisation] = [rig.make.organisation() for _ in range(3)]
        for one in reversed(made):
            await rig.store.found(one)
        assert await rig.store.organisations() == tuple(made)


assert set(FULL) == set(BARE)
