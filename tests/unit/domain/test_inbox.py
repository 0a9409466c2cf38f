"""A received webhook is tried until it is handled, at growing distances, and then left to a person."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from domain.inbox import HOLDING_TRIES, MAX_TRIES, InboxState, Received, content_id
from domain.refusals import Conflict

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def received() -> Received:
    """A webhook that has just come in."""
    return Received("inb_1", "org_1", "con_1", "acme", "evt_9", "charge.paid", b"{}", {}, NOW, NOW)


def failed(times: int) -> Received:
    """A webhook that could not be handled this many times."""
    one = received()
    for number in range(times):
        one = one.failed(f"Reason {number + 1}", NOW)
    return one


def test_a_new_one_is_due_at_once() -> None:
    """The provider has its answer; the work is not to wait."""
    assert (received().state, received().due_at, received().tries) == (InboxState.PENDING, NOW, 0)


@pytest.mark.parametrize(("times", "seconds"), [(n, min(2 ** (n - 1), 3600)) for n in range(1, MAX_TRIES)])
def test_each_failure_doubles_the_wait(times: int, seconds: int) -> None:
    """Soon at first, because most failures are short: 1, 2, 4 … 2048 seconds, then an hour."""
    one = failed(times)
    assert (one.state, one.tries, one.error) == (InboxState.PENDING, times, f"Reason {times}")
    assert one.due_at == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("times", range(1, MAX_TRIES))
def test_no_wait_is_longer_than_an_hour(times: int) -> None:
    """Money that came in is to be seen the same hour."""
    assert failed(times).due_at - NOW <= timedelta(hours=1)


def test_the_wait_counts_from_the_failure() -> None:
    """Not from when the webhook came."""
    late = NOW + timedelta(days=1)
    assert received().failed("The database is away", late).due_at == late + timedelta(seconds=1)


def test_after_about_a_day_the_last_failure_gives_up() -> None:
    """After that a person looks; nothing is thrown away."""
    assert failed(MAX_TRIES - 1).state is InboxState.PENDING
    given_up = failed(MAX_TRIES)
    assert (given_up.state, given_up.tries, given_up.error) == (InboxState.FAILED, MAX_TRIES, f"Reason {MAX_TRIES}")
    assert given_up.body == b"{}"
    assert failed(MAX_TRIES + 1).state is InboxState.FAILED


@pytest.mark.parametrize("failures", [0, 1, 11, 12])
def test_what_is_handled_at_last_shows_no_error(failures: int) -> None:
    """The list of failures is a list of work to do."""
    done = failed(failures).handled(NOW)
    assert (done.state, done.tries, done.error, done.handled_at) == (InboxState.HANDLED, failures + 1, None, NOW)


def test_what_is_ignored_says_why() -> None:
    """Nobody has to guess whether it was lost."""
    done = received().ignored("The hub has no use for charge.paid.", NOW)
    assert (done.state, done.tries, done.handled_at) == (InboxState.IGNORED, 1, NOW)
    assert done.error == "The hub has no use for charge.paid."


def test_what_the_provider_does_not_know_yet_is_asked_for_again_and_then_ignored() -> None:
    """A webhook may be quicker than the provider's own reading side; what is never found must not wait for ever."""
    one, asked = received(), 0
    while one.state is InboxState.PENDING:
        one, asked = one.missing("intent 7", one.due_at), asked + 1
        assert "intent 7 is not known to the provider" in (one.error or "")
    assert (one.state, asked, one.tries) == (InboxState.IGNORED, HOLDING_TRIES, HOLDING_TRIES)
    assert one.due_at - NOW > timedelta(minutes=4)


def test_an_answer_that_is_no_use_is_given_up_with_its_reason() -> None:
    """Asking for another day brings the same answer: a person is to see it while it matters."""
    one = received()
    for _ in range(HOLDING_TRIES):
        assert one.state is InboxState.PENDING
        one = one.refused("1000.5 UGX is no whole amount.", NOW)
    assert (one.state, one.error) == (InboxState.FAILED, "1000.5 UGX is no whole amount.")
    assert one.again(NOW).state is InboxState.PENDING


@pytest.mark.parametrize("state", list(InboxState))
def test_a_copy_has_only_what_was_ignored_handled_anew(state: InboxState) -> None:
    """Nothing that had its effect, failed before a person's eyes or was skipped by one comes back by itself."""
    one = attrs.evolve(received(), state=state, tries=3)
    heard = one.heard_again(NOW + timedelta(hours=1))
    if state is InboxState.IGNORED:
        assert (heard.state, heard.tries, heard.due_at) == (InboxState.PENDING, 0, NOW + timedelta(hours=1))
    else:
        assert heard is one


def test_it_holds_up_what_came_later_for_so_many_tries() -> None:
    """Eight and a half minutes; then the later one, which may say that it is paid, goes ahead."""
    one, waited = received(), timedelta()
    while one.holds:
        after = one.failed("no", NOW)
        waited += after.due_at - NOW
        one = after
    assert one.tries == HOLDING_TRIES
    assert waited == timedelta(seconds=511)
    assert not received().handled(NOW).holds


def test_it_is_handled_again_from_its_first_try() -> None:
    """Only what failed, was ignored or skipped."""
    skipped = received().skipped("user:ada", "known", NOW)
    again = skipped.again(NOW + timedelta(hours=1))
    assert (again.state, again.tries, again.due_at) == (InboxState.PENDING, 0, NOW + timedelta(hours=1))
    for one in (received(), received().handled(NOW)):
        with pytest.raises(Conflict):
            one.again(NOW)


def test_what_waits_for_its_next_try_can_be_tried_now() -> None:
    """A person who has mended the cause need not wait for an hour."""
    waiting = received().failed("the provider was away", NOW)
    assert waiting.due_at > NOW
    assert (waiting.again(NOW).due_at, waiting.again(NOW).tries) == (NOW, 0)


def test_a_body_stands_for_an_id_where_there_is_none() -> None:
    """SHA-256 of no bytes (FIPS 180-4's example for the empty message)."""
    assert content_id(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
