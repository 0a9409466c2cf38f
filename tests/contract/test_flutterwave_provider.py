"""The contracts of payment providers, run on Flutterwave's adapter with the sandbox at the other end of a connection."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import attrs
import pytest

from adapters.providers.flutterwave import webhook
from adapters.providers.flutterwave.off_session import MOBILE_MONEY
from adapters.providers.flutterwave.payments import FlutterwavePayments
from adapters.providers.flutterwave.provider import ABILITIES, PROVIDER
from application.ports.payers import Customers, PaymentMethods
from application.ports.payments import (
    Action,
    CheckoutState,
    EventList,
    IntentState,
    ProviderRefused,
    RefundState,
    RetryLater,
)
from application.ports.payouts import PayoutOrder
from application.ports.recurring import Begun, Subscriptions
from application.ports.settlements import Movement
from domain.billing.plans import Interval
from domain.connections.abilities import Ability, By
from domain.money import Money
from tests.contract.flutterwave_sandbox import KEY, Stage, staged
from tests.contract.payments.checkouts import CheckoutContract
from tests.contract.payments.payers import EMAIL, OffSessionContract, OffSessionRig
from tests.contract.payments.payouts import PayoutContract, PayoutRig
from tests.contract.payments.recurring import PlanContract, RecurringRig, terms
from tests.contract.payments.refunds import RefundContract
from tests.contract.payments.rig import METADATA, SECRET, PaymentRig, order, paid, part
from tests.contract.payments.settlements import SettlementContract
from tests.contract.payments.settling import SettlingContract
from tests.contract.payments.troubles import TroubleContract
from tests.contract.payments.webhooks import WebhookContract

GOOD, POOR, DECLINED = "5531886652142950", "5258585922666506", "5143010522339965"


class FlutterwaveRig(OffSessionRig, PayoutRig, RecurringRig):
    """Flutterwave's adapter. It knows no keys and tells nothing of a page before somebody pays on it."""

    price = Money.of("125.00", "NGN")
    keeps_keys = False
    compares_keys = False
    tells_unpaid_pages = False
    forgets_pages = True
    many_refunds = 23
    signs_body = False
    tolerance = None
    abilities = ABILITIES

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._patient = FlutterwavePayments(stage.base, stage.clock, timeout=timedelta(seconds=20))
        self._hasty = FlutterwavePayments(stage.base, stage.clock, timeout=timedelta(seconds=0.5))
        self.provider, self.impatient = self._patient, self._hasty
        self.flutterwave = self._patient
        self.access = {"secret_key": KEY}
        self.now = stage.clock.now()
        self.destination = {
            "account_bank": "044",
            "account_number": "0690000031",
            "beneficiary_name": "Ada Obi",
        }

    async def close(self) -> None:
        """Close both."""
        await self._patient.aclose()
        await self._hasty.aclose()

    async def pay(self, reference: str) -> None:
        """On the hosted page, as a person would."""
        await self.type(reference, GOOD, 303)

    async def decline(self, reference: str) -> None:
        """On the hosted page, as a person would."""
        await self.type(reference, DECLINED, 402)

    async def type(self, reference: str, card: str, status: int) -> None:
        """Type a card's number."""
        answer = await self.stage.http.post(self.stage.page(reference), data={"method": "card", "card": card})
        assert answer.status_code == status, answer.text

    async def settle(self) -> None:
        """By the controls."""
        await self.stage.control("settle")

    async def fail_refund(self, reference: str) -> None:
        """By the controls."""
        await self.stage.control(f"refunds/{reference}", status="failed")

    async def put_status(self, intent_reference: str, status: str) -> None:
        """By the controls."""
        await self.stage.control(f"transactions/{intent_reference}", status=status)

    async def revoke(self) -> None:
        """By the controls."""
        await self.stage.control("keys/revoke", key=KEY)

    async def limit_rate(self, after: timedelta) -> None:
        """By the controls."""
        await self.stage.control("faults", status=429, retry_after=int(after.total_seconds()))

    async def break_down(self, *, after_work: bool) -> None:
        """By the controls."""
        await self.stage.control("faults", status=500, after_work=after_work)

    async def swallow_answer(self) -> None:
        """By the controls; of the next call that changes something."""
        for path in ("/v3/payments", "/v3/tokenized-charges", "/v3/transfers"):
            await self.stage.control("faults", timeout=True, path=path)
        for id_ in self.stage.sandbox.account_of(KEY).transactions:
            await self.stage.control("faults", timeout=True, path=f"/v3/transactions/{id_}/refund")

    async def bodies(self) -> list[bytes]:
        """What the sandbox would send."""
        events = (await self.stage.http.get(f"{self.stage.base}/_sandbox/events")).json()["events"]
        return [json.dumps(event).encode() for event in events]

    def strange_event(self) -> bytes:
        """Of no family that the hub follows."""
        return b'{"event": "moon.landed", "data": {"id": 7, "status": "dusty"}}'

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        """The hash itself."""
        return {"verif-hash": secret}

    async def kept(self, *, declining: bool = False) -> tuple[str, str | None, str]:
        """A card was used on a page and left its token."""
        page = await self.provider.create_checkout(self.access, order(self, save_method=True), key="kept")
        await self.type(page.reference, "5399838383838381" if declining else GOOD, 303)
        intent = await self.provider.find_payment(self.access, "kept")
        assert intent is not None
        assert intent.method_reference is not None
        return intent.method_reference, None, EMAIL

    async def fail_payout(self, reference: str) -> None:
        """By the controls."""
        await self.stage.control(f"transfers/{reference}", status="FAILED")

    async def agree(self, begun: Begun) -> None:
        """Never: the hub renews."""
        raise AssertionError("Flutterwave renews nothing by itself")

    async def renew(self, reference: str) -> None:
        """Never: the hub renews."""
        raise AssertionError("Flutterwave renews nothing by itself")


