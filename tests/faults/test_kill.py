"""`kill -9` in the middle of the story: every event is still delivered, and nothing is charged or recorded twice.

The processes are real: the sandbox, which lives on, and the hub, which is killed at ten moments chosen by a seed, one in
each step of the story. PATCHBAY_FAULT_SEED chooses another seed (`make faults SEED=…`).
"""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.faults.host import Host
from tests.faults.machine import Machine, machine_in

pytestmark = pytest.mark.faults

SEED = os.environ.get("PATCHBAY_FAULT_SEED", "2026")

LONGEST_WAIT_S = 0.5
"""How long after a step's beginning the hub is killed at the latest; a step takes from a tenth of that to twice that."""

SECOND_LOOK_S = 4.5
"""How long a refund waits for its answer before the hub asks again: two minutes by its own clock, and a bit."""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """With the sandbox running and no hub yet."""
    with machine_in(tmp_path) as machine:
        machine.start_sandbox()
        yield machine


@attrs.define
class Story:
    """What the host application holds in its hands so far."""

    host: Host
    machine: Machine
    held: dict[str, Any] = attrs.field(factory=dict)
    told: list[str] = attrs.field(factory=list)


def an_endpoint(story: Story) -> None:
    url = f"{story.machine.box_url}/receiver/app"
    endpoint = story.host.call("POST", "/api/webhooks", {"url": url, "events": ["*"]}, expect=201)
    story.host.box("POST", "/receiver/app/_sandbox", {"secret": endpoint["secret"], "delay_ms": 30})
    story.held["endpoint"] = endpoint


def connections(story: Story) -> None:
    story.host.call("POST", "/api/integrations/stripe/connect", {"secret_key": "sk_test_faults"}, expect=201)
    mail = {"host": "127.0.0.1", "port": str(story.machine.mail_port), "security": "none", "sender": "b@studio.example"}
    story.host.call("POST", "/api/integrations/smtp/connect", mail, expect=201)


def invoices(story: Story) -> None:
    client = {"name": "Ada Northwind", "email": "ada@northwind.example"}
    story.held["client"] = story.host.call("POST", "/api/clients", client, expect=201)
    for currency, price in (("USD", "2349.50"), ("JPY", "148000"), ("EUR", "80.00")):
        lines = [{"description": "Brand workshop", "unit_price": price}]
        invoice = {"client_id": story.held["client"]["id"], "currency": currency, "lines": lines}
        story.held[currency] = story.host.call("POST", "/api/invoices", invoice, expect=201)


def announcements(story: Story) -> None:
    for number in range(12):
        told = {"type": "kiln.fired", "data": {"number": number}}
        story.told.append(story.host.call("POST", "/api/events", told, expect=201)["id"])


def a_link_by_mail(story: Story) -> None:
    id_ = story.held["USD"]["id"]
    story.held["link"] = story.host.call(
        "POST", "/api/integrations/stripe/payment-link", {"invoice_id": id_}, expect=201
    )["url"]
    story.host.call("POST", f"/api/invoices/{id_}/send", expect=202)


def following_the_link(story: Story) -> None:
    """Stripe takes its time to open the page, so that the hub may well die while it waits."""
    slow_stripe(story, "/v1/checkout/sessions")
    first = story.host.browse(story.held["link"])
    assert first.status_code == 303, first.text
    story.held["page"] = first.headers["location"]


def paying(story: Story) -> None:
    """Ada pays. Stripe says so twice and in the wrong order, but takes its time when it is asked about it."""
    story.host.box("POST", "/stripe/_sandbox/webhooks", {"copies": 2, "reorder": True, "hold_ms": 50})
    slow_stripe(story, "/v1/checkout/sessions")
    slow_stripe(story, "/v1/payment_intents")
    session = story.held["page"].partition("?")[0].rpartition("/")[2]
    story.host.box("POST", f"/stripe/_sandbox/sessions/{session}/pay", {})


def hearing_of_it(story: Story) -> None:
    """While the receiver fails; and when it is over, Ada comes back from paying."""
    story.host.box("POST", "/receiver/app/_sandbox", {"fail_next": 8, "status": 503})

    def look() -> Any:
        detail = story.host.call("GET", f"/api/invoices/{story.held['USD']['id']}")
        return detail["payments"] if detail["invoice"]["status"] == "paid" else None

    story.held["payment"] = story.host.until("the payment", look)[0]
    assert story.host.browse(f"{story.held['link']}?returned=1").status_code == 200


