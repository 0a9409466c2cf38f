"""A delivery, from its first attempt to its end."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import Event
from domain.notifications.attempts import Outcome, Verdict
from domain.notifications.deliveries import Delivery, DeliveryState, DestinationKind
from domain.notifications.schedule import DEFAULT, RetrySchedule
from domain.refusals import Conflict
from tests.unit.domain.work.strategies import patiently

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=5)
TOOK = timedelta(milliseconds=120)
EVENT = Event("evt_1", "org_1", "invoice.paid", {"invoice": {"id": "inv_1"}}, NOW, NOW)
PENDING, DELIVERED, FAILED, CANCELLED, EXPIRED, WAITING = DeliveryState


def delivery(**changes: Any) -> Delivery:
    """A delivery that has not been tried yet."""
    new = Delivery.of(EVENT, DestinationKind.ENDPOINT, "wh_1", id="dlv_1", now=NOW)
    return attrs.evolve(new, **changes)


def outcome(verdict: Verdict, **changes: Any) -> Outcome:
    """What one attempt brought back."""
    return Outcome(verdict, TOOK, **changes)


DOWN = outcome(Verdict.RETRY, status=503, error="The receiver answered 503.")


def test_a_new_delivery_is_due_at_once_under_the_events_id() -> None:
    """A receiver that is told twice of an event recognises it by that id."""
    new = delivery()
    assert (new.state, new.attempts, new.due_at) == (PENDING, 0, NOW)
    assert (new.message_id, new.event_id, new.event_type) == ("evt_1", "evt_1", "invoice.paid")
    assert (new.organisation_id, new.kind, new.destination_id) == ("org_1", DestinationKind.ENDPOINT, "wh_1")


def test_a_mail_carries_what_is_to_be_sent() -> None:
    """It is not made from the event."""
    mail = {"to": "ada@acme.example"}
    assert Delivery.of(EVENT, DestinationKind.MAIL, "con_1", id="dlv_1", now=NOW, mail=mail).mail == mail


def test_what_arrived_is_done() -> None:
    """And shows no error of an earlier attempt."""
    done = delivery().after(DOWN, NOW, DEFAULT, 0).after(outcome(Verdict.DELIVERED, status=204), LATER, DEFAULT, 0)
    assert (done.state, done.attempts, done.finished_at) == (DELIVERED, 2, LATER)
    assert (done.last_status, done.last_error) == (204, None)


def test_what_may_still_arrive_is_due_again_by_the_schedule() -> None:
    """Its last error is there to be read meanwhile."""
    again = delivery().after(DOWN, LATER, DEFAULT, 0)
    assert (again.state, again.attempts, again.due_at) == (PENDING, 1, LATER + timedelta(seconds=1))
    assert (again.last_status, again.last_error, again.finished_at) == (503, "The receiver answered 503.", None)


def test_each_failure_takes_the_schedules_next_wait() -> None:
    """Twelve attempts, eleven waits, and then it is over."""
    one, waits = delivery(), []
    for _ in DEFAULT.delays:
        one = one.after(DOWN, NOW, DEFAULT, 0)
        assert one.state is PENDING
        waits.append(one.due_at - NOW)
    assert tuple(waits) == DEFAULT.delays
    over = one.after(DOWN, LATER, DEFAULT, 0)
    assert (over.state, over.attempts, over.finished_at) == (FAILED, 12, LATER)


def test_with_a_schedule_without_waits_the_first_failure_is_the_last() -> None:
    """An operator may want no retries."""
    assert delivery().after(DOWN, NOW, RetrySchedule(()), 0).state is FAILED


def test_what_arrives_at_the_last_attempt_has_arrived() -> None:
    """The schedule only counts failures."""
    last = delivery(attempts=11).after(outcome(Verdict.DELIVERED), NOW, DEFAULT, 0)
    assert (last.state, last.attempts) == (DELIVERED, 12)


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.GONE])
def test_what_will_not_pass_by_waiting_is_given_up_at_once(verdict: Verdict) -> None:
    """Not even a Retry-After changes that."""
    final = outcome(verdict, status=410, error="gone", retry_after=timedelta(seconds=5))
    over = delivery().after(final, LATER, DEFAULT, 0)
    assert (over.state, over.attempts, over.finished_at) == (FAILED, 1, LATER)
    assert (over.last_status, over.last_error) == (410, "gone")


@pytest.mark.parametrize(
    ("asked", "seconds"), [(timedelta(), 1), (timedelta(minutes=10), 600), (timedelta(days=30), 86_400)]
)
def test_a_receivers_retry_after_is_honoured(asked: timedelta, seconds: int) -> None:
    """Never sooner than the schedule, never later than a day."""
    busy = outcome(Verdict.RETRY, status=429, retry_after=asked)
    assert delivery().after(busy, NOW, DEFAULT, 0).due_at == NOW + timedelta(seconds=seconds)


def test_retry_after_does_not_buy_another_attempt() -> None:
    """The schedule's end is the end."""
    busy = outcome(Verdict.RETRY, retry_after=timedelta(minutes=1))
    assert delivery(attempts=11).after(busy, NOW, DEFAULT, 0).state is FAILED


