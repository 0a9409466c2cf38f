"""What a unit of work for many things at once must do: the same as any other, only with fewer questions."""

from datetime import timedelta
from random import Random

import attrs
import pytest

from application.ports.store import AlreadyThere, StaleWrite, Work
from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.payments import Payment
from tests.contract.store import LATER, Rig


async def paid(rig: Rig, org: str, number: int) -> tuple[Invoice, Payment]:
    """An invoice with a payment, kept."""
    invoice = rig.make.invoice(org)
    payment = attrs.evolve(rig.make.payment(org), invoice_id=invoice.id, reference=f"pi_{number}")
    await rig.add(org, "invoices", invoice)
    await rig.add(org, "payments", payment)
    return invoice, payment


class TogetherContract:
    """A subclass has a fixture `rig`."""

    async def test_what_was_expected_is_answered(self, rig: Rig) -> None:
        """By id, by another column, and that there is nothing."""
        org = await rig.organisation()
        (invoice, payment), _ = await paid(rig, org, 1), await paid(rig, org, 2)
        async with rig.store.together(org) as work:
            await work.invoices.expect(id=[invoice.id, "inv_none"])
            await work.payments.expect(invoice_id=[invoice.id, "inv_none"], reference=["pi_1", "pi_3"])
            assert await work.invoices.get(invoice.id) == invoice
            assert await work.invoices.find("inv_none") is None
            assert await work.invoices.find("") is None
            assert await work.payments.all(invoice_id=invoice.id) == (payment,)
            assert await work.payments.all(invoice_id="inv_none") == ()
            assert await work.payments.all(provider=payment.provider, reference="pi_1") == (payment,)
            assert await work.payments.all(provider="another", reference="pi_1") == ()

    async def test_what_is_written_is_seen_at_once_and_kept_by_the_commit(self, rig: Rig) -> None:
        """Two payments of one invoice in one unit of work: the second must see what the first did."""
        org = await rig.organisation()
        invoice, payment = await paid(rig, org, 1)
        second = attrs.evolve(rig.make.payment(org), invoice_id=invoice.id, reference="pi_2")
        async with rig.store.together(org) as work:
            await work.invoices.expect(id=[invoice.id])
            await work.payments.expect(invoice_id=[invoice.id])
            once = await work.invoices.save(attrs.evolve(invoice, state=InvoiceState.OPEN))
            assert (await work.invoices.get(invoice.id)).state is InvoiceState.OPEN
            twice = await work.invoices.save(attrs.evolve(once, state=InvoiceState.PAID, updated_at=LATER))
            assert twice.version == invoice.version + 2
            await work.payments.add(second)
            moved = await work.payments.save(attrs.evolve(second, updated_at=LATER))
            assert await work.payments.all(invoice_id=invoice.id) == (payment, moved)
            # What nobody foresaw is asked, and sees it too.
            assert await work.payments.all(created_at=second.created_at, reference="pi_2") == (moved,)
            assert await rig.find(org, "payments", second.id) is None
            await work.commit()
        assert await rig.find(org, "invoices", invoice.id) == twice
        assert await rig.find(org, "payments", second.id) == moved

    async def test_a_change_takes_a_thing_from_one_answer_to_another(self, rig: Rig) -> None:
        """Links that were active are no more, payments may come to belong to another invoice."""
        org = await rig.organisation()
        invoice, payment = await paid(rig, org, 1)
        other, _ = await paid(rig, org, 2)
        async with rig.store.together(org) as work:
            await work.payments.expect(invoice_id=[invoice.id, other.id])
            await work.payments.save(attrs.evolve(payment, invoice_id=other.id))
            assert await work.payments.all(invoice_id=invoice.id) == ()
            assert len(await work.payments.all(invoice_id=other.id)) == 2

    async def test_what_is_not_committed_never_was_together(self, rig: Rig) -> None:
        """As everywhere."""
        org = await rig.organisation()
        invoice, _ = await paid(rig, org, 1)
        async with rig.store.together(org) as work:
            await work.invoices.save(attrs.evolve(invoice, state=InvoiceState.PAID))
            await work.events.all(type="none.such")
        assert await rig.find(org, "invoices", invoice.id) == invoice

    async def test_a_stale_thing_undoes_all(self, rig: Rig) -> None:
        """Someone else was quicker: whoever comes second decides anew about everything."""
        org = await rig.organisation()
        invoice, _ = await paid(rig, org, 1)
        async with rig.other.of(org) as work:
            await work.invoices.save(attrs.evolve(invoice, state=InvoiceState.OPEN))
            await work.commit()

        async def late() -> None:
            async with rig.store.together(org) as work:
                await work.events.add(rig.make.event(org))
                await work.invoices.expect(id=[invoice.id])
                await work.invoices.save(attrs.evolve(invoice, state=InvoiceState.VOID))
                await work.commit()

        with pytest.raises(StaleWrite):
            await late()
        assert (await rig.find(org, "invoices", invoice.id)).state is InvoiceState.OPEN
        async with rig.store.reading(org) as work:
            assert await work.events.all() == ()

    async def test_a_taken_key_undoes_all(self, rig: Rig) -> None:
        """Two workers hear of one payment for the first time."""
        org = await rig.organisation()
        _, payment = await paid(rig, org, 1)

        async def again() -> None:
            async with rig.store.together(org) as work:
                await work.events.add(rig.make.event(org))
                await work.payments.add(attrs.evolve(rig.make.payment(org), reference=payment.reference))
                await work.commit()

        with pytest.raises(AlreadyThere):
            await again()
        async with rig.store.reading(org) as work:
            assert await work.events.all() == ()

    async def test_an_organisation_expects_nothing_of_another(self, rig: Rig) -> None:
        """What is loaded early is still its own alone."""
        org, other = await rig.organisation(), await rig.organisation()
        invoice, _ = await paid(rig, org, 1)
        async with rig.store.together(other) as work:
            await work.invoices.expect(id=[invoice.id])
            await work.payments.expect(invoice_id=[invoice.id])
            assert await work.invoices.find(invoice.id) is None
            assert await work.payments.all(invoice_id=invoice.id) == ()

    @pytest.mark.parametrize("seed", range(6))
    async def test_it_answers_as_any_unit_of_work_does(self, rig: Rig, seed: int) -> None:
        """The same questions and changes in any order, once each way, give the same answers and leave the same behind."""
        orgs = await rig.organisation(), await rig.organisation()
        random = Random(seed)
        plan = [
            (random.choice(("add", "save", "find", "all", "expect", "other")), random.randrange(6)) for _ in range(60)
        ]
        told = [
            await _play(rig, org, plan, together=together) for org, together in zip(orgs, (False, True), strict=True)
        ]
        assert told[0] == told[1]