def a_refund(story: Story) -> None:
    """Stripe takes its time over it."""
    slow_stripe(story, "/v1/refunds")
    path = f"/api/payments/{story.held['payment']['id']}/refunds"
    story.host.call("POST", path, {"amount": "39.90"}, expect=201)


def more_announcements(story: Story) -> None:
    announcements(story)
    story.host.call("DELETE", f"/api/integrations/stripe/payment-link/{_second_link(story)}")


def _second_link(story: Story) -> Any:
    id_ = story.held["JPY"]["id"]
    story.host.call("POST", "/api/integrations/stripe/payment-link", {"invoice_id": id_}, expect=201)
    return id_


def slow_stripe(story: Story, path: str) -> None:
    """The next call there takes as long as the hub lives at most; Stripe does its work, whether the hub lives or not."""
    fault = {"path": path, "delay_ms": int(LONGEST_WAIT_S * 1000)}
    story.host.box("POST", "/stripe/_sandbox/faults", fault)


STEPS: tuple[Callable[[Story], None], ...] = (
    an_endpoint,
    connections,
    invoices,
    announcements,
    a_link_by_mail,
    following_the_link,
    paying,
    hearing_of_it,
    a_refund,
    more_announcements,
)


@contextmanager
def killed_after(machine: Machine, seconds: float) -> Iterator[None]:
    """The hub is killed so long after the block began, and started again at once."""
    failures: list[BaseException] = []

    def kill() -> None:
        try:
            machine.kill_hub()
            machine.start_hub()
        except BaseException as failure:  # noqa: BLE001  # it is raised again below, in the test's own thread
            failures.append(failure)

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield
    finally:
        timer.join()
    if failures:
        raise failures[0]


def test_ten_kills_lose_nothing_and_do_nothing_twice(machine: Machine) -> None:
    """A payment hub that loses an event or charges twice when the power fails is worse than none."""
    random_ = random.Random(SEED)
    host = Host(machine, machine.process("keys", "create", "--name", "host").go().answer())
    machine.start_hub()
    story = Story(host, machine)
    for step in STEPS:
        with killed_after(machine, random_.uniform(0, LONGEST_WAIT_S)):
            step(story)
        host.call_again()

    finish(story)

    check_events(story)
    check_deliveries(story)
    check_money(story)
    check_numbers(story)


def finish(story: Story) -> None:
    """Wait until nothing is left to be done; a refund without an answer is asked for again, as the scheduler does."""
    host = story.host
    refunds = f"/api/payments/{story.held['payment']['id']}/refunds"
    if any(refund["status"] == "requested" for refund in host.all(refunds)):
        time.sleep(SECOND_LOOK_S)
        assert story.machine.process("scheduler", "run", "hanging-refunds").go().ended() == 0
    host.until("charge.refunded", lambda: [i for i in host.all("/api/inbox") if i["type"] == "charge.refunded"])
    host.until("the inbox's end", lambda: {i["status"] for i in host.all("/api/inbox")} <= {"handled", "ignored"})
    host.until("the last delivery", lambda: not host.all("/api/deliveries?status=pending"))


def check_events(story: Story) -> None:
    """Each event has one row, and the receiver has seen it with a signature that holds."""
    events = story.host.all("/api/events")
    rows = Counter(event["type"] for event in events)
    for type_ in ("invoice.paid", "payment.received", "payment.refunded", "invoice.refunded", "invoice.sent"):
        assert rows[type_] == 1, f"{type_} was told {rows[type_]} times"
    assert rows["invoice.created"] == 3
    kiln = [event for event in events if event["type"] == "kiln.fired"]
    assert sorted(event["id"] for event in kiln) == sorted(story.told)
    accepted = [request for request in story.host.received() if request["status"] == 200]
    seen = {json.loads(request["body"])["id"] for request in accepted if request["verified"]}
    assert {event["id"] for event in events} - seen == set(), "events that never arrived"


def check_deliveries(story: Story) -> None:
    """What is recorded as delivered arrived; what arrived twice came under the same name, and is the same."""
    received = story.host.received()
    assert all(request["verified"] for request in received)
    accepted = {request["headers"]["webhook-id"] for request in received if request["status"] == 200}
    deliveries = [d for d in story.host.all("/api/deliveries") if d["kind"] == "endpoint"]
    assert {d["status"] for d in deliveries} == {"delivered"}
    assert {d["message_id"] for d in deliveries} <= accepted, "recorded as delivered, but never seen"
    assert len(deliveries) == len({d["event_id"] for d in deliveries}), "an event has two deliveries to one endpoint"
    names = {(request["headers"]["webhook-id"], json.loads(request["body"])["id"]) for request in received}
    assert len({name for name, _ in names}) == len({event for _, event in names}) == len(names)
    bodies = {(request["headers"]["webhook-id"], request["body"]) for request in received}
    assert len(bodies) == len(names), "the same name, but another body"