class FlutterwaveV4Rig(FlutterwaveRig):
    """The same with webhooks whose body is signed."""

    signs_body = True
    secret = f"v4:{SECRET}"

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        """HMAC of the body."""
        return {"flutterwave-signature": webhook.signature(secret.removeprefix("v4:"), body)}


@pytest.fixture
async def rig() -> AsyncIterator[FlutterwaveRig]:
    """A fresh sandbox."""
    async with staged() as stage:
        made = FlutterwaveRig(stage)
        await stage.control("rate", per_second=100_000)
        yield made
        await made.close()


class TestPages(CheckoutContract):
    """Hosted pages."""


class TestRefunds(RefundContract):
    """Refunds."""


class TestTroubles(TroubleContract):
    """Troubles."""


class TestCharges(OffSessionContract):
    """Charges by token."""


class TestPlans(PlanContract):
    """Payment plans."""


class TestPayouts(PayoutContract):
    """Transfers."""


class TestSettlements(SettlementContract):
    """Lists of what moved."""


class TestSettling(SettlingContract):
    """The hub's books, with Flutterwave at the other end."""


class TestHashedWebhooks(WebhookContract):
    """v3."""

    async def test_a_webhook_is_taken_back_once_and_again(self, rig: PaymentRig) -> None:
        """Only the dashboard can register one: the refusal says what to do there, and taking back is nothing."""
        with pytest.raises(ProviderRefused) as refused:
            await rig.provider.register_webhook(rig.access, "https://hub.example/in", key="hook")
        assert "https://hub.example/in" in refused.value.reason
        assert "secret hash" in refused.value.reason
        for _ in range(2):
            await rig.provider.remove_webhook(rig.access, "anything")


