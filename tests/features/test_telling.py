"""The feature "Telling": who is told what, where, and that the same call again is the same deed."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pytest_bdd import given, parsers, scenarios, then, when

from application.notifications.configurations import SaveNotification
from application.notifications.endpoints import ChangeEndpoint, RemoveEndpoint
from application.notifications.publish_events import Published, PublishEvents
from application.once import Once
from application.ports.intake import NewEvent
from application.ports.store import Answer
from domain.notifications.attempts import Outcome, Verdict
from domain.notifications.deliveries import DeliveryState
from domain.notifications.message import Message
from tests.features.conftest import Run
from tests.features.studio import CHANNELS, Studio

scenarios("telling.feature")

APPLICATION = "the studio's application"


# Given


@given(parsers.re(r'(?P<place>Slack|Discord|mail) is told of "(?P<asked>.+)"'))
def is_told_of(studio: Studio, run: Run, place: str, asked: str) -> None:
    save, slug = studio.use(SaveNotification), CHANNELS[place]
    webhook = None if place == "mail" else f"https://{slug}.example/hooks/1"
    target = {"to": ["office@harbour-finch.example"]} if place == "mail" else None
    studio.scene.notifications[place] = run(
        save(
            studio.caller,
            name=f"{place} billing",
            platform=slug,
            events=tuple(asked.split(", ")),
            webhook_url=webhook,
            target=target,
        )
    )


@given("Grace has paused it")
def has_paused(studio: Studio, run: Run) -> None:
    id_ = studio.scene.listeners[APPLICATION].endpoint.id
    run(studio.use(ChangeEndpoint)(studio.caller, id_, active=False))


@given("Slack is away for a moment")
def slack_is_away(studio: Studio) -> None:
    away = Outcome(Verdict.RETRY, timedelta(milliseconds=5), status=503, error="Slack answered 503.")
    studio.town.channels[CHANNELS["Slack"]].next.append(away)


@given("the Slack channel was deleted")
def channel_deleted(studio: Studio) -> None:
    gone = Outcome(Verdict.GONE, timedelta(milliseconds=5), status=404, error="Slack answered no_service.")
    studio.town.channels[CHANNELS["Slack"]].next.append(gone)


# When


@when("Grace removes the application before anything was sent")
def removes(studio: Studio, run: Run) -> None:
    id_ = studio.scene.listeners[APPLICATION].endpoint.id
    run(studio.use(RemoveEndpoint)(studio.caller, id_))


@when(parsers.parse('the studio\'s application tells "{type_}" with degrees {degrees:d}'))
def tells(studio: Studio, run: Run, type_: str, degrees: int) -> None:
    publish = studio.use(PublishEvents)
    run(studio.attempt(publish.one(studio.caller, Published(type_, {"degrees": degrees}))))


@given(parsers.parse('it has told "{type_}" under the key "{key}"'))
@when(parsers.parse('it tells "{type_}" under the key "{key}"'))
def tells_under_a_key(studio: Studio, run: Run, type_: str, key: str) -> None:
    answer = run(studio.attempt(_call(studio, type_, key)))
    if answer is not None:
        studio.scene.answers.append(answer)


@when(parsers.parse('it tells "{type_}" under the key "{key}" twice at once'))
def tells_twice_at_once(studio: Studio, run: Run, type_: str, key: str) -> None:
    async def both() -> Any:
        return await asyncio.gather(*(_call(studio, type_, key) for _ in range(2)), return_exceptions=True)

    studio.scene.seen = run(both())


async def _call(studio: Studio, type_: str, key: str) -> bytes:
    """A call that carries a key, as the door takes it: the kept answer to one that was answered."""

    def render(events: Sequence[NewEvent]) -> tuple[int, bytes, Mapping[str, str]]:
        return 201, " ".join(event.payload.id for event in events).encode(), {}

    once = Once(key, f"tell {type_}", render)
    kept = await studio.use(PublishEvents).one(studio.caller, Published(type_, {}), once)
    if isinstance(kept, Answer):
        once.check(kept)
        return kept.body
    return render([kept])[1]


# Then


@then(parsers.re(r'(?P<place>Slack|Discord|mail) reads "(?P<text>.+)"'))
def reads(studio: Studio, run: Run, place: str, text: str) -> None:
    run(studio.settle_down())
    assert any(text in _words(message) for message in _messages(studio, place)), _messages(studio, place)


@then(parsers.re(r"(?P<place>Slack|Discord|mail) has (?P<count>\d+) messages?"))
def has_messages(studio: Studio, run: Run, place: str, count: str) -> None:
    run(studio.settle_down())
    assert len(_messages(studio, place)) == int(count)


@then(parsers.parse("the mail is addressed to {address}"))
def is_addressed(studio: Studio, run: Run, address: str) -> None:
    run(studio.settle_down())
    assert [sent.target for sent in studio.town.channels[CHANNELS["mail"]].sent] == [{"to": [address]}]


@then(parsers.parse('"{type_}" reaches Slack later'))
def reaches_later(studio: Studio, run: Run, type_: str) -> None:
    """A second try, and the same delivery."""
    run(studio.wait_until_quiet())
    sent = studio.town.channels[CHANNELS["Slack"]].sent
    assert len(sent) == 2
    assert len({one.delivery_id for one in sent}) == 1
    (delivery,) = run(studio.look(lambda work: work.deliveries.all(event_type=type_, state="delivered", attempts=2)))
    assert delivery.id == sent[0].delivery_id


@then("Slack is switched off")
def is_switched_off(studio: Studio, run: Run) -> None:
    run(studio.settle_down())
    id_ = studio.scene.notifications["Slack"].id
    notification = run(studio.look(lambda work: work.notifications.get(id_)))
    assert (notification.is_active, notification.reason) == (False, "Slack answered no_service.")


@then("nothing waits for the application any more")
def nothing_waits(studio: Studio, run: Run) -> None:
    assert run(studio.delivery(APPLICATION)).state is DeliveryState.CANCELLED


@then("it gets the same answer")
def same_answer(studio: Studio) -> None:
    first, second = studio.scene.answers
    assert first == second


@then("both get the same answer")
def both_get_the_same(studio: Studio) -> None:
    first, second = studio.scene.seen
    assert isinstance(first, bytes)
    assert first == second


# What these steps share.


def _messages(studio: Studio, place: str) -> list[Message]:
    """What is there to be read. What was sent to a place that was away or gone is not."""
    return [sent.message for sent in studio.town.channels[CHANNELS[place]].sent]


def _words(message: Message) -> str:
    facts = (f"{fact.label} {fact.value}" for fact in message.facts)
    return "\n".join((message.title, message.text, *facts))