def check_money(story: Story) -> None:
    """Our books and the provider's say the same: one charge, one payment, one refund of the amount that was asked for."""
    host = story.host
    payments = host.all("/api/billing/payments")
    assert [(p["amount"]["decimal"], p["refunded"]["decimal"]) for p in payments] == [("2349.50", "39.90")]
    (refund,) = host.all(f"/api/payments/{payments[0]['id']}/refunds")
    assert (refund["status"], refund["amount"]["decimal"]) == ("succeeded", "39.90")
    paid = host.call("GET", f"/api/invoices/{story.held['USD']['id']}")["invoice"]
    assert (paid["status"], paid["amount_paid"]["decimal"]) == ("paid", "2349.50")
    charges = host.box("GET", "/stripe/v1/charges")["data"]
    assert [(c["amount"], c["amount_refunded"], c["paid"]) for c in charges] == [(234950, 3990, True)]
    assert [r["amount"] for r in host.box("GET", "/stripe/v1/refunds")["data"]] == [3990]


def check_numbers(story: Story) -> None:
    """As many invoices as were written, numbered without a gap; and one client."""
    numbers = [invoice["number"] for invoice in story.host.all("/api/billing/invoices")]
    assert sorted(numbers) == ["INV-0001", "INV-0002", "INV-0003"]
    assert [story.held[c]["number"] for c in ("USD", "JPY", "EUR")] == sorted(numbers)
    assert len(story.host.all("/api/clients")) == 1
    assert len(story.host.all("/api/webhooks")) == 1


def test_a_hub_that_is_told_to_stop_finishes_what_is_under_way(machine: Machine) -> None:
    """An upgrade restarts the hub: each delivery is recorded before it goes, so that none is made twice."""
    host = Host(machine, machine.process("keys", "create", "--name", "host").go().answer())
    machine.start_hub()
    story = Story(host, machine)
    an_endpoint(story)
    host.box("POST", "/receiver/app/_sandbox", {"delay_ms": 1500})
    sent = [host.call("POST", "/api/events", {"type": "kiln.fired", "data": {}}, expect=201)["id"] for _ in range(3)]
    host.until("the requests", lambda: len(host.received()) == 3)

    assert machine.hub is not None
    assert machine.hub.end(signal.SIGTERM) == 0, machine.hub.story()
    host.box("POST", "/receiver/app/_sandbox", {"delay_ms": 0})
    machine.start_hub()
    last = host.call("POST", "/api/events", {"type": "kiln.cooled", "data": {}}, expect=201)["id"]
    host.until("the last delivery", lambda: not host.all("/api/deliveries?status=pending"))

    deliveries = host.all("/api/deliveries")
    assert [(d["event_id"], d["status"], d["attempts"]) for d in deliveries] == [
        (id_, "delivered", 1) for id_ in (*sent, last)
    ]
    assert Counter(r["headers"]["webhook-id"] for r in host.received()) == Counter([*sent, last])


def test_what_a_dead_worker_held_another_takes_over(machine: Machine) -> None:
    """A worker can die between sending and recording; what it held is free again when its lease is over."""
    host = Host(machine, machine.process("keys", "create", "--name", "host").go().answer())
    machine.start_hub("--no-worker", "--no-scheduler")
    first, second = machine.process("worker"), machine.process("worker")
    story = Story(host, machine)
    an_endpoint(story)
    host.box("POST", "/receiver/app/_sandbox", {"hang": True})
    first.go()
    event = host.call("POST", "/api/events", {"type": "kiln.fired", "data": {}}, expect=201)["id"]
    host.until("the first request", host.received)

    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    host.box("POST", "/receiver/app/_sandbox", {"hang": False, "delay_ms": 0})
    (held,) = host.all("/api/deliveries")
    assert (held["status"], held["attempts"]) == ("pending", 0)
    second.go()
    host.until("the other worker", lambda: not host.all("/api/deliveries?status=pending"))

    (delivery,) = host.all("/api/deliveries")
    assert (delivery["status"], delivery["attempts"]) == ("delivered", 1)
    assert [request["headers"]["webhook-id"] for request in host.received()] == [event, event]