class TestSignedWebhooks(TestHashedWebhooks):
    """v4."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[PaymentRig]:
        """A fresh sandbox."""
        async with staged() as stage:
            made = FlutterwaveV4Rig(stage)
            yield made
            await made.close()


async def test_what_is_not_offered_is_not_there(rig: FlutterwaveRig) -> None:
    """The matrix and the adapter must say the same, or a refusal would come as a crash."""
    offered = {
        Ability.CUSTOMERS: Customers,
        Ability.PAYMENT_METHODS: PaymentMethods,
        Ability.EVENT_LIST: EventList,
    }
    for ability, port in offered.items():
        assert not isinstance(rig.provider, port)
        assert ABILITIES[ability].by is By.NOBODY
        assert ABILITIES[ability].note
    assert not isinstance(rig.provider, Subscriptions)
    assert ABILITIES[Ability.SUBSCRIPTIONS].by is By.HUB
    assert set(ABILITIES) == set(Ability), "every ability is spoken of"


async def test_no_key_is_remembered_there(rig: FlutterwaveRig) -> None:
    """So that nothing is asked for again without being looked up."""
    assert {rig.provider.keeps_keys(action) for action in Action} == {None}


async def test_intents_are_refused_with_a_way_out(rig: FlutterwaveRig) -> None:
    """The text is what the caller reads."""
    for call in (
        rig.provider.create_intent(rig.access, rig.price, key="k"),
        rig.provider.confirm_intent(rig.access, "1", method="x", key="k"),
    ):
        with pytest.raises(ProviderRefused, match="payment link"):
            await call


async def test_mobile_money_is_confirmed_late_without_anybody_coming_back(rig: FlutterwaveRig) -> None:
    """The payer confirms on the telephone minutes later and closes the window: the payment is found all the same."""
    price = Money.of("50.00", "GHS")
    page = await rig.provider.create_checkout(rig.access, order(rig, price), key="k")
    answer = await rig.stage.http.post(page.url or "", data={"method": "mobile_money", "phone": "233547000011"})
    assert (answer.status_code, "Look at your telephone" in answer.text) == (200, True)
    now = await rig.provider.fetch_checkout(rig.access, "k")
    assert (now.state, now.paid) == (CheckoutState.OPEN, False)
    pending = await rig.provider.find_payment(rig.access, "k")
    assert pending is not None
    assert (pending.state, pending.received.amount) == (IntentState.PROCESSING, 0)
    assert pending.fee is None
    await rig.settle()
    done = await rig.provider.find_payment(rig.access, "k")
    assert done is not None
    assert (done.reference, done.state, done.received) == (pending.reference, IntentState.SUCCEEDED, price)


async def test_a_mobile_money_payer_is_asked_directly(rig: FlutterwaveRig) -> None:
    """A renewal for somebody without a card."""
    for code, method in (
        ("GHS", "MTN:233547000011"),
        ("KES", ":254709929220"),
        ("UGX", "AIRTEL:256780000011"),
        ("RWF", "MTN:250780000011"),
        ("XAF", "MTN:237670000011:CM"),
    ):
        amount = Money.of("500", code)
        intent = await rig.flutterwave.charge(
            rig.access,
            amount,
            method=f"{MOBILE_MONEY}{method}",
            customer_reference=None,
            customer_email=EMAIL,
            key=f"charge-{code}",
            metadata=METADATA,
        )
        assert (intent.state, intent.received.amount) == (IntentState.PROCESSING, 0)
        await rig.settle()
        done = await rig.provider.fetch_intent(rig.access, intent.reference)
        assert (done.state, done.received) == (IntentState.SUCCEEDED, amount)
        assert done.metadata.items() >= METADATA.items()


@pytest.mark.parametrize(
    ("amount", "method", "said"),
    [
        ("10.50 KES", "mobile_money::254709929220", "whole units"),
        ("10 NGN", "mobile_money:MTN:233547000011", "no mobile money in NGN"),
        ("10 XAF", "mobile_money:MTN:237670000011", "country"),
        ("10 GHS", "mobile_money:MTN:not-a-number", "number"),
    ],
)
async def test_a_mobile_money_payer_who_cannot_be_asked_is_refused(
    rig: FlutterwaveRig, amount: str, method: str, said: str
) -> None:
    """Before anything is sent."""
    major, _, code = amount.partition(" ")
    with pytest.raises(ProviderRefused, match=said):
        await rig.flutterwave.charge(
            rig.access,
            Money.of(major, code),
            method=method,
            customer_reference=None,
            customer_email=EMAIL,
            key="k",
        )
    assert not rig.stage.recorder.exchanges[1:]


async def test_an_expired_token_is_refused(rig: FlutterwaveRig) -> None:
    """A token lasts a year; then the payer must pay on a page again."""
    await rig.provider.create_checkout(rig.access, order(rig, save_method=True), key="k")
    await rig.type("k", "5438898014560229", 303)
    intent = await rig.provider.find_payment(rig.access, "k")
    assert intent is not None
    with pytest.raises(ProviderRefused, match="token"):
        await rig.flutterwave.charge(
            rig.access,
            rig.price,
            method=intent.method_reference or "",
            customer_reference=None,
            customer_email=EMAIL,
            key="again",
        )


@pytest.mark.parametrize("sent", ["125.01", "100.00", "250"])
async def test_what_was_paid_is_told_as_it_was_paid(rig: FlutterwaveRig, sent: str) -> None:
    """A bank transfer may be of more or less than was asked for: the hub must see what came, not what it hoped for."""
    await rig.provider.create_checkout(rig.access, order(rig), key="k")
    await rig.stage.control("pages/k/pay", method="bank_transfer", amount=sent)
    page = await rig.provider.fetch_checkout(rig.access, "k")
    assert (page.paid, page.amount) == (True, Money.of(sent, "NGN"))
    intent = await rig.provider.find_payment(rig.access, "k")
    assert intent is not None
    assert intent.received == Money.of(sent, "NGN")


async def test_another_currency_is_told_as_it_was_paid(rig: FlutterwaveRig) -> None:
    """125 of another currency is not 125 of ours."""
    await rig.provider.create_checkout(rig.access, order(rig), key="k")
    await rig.stage.control("pages/k/pay", amount=125, currency="KES")
    intent = await rig.provider.find_payment(rig.access, "k")
    assert intent is not None
    assert intent.received == Money.of("125", "KES")


async def test_of_several_tries_the_one_that_paid_counts(rig: FlutterwaveRig) -> None:
    """A failed try after the money came must not hide it: Flutterwave tells the newest."""
    await rig.provider.create_checkout(rig.access, order(rig), key="k")
    await rig.type("k", POOR, 402)
    failed = await rig.provider.find_payment(rig.access, "k")
    assert failed is not None
    assert (failed.state, failed.failure) == (IntentState.FAILED, "Insufficient Funds")
    await rig.type("k", GOOD, 303)
    held = rig.stage.sandbox.account_of(KEY)
    transactions = list(held.transactions.items())
    held.transactions = dict(reversed(transactions))  # the failed one is now the newest
    done = await rig.provider.find_payment(rig.access, "k")
    assert done is not None
    assert (done.state, done.reference) == (IntentState.SUCCEEDED, str(transactions[1][0]))


async def test_a_page_without_its_address_stays_open(rig: FlutterwaveRig) -> None:
    """Flutterwave closes pages by their address only; claiming that it is closed would be untrue."""
    page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
    assert (await rig.provider.expire_checkout(rig.access, "k")).state is CheckoutState.OPEN
    closed = await rig.provider.expire_checkout(rig.access, "k", url=page.url)
    assert closed.state is CheckoutState.EXPIRED
    assert (await rig.stage.http.post(page.url or "", data={"method": "card", "card": GOOD})).status_code == 410


async def test_a_refund_beyond_the_balance_is_refused_in_words(rig: FlutterwaveRig) -> None:
    """Flutterwave pays refunds out of what it holds; a person must know to wait or to top up."""
    intent = await paid(rig)
    await rig.stage.control("balance", key=KEY, currency="NGN", amount=5)
    with pytest.raises(ProviderRefused) as refused:
        await rig.provider.refund(rig.access, intent.reference, part(rig, 10), key="r")
    assert refused.value.code == "balance_too_low"
    assert "available balance" in refused.value.reason
    assert await rig.provider.refunds_of(rig.access, intent.reference) == ()


@pytest.mark.parametrize(("end", "state"), [("completed", RefundState.SUCCEEDED), ("failed", RefundState.FAILED)])
async def test_a_refund_may_wait(rig: FlutterwaveRig, end: str, state: RefundState) -> None:
    """It counts from the moment it was asked for, until it is known to have come back."""
    await rig.stage.control("refunds", key=KEY, begin="pending", end=end)
    intent = await paid(rig)
    # `paid` lets what waits come out, so the refund is asked for after it.
    sent = await rig.provider.refund(rig.access, intent.reference, part(rig, 10), key="r", reason="Wrong [size]")
    assert sent.state is RefundState.PENDING
    assert (await rig.provider.fetch_intent(rig.access, intent.reference)).refunded == part(rig, 10)
    await rig.settle()
    (listed,) = await rig.provider.refunds_of(rig.access, intent.reference)
    assert (listed.state, listed.key) == (state, "r")
    left = (await rig.provider.fetch_intent(rig.access, intent.reference)).refunded
    assert left.amount == (0 if state is RefundState.FAILED else 1000)


async def test_a_refund_of_the_dashboard_s_is_not_guessed_at(rig: FlutterwaveRig) -> None:
    """It may be ours without its comment: asking for it again could send the money twice."""
    intent = await paid(rig)
    await rig.stage.api("POST", f"/transactions/{intent.reference}/refund", amount=10)
    with pytest.raises(RetryLater):
        await rig.provider.find_refund(rig.access, intent.reference, "r")


async def test_a_refund_cannot_be_looked_for_with_another_account_s_key(rig: FlutterwaveRig) -> None:
    """Somebody switched from test to live meanwhile: that it is not there says nothing about whether it was made."""
    intent = await paid(rig)
    await rig.provider.refund(rig.access, intent.reference, part(rig, 10), key="r")
    with pytest.raises(RetryLater):
        await rig.provider.find_refund({"secret_key": "FLWSECK-live-X"}, intent.reference, "r")


async def test_a_refund_in_another_currency_is_refused(rig: FlutterwaveRig) -> None:
    """Flutterwave takes a bare number, and would send back ten of whatever was paid."""
    intent = await paid(rig)
    with pytest.raises(ProviderRefused, match="NGN"):
        await rig.provider.refund(rig.access, intent.reference, Money.of("10", "GHS"), key="r")


async def test_a_transfer_by_a_test_reference_fails(rig: FlutterwaveRig) -> None:
    """As Flutterwave's own test mode does by its name."""
    wanted = PayoutOrder(part(rig, 10), rig.destination, "Week 12", "payout_1")
    good = await rig.flutterwave.create_payout(rig.access, wanted, key="payout_1_PMCK")
    bad = await rig.flutterwave.create_payout(rig.access, wanted, key="payout_1_PMCK_ST_F")
    await rig.settle()
    states = [(await rig.flutterwave.fetch_payout(rig.access, one.reference)).raw_status for one in (good, bad)]
    assert states == ["SUCCESSFUL", "FAILED"]