def test_the_jitter_reaches_the_schedule() -> None:
    """A thousand deliveries to one receiver must not all come back in the same second."""
    early, late = (delivery(attempts=2).after(DOWN, NOW, DEFAULT, jitter).due_at - NOW for jitter in (-1, 1))
    assert (early, late) == (timedelta(seconds=24), timedelta(seconds=36))


@patiently
@given(st.lists(st.sampled_from(Verdict), max_size=20), st.floats(-1, 1))
def test_every_delivery_ends_and_ends_once(verdicts: list[Verdict], jitter: float) -> None:
    """Whatever the receiver answers: pending is due in the future, anything else has an end, and 12 attempts are all."""
    one = delivery()
    for verdict in verdicts:
        if one.state is not PENDING:
            break
        one = one.after(outcome(verdict), NOW, DEFAULT, jitter)
        assert (one.state is PENDING) == (one.finished_at is None) == (one.due_at > NOW)
    assert one.attempts <= 12


def test_a_delivery_can_be_cancelled_with_a_reason() -> None:
    """Its destination was removed; who looks for it finds out why it never arrived."""
    off = delivery().after(DOWN, NOW, DEFAULT, 0).cancel("the endpoint was switched off", LATER)
    assert (off.state, off.last_error, off.finished_at) == (CANCELLED, "the endpoint was switched off", LATER)
    assert off.attempts == 1


def test_a_delivery_that_is_about_to_go_is_not_sent_again() -> None:
    """A second click must not make a second message."""
    with pytest.raises(Conflict, match="on its way"):
        delivery().send_again(id="dlv_2", now=LATER)


@pytest.mark.parametrize(
    "before",
    [
        delivery(state=DELIVERED, attempts=1, last_status=200, finished_at=NOW),
        delivery(state=FAILED, attempts=12, last_error="down", last_status=503, finished_at=NOW),
        delivery(state=CANCELLED, last_error="switched off", finished_at=NOW),
        delivery(attempts=3, last_error="down", last_status=503, due_at=NOW + timedelta(days=1)),
    ],
    ids=["delivered", "failed", "cancelled", "waiting for a retry"],
)
def test_anything_else_can_be_sent_again_as_a_new_delivery(before: Delivery) -> None:
    """The old row stays as it was: it is the record of what happened."""
    again = before.send_again(id="dlv_2", now=LATER)
    assert again == delivery(id="dlv_2", created_at=LATER, due_at=LATER, replay_of="dlv_1")


def test_sending_again_keeps_the_message_id_and_the_mail() -> None:
    """A receiver can tell the repetition; a client gets the same letter."""
    mail = {"to": "ada@acme.example"}
    again = delivery(state=FAILED, message_id="evt_0", mail=mail).send_again(id="dlv_2", now=LATER)
    assert (again.message_id, again.mail) == ("evt_0", mail)


def test_a_replay_of_a_replay_names_the_one_before() -> None:
    """The chain can be followed step by step."""
    second = delivery(state=FAILED).send_again(id="dlv_2", now=LATER)
    third = attrs.evolve(second, state=FAILED).send_again(id="dlv_3", now=LATER)
    assert (second.replay_of, third.replay_of) == ("dlv_1", "dlv_2")


def test_a_replay_has_the_whole_schedule_before_it() -> None:
    """Twelve attempts again."""
    again = delivery(state=FAILED, attempts=12).send_again(id="dlv_2", now=LATER)
    assert again.after(DOWN, LATER, DEFAULT, 0).due_at == LATER + timedelta(seconds=1)


def test_what_would_come_too_late_expires_instead_of_waiting() -> None:
    """Its next attempt would be of no use to anybody."""
    tried = delivery(expires_at=NOW + timedelta(seconds=1)).after(DOWN, NOW, DEFAULT, 0)
    assert (tried.state, tried.finished_at, tried.attempts, tried.last_status) == (EXPIRED, NOW, 1, 503)
    waits = delivery(expires_at=NOW + timedelta(seconds=1, microseconds=1)).after(DOWN, NOW, DEFAULT, 0)
    assert (waits.state, waits.due_at) == (PENDING, NOW + timedelta(seconds=1))


def test_what_arrives_late_has_arrived() -> None:
    """It was sent in time."""
    arrived = delivery(expires_at=NOW).after(outcome(Verdict.DELIVERED), LATER, DEFAULT, 0)
    assert (arrived.state, arrived.expires_at) == (DELIVERED, NOW)


def test_a_delivery_expires_at_its_moment() -> None:
    """Not before; most never do."""
    mortal = delivery(expires_at=LATER)
    assert [mortal.expired(at) for at in (NOW, LATER - timedelta(microseconds=1), LATER)] == [False, False, True]
    assert not delivery().expired(LATER)
    gone = mortal.expire(LATER)
    assert (gone.state, gone.finished_at, gone.attempts) == (EXPIRED, LATER, 0)
    assert "expired" in (gone.last_error or "")
    assert attrs.evolve(mortal, last_error="busy").expire(LATER).last_error == "busy", "what was the matter stays known"


def test_what_was_fetched_is_done() -> None:
    """Its receiver has said so."""
    assert delivery(state=WAITING).collected(LATER) == delivery(state=DELIVERED, finished_at=LATER)