async def _play(rig: Rig, org: str, plan: list[tuple[str, int]], *, together: bool) -> list[object]:
    told: list[object] = []
    invoices = [f"{org}-{number}" for number in range(6)]
    async with (rig.store.together if together else rig.store.of)(org) as work:
        for step, (what, number) in enumerate(plan):
            told.append(await _step(rig, org, work, what, number, invoices[number], step))
        await work.commit()
    async with rig.other.reading(org) as work:
        told.append([_shown(payment) for payment in await work.payments.all()])
    return told


async def _step(rig: Rig, org: str, work: Work, what: str, number: int, invoice_id: str, step: int) -> object:
    mine = await work.payments.all(invoice_id=invoice_id) if what == "save" else ()
    if what == "add":
        made = attrs.evolve(rig.make.payment(org), reference=f"{org}-{step}", invoice_id=invoice_id)
        await work.payments.add(made)
    elif what == "save" and mine:
        moved = attrs.evolve(
            mine[0], invoice_id=f"{org}-{(number + 1) % 6}", updated_at=mine[0].updated_at + timedelta(seconds=1)
        )
        return _shown(await work.payments.save(moved))
    elif what == "find":
        found = await work.payments.all(reference=f"{org}-{number}")
        return [_shown(one) for one in found]
    elif what == "all":
        return [_shown(one) for one in await work.payments.all(invoice_id=invoice_id, provider=("stripe", "fake"))]
    elif what == "expect":
        await work.payments.expect(invoice_id=[invoice_id])
    elif what == "other":
        return len((await work.payments.page()).items)
    return None


def _shown(payment: Payment) -> tuple[object, ...]:
    """Without what differs from one organisation to the other."""
    return (
        payment.reference.partition("-")[2],
        (payment.invoice_id or "").partition("-")[2],
        payment.version,
        payment.updated_at,
    )