async def test_a_transfer_beyond_the_balance_is_refused_in_words(rig: FlutterwaveRig) -> None:
    """And nothing is sent."""
    await rig.stage.control("balance", key=KEY, currency="NGN", amount=5)
    wanted = PayoutOrder(part(rig, 10), rig.destination, "Week 12", "payout_1")
    with pytest.raises(ProviderRefused) as refused:
        await rig.flutterwave.create_payout(rig.access, wanted, key="payout_1")
    assert refused.value.code == "balance_too_low"
    assert "to complete this transfer. Flutterwave pays this out of" in refused.value.reason
    assert await rig.flutterwave.find_payout(rig.access, "payout_1") is None


async def test_everything_that_moved_is_listed_to_the_last_page(rig: FlutterwaveRig) -> None:
    """Twenty are a page; the twenty-first must not be missing from the books."""
    for number in range(23):
        await rig.provider.create_checkout(rig.access, order(rig), key=f"k{number}")
        await rig.stage.control(f"pages/k{number}/pay")
    wanted = PayoutOrder(part(rig, 10), rig.destination, "Week 12", "payout_1")
    sent = await rig.flutterwave.create_payout(rig.access, wanted, key="payout_1")
    day = timedelta(days=1)
    listed = [one async for one in rig.flutterwave.settled_between(rig.access, rig.now - day, rig.now + day)]
    payments = [one for one in listed if one.movement is Movement.PAYMENT]
    assert len({one.reference for one in payments}) == 23
    assert {one.fee for one in payments} == {Money.of("1.75", "NGN")}
    (payout,) = [one for one in listed if one.movement is Movement.PAYOUT]
    assert (payout.reference, payout.amount, payout.done) == (sent.reference, part(rig, 10), False)


