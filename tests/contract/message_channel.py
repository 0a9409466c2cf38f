"""What every message channel does, whatever stands behind it. A test class per channel inherits these."""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from application.ports.message_channel import MessageChannel
from domain.notifications.attempts import Outcome, Verdict
from domain.notifications.message import Action, Fact, Message, Tone

MESSAGE = Message(
    title="Invoice INV-42 paid",
    text="The invoice was paid in full by Ada & Söhne <GmbH>: 125.00 USD.\n\nSee https://example.com/a_b?c=1&d=2.",
    at=datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
    facts=(Fact("Client", "Ada & Söhne <GmbH>"), Fact("Amount", "125.00 USD")),
    action=Action("Open invoice", "https://hub.example.com/invoices/inv_1"),
    tone=Tone.GOOD,
    source="Studio *Nord*",
)

FAMILY = "👩‍👩‍👧‍👦"
HUGE = Message(
    title=f"{FAMILY} very & long <title> " * 300,
    text=f"A <long> & *wordy* text {FAMILY} https://example.com/{'x' * 90} " * 1200,
    at=MESSAGE.at,
    facts=tuple(Fact(f"{number} & label " * 40, f"<value> {FAMILY} & more " * 400) for number in range(60)),
    action=Action("Press & hold " * 30, "https://example.com/" + "y" * 1500),
    source="Studio " * 900,
)

Told = Callable[..., Awaitable[None]]


@attrs.frozen
class Subject:
    """A channel at work: how to make its other end misbehave, and what reached it.

    fail: how the next sends end: `retry`, `refused`, `gone` or `time-out`; retry_after in whole seconds.
    arrived: everything that reached the other end, as one text. secret: must never be told.
    """

    channel: MessageChannel
    access: Mapping[str, str]
    target: Mapping[str, Any]
    fail: Told
    arrived: Callable[[], list[Any]]
    secret: str
    knows_gone: bool = True
    shows: Callable[[], str] = lambda: ""


class MessageChannelContract:
    """The suite. A subclass gives the fixture `subject`."""

    async def _send(self, subject: Subject, message: Message = MESSAGE, delivery_id: str = "dlv_1") -> Outcome:
        return await subject.channel.send(subject.access, subject.target, message, delivery_id=delivery_id)

    async def test_a_message_arrives(self, subject: Subject) -> None:
        """The one thing a channel is for."""
        outcome = await self._send(subject)

        assert outcome.verdict is Verdict.DELIVERED, outcome
        assert outcome.error is None
        assert len(subject.arrived()) == 1
        assert "INV-42" in subject.shows()

    async def test_a_huge_message_arrives_within_every_limit(self, subject: Subject) -> None:
        """The other end is as strict as the vendor; what was cut is owned up to."""
        preview = subject.channel.preview(HUGE)
        outcome = await self._send(subject, HUGE)

        assert outcome.verdict is Verdict.DELIVERED, outcome.error
        assert all(meter.used <= meter.limit for meter in preview.meters), preview.meters
        assert preview.shortened

    def test_a_preview_is_the_same_each_time_and_is_json(self, subject: Subject) -> None:
        """It is shown to people and compared in tests; it must not depend on the moment."""
        first, second = subject.channel.preview(MESSAGE), subject.channel.preview(MESSAGE)

        assert first == second
        assert not first.shortened
        json.dumps(dict(first.payload))

    async def test_a_message_of_nothing_arrives(self, subject: Subject) -> None:
        """A template can come out empty, which must not be the vendor's error."""
        outcome = await self._send(subject, Message(title=" ", text="", at=MESSAGE.at, facts=(Fact("", ""),)))

        assert outcome.verdict is Verdict.DELIVERED, outcome.error

    async def test_control_characters_and_half_emoji_do_no_harm(self, subject: Subject) -> None:
        """Data of other systems holds such things; they must neither raise nor inject a header."""
        text = "a\ud83d b\x00c\r\nBcc: eve@example.com\u2028d"
        outcome = await self._send(subject, attrs.evolve(MESSAGE, title=text, text=text, source=text))

        assert outcome.verdict is Verdict.DELIVERED, outcome.error

    async def test_a_passing_failure_is_to_be_tried_again(self, subject: Subject) -> None:
        """The delivery engine decides by the verdict alone."""
        await subject.fail("retry")
        outcome = await self._send(subject)

        assert outcome.verdict is Verdict.RETRY
        assert outcome.error
        assert (await self._send(subject)).verdict is Verdict.DELIVERED

    async def test_a_lasting_failure_is_refused(self, subject: Subject) -> None:
        """Trying again would not help and costs goodwill."""
        await subject.fail("refused")
        outcome = await self._send(subject)

        assert outcome.verdict is Verdict.REFUSED
        assert outcome.error

    async def test_silence_is_to_be_tried_again(self, subject: Subject) -> None:
        """A hanging receiver must not hold a worker for ever."""
        await subject.fail("time-out")
        outcome = await self._send(subject)

        assert outcome.verdict is Verdict.RETRY
        assert outcome.error

    @pytest.mark.parametrize("how", ["none", "retry", "refused", "gone", "time-out"])
    async def test_no_outcome_tells_the_secret(self, subject: Subject, how: str) -> None:
        """Outcomes are stored, shown in the console and logged."""
        if how != "none" and (how != "gone" or subject.knows_gone):
            await subject.fail(how)
        outcome = await self._send(subject)

        assert subject.secret not in repr(outcome)
        assert subject.secret not in repr(subject.channel)


class GoneContract(MessageChannelContract):
    """For a channel whose protocol has a word for “gone for good”."""

    async def test_a_vanished_receiver_is_gone(self, subject: Subject) -> None:
        """The hub then stops using it and tells a person."""
        await subject.fail("gone")

        assert (await self._send(subject)).verdict is Verdict.GONE


class RetryAfterContract(MessageChannelContract):
    """For a channel whose protocol has a word for “not before”."""

    async def test_the_wait_that_is_asked_for_is_told(self, subject: Subject) -> None:
        """Asking again too early gets the hub banned."""
        await subject.fail("retry", retry_after=7)
        outcome = await self._send(subject)

        assert (outcome.verdict, outcome.retry_after) == (Verdict.RETRY, timedelta(seconds=7))


class DuplicatesContract(MessageChannelContract):
    """For a channel whose protocol lets a repetition be recognised."""

    async def test_a_second_try_can_be_told_apart(self, subject: Subject) -> None:
        """After a time-out nobody knows whether the first try arrived."""
        await self._send(subject, delivery_id="dlv_a")
        await self._send(subject, delivery_id="dlv_a")
        await self._send(subject, delivery_id="dlv_b")
        first, again, other = subject.arrived()

        assert first == again
        assert first != other