async def test_what_moved_in_a_currency_that_is_not_kept_does_not_end_the_list(rig: FlutterwaveRig) -> None:
    """One old payment in withdrawn Leones must not keep the books from ever being compared."""
    old, ours = await paid(rig, key="old"), await paid(rig, key="ours")
    await rig.provider.refund(rig.access, old.reference, part(rig, 10), key="r")
    rig.stage.sandbox.account_of(KEY).transactions[int(old.reference)]["currency"] = "SLL"
    day = timedelta(days=1)
    listed = [one async for one in rig.flutterwave.settled_between(rig.access, rig.now - day, rig.now + day)]
    assert [one.reference for one in listed] == [ours.reference]


async def test_what_is_no_whole_amount_does_not_end_the_list(rig: FlutterwaveRig) -> None:
    """One odd row of each kind is listed as what it says; it must not keep the books from ever being compared."""
    odd, ours = await paid(rig, key="odd"), await paid(rig, key="ours")
    back = await rig.provider.refund(rig.access, ours.reference, part(rig, 10), key="r")
    wanted = PayoutOrder(part(rig, 10), rig.destination, "Week 12", "payout_1")
    sent = await rig.flutterwave.create_payout(rig.access, wanted, key="payout_1")
    account = rig.stage.sandbox.account_of(KEY)
    account.transactions[int(odd.reference)].update(amount=1000.5, currency="UGX")
    next(one for one in account.refunds.values() if str(one["id"]) == back.reference)["amount_refunded"] = "ten"
    account.transfers[int(sent.reference)]["amount"] = 9.999
    day = timedelta(days=1)
    listed = [one async for one in rig.flutterwave.settled_between(rig.access, rig.now - day, rig.now + day)]
    assert {one.reference: (one.unreadable, str(one.amount)) for one in listed} == {
        odd.reference: ("1000.5 UGX", "1001 UGX"),
        ours.reference: (None, str(ours.amount)),
        back.reference: ("ten NGN", "0.00 NGN"),
        sent.reference: ("9.999 NGN", "10.00 NGN"),
    }


async def test_a_plan_of_two_weeks_is_refused(rig: FlutterwaveRig) -> None:
    """Flutterwave has no such interval; the hub renews it all the same, without a plan there."""
    with pytest.raises(ProviderRefused, match="monthly"):
        await rig.flutterwave.ensure_plan(
            rig.access, attrs.evolve(terms(rig), interval=Interval.WEEK, count=2), product=None, key="p"
        )


async def test_the_account_is_named_by_its_transactions(rig: FlutterwaveRig) -> None:
    """Two keys of one account must lead to the same books; before anything was paid, the key stands for it."""
    before = await rig.provider.account(rig.access)
    assert before.reference.startswith("key-")
    assert KEY not in before.reference
    await paid(rig)
    after = await rig.provider.account(rig.access)
    other = await rig.provider.account({"secret_key": "FLWSECK_TEST-rotated-X"})
    assert after.reference == other.reference == "1000001/test"
    live = await rig.provider.account({"secret_key": "FLWSECK-contract-X"})
    assert live.reference.endswith("/live")


def test_a_key_tells_its_mode() -> None:
    """Real money must be shown as real."""
    assert PROVIDER.is_live({"secret_key": "FLWSECK-0123-X"})
    assert not PROVIDER.is_live({"secret_key": "FLWSECK_TEST-0123-X"})
