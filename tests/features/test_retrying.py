"""The feature "Retrying": asked again until it is heard, under one name, and never for ever."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import attrs
from pytest_bdd import given, parsers, scenarios, then, when

from application.delivery.tenure import LEASE
from application.notifications.deliver_due import DeliverDue
from application.notifications.endpoints import ChangeEndpoint, RotateSecret
from application.notifications.publish_events import Published, PublishEvents
from application.notifications.send_again import SendAgain
from application.ports.dispatch import Ready, Tried, Want
from application.ports.outgoing import Reply, Unreachable
from domain.notifications.attempts import Attempt, Outcome, Verdict
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.endpoints import Endpoint, EndpointState
from domain.notifications.options import Options
from domain.notifications.signing import UntrustedWebhook, verify
from tests.fakes.outgoing import reply
from tests.features.conftest import ADDRESSES, Run, arrivals_at, heard
from tests.features.studio import Studio

scenarios("retrying.feature")

APPLICATION = "the studio's application"
ANSWERS: dict[str, Reply | Exception] = {
    "answers 500 once": reply(500),
    "answers 404 once": reply(404),
    "answers 301 once": reply(301, headers={"Location": "https://elsewhere.example/"}),
    "cannot be reached once": Unreachable("connection refused"),
}


# Given


@given(parsers.parse("the application fails {times:d} times and then accepts"))
def fails(studio: Studio, times: int) -> None:
    studio.receivers.at(ADDRESSES[APPLICATION]).script.extend([reply(503)] * times)


@given(parsers.re("the application (?P<how>(answers|cannot be).+ once)"))
def fails_once(studio: Studio, how: str) -> None:
    studio.receivers.at(ADDRESSES[APPLICATION]).script.append(ANSWERS[how])


@given("the application fails for ever")
def fails_for_ever(studio: Studio) -> None:
    studio.receivers.at(ADDRESSES[APPLICATION]).otherwise = reply(503)


@given("the application is well again")
def is_well(studio: Studio) -> None:
    studio.receivers.at(ADDRESSES[APPLICATION]).otherwise = reply(200)


@given("the application is well again and has accepted one")
def has_accepted_one(studio: Studio, run: Run) -> None:
    is_well(studio)
    happens(studio, run, "kiln.fired")
    assert _last(studio, run).state is DeliveryState.DELIVERED


@given("the application's address has become forbidden")
def is_forbidden(studio: Studio) -> None:
    studio.receivers.at(ADDRESSES[APPLICATION]).refused.add("app.harbour-finch.example")


@given(parsers.parse("the application asks to be left alone for {minutes:d} minutes"))
def asks_to_be_left_alone(studio: Studio, minutes: int) -> None:
    answer = reply(429, headers={"Retry-After": str(minutes * 60)})
    studio.receivers.at(ADDRESSES[APPLICATION]).script.append(answer)


@given("the application says that it is gone")
def says_gone(studio: Studio) -> None:
    studio.receivers.at(ADDRESSES[APPLICATION]).script.append(reply(410))


@given(parsers.parse('a worker took up "{type_}" and died'))
def took_up_and_died(studio: Studio, run: Run, type_: str) -> None:
    has_just_happened(studio, run, type_)
    dispatch, now = studio.dispatch, studio.clock.now()
    generation = run(dispatch.enlist("wrk_dead", now, now + LEASE))
    (lane,) = run(dispatch.take(generation, run(dispatch.survey(generation, now)), now))
    (ready,) = run(dispatch.read([Want(lane.destination_id, 10)], now))[lane.destination_id].ready
    studio.scene.seen = generation, ready
    assert run(studio.use(DeliverDue)()) == 0, "what one worker holds no other takes"
    studio.clock.advance(LEASE)


@given(parsers.parse('"{type_}" has only just happened'))
def has_just_happened(studio: Studio, run: Run, type_: str) -> None:
    run(studio.use(PublishEvents).one(studio.caller, Published(type_, {"degrees": 1240})))


@given("workers have done what is due")
def have_done_what_is_due(studio: Studio, run: Run) -> None:
    run(studio.settle_down())


@given("the application wants one at a time")
def wants_one_at_a_time(studio: Studio, run: Run) -> None:
    async def save() -> None:
        async with studio.store.of(studio.caller.organisation_id) as work:
            endpoint = await work.endpoints.get(studio.scene.listeners[APPLICATION].endpoint.id)
            await work.endpoints.save(attrs.evolve(endpoint, options=Options(fifo=True)))
            await work.commit()

    run(save())


@given("Grace has switched it on again")
def has_switched_on(studio: Studio, run: Run) -> None:
    run(studio.use(ChangeEndpoint)(studio.caller, _endpoint(studio, run).id, active=True))


@given(parsers.re("Grace has changed the application's secret with (?P<grace>an hour of|no) grace"))
def has_changed_the_secret(studio: Studio, run: Run, grace: str) -> None:
    rotate = studio.use(RotateSecret)
    hours = {"an hour of": 1, "no": 0}[grace]
    studio.scene.seen = studio.scene.listeners[APPLICATION].secret
    issued = run(rotate(studio.caller, _endpoint(studio, run).id, grace=timedelta(hours=hours)))
    studio.scene.listeners[APPLICATION] = issued


@given("an hour has passed")
def hour_has_passed(studio: Studio) -> None:
    studio.clock.advance(timedelta(hours=1))


# When


@given(parsers.parse('"{type_}" has happened, and time has passed'))
@when(parsers.parse('"{type_}" happens, and time passes'))
def happens(studio: Studio, run: Run, type_: str) -> None:
    has_just_happened(studio, run, type_)
    run(studio.wait_until_quiet())


@when(parsers.parse("{count:d} things happen at once, and time passes"))
def many_happen(studio: Studio, run: Run, count: int) -> None:
    for _ in range(count):
        has_just_happened(studio, run, "kiln.fired")
    run(studio.wait_until_quiet())


@when("time passes")
def time_passes(studio: Studio, run: Run) -> None:
    run(studio.wait_until_quiet())


@given(parsers.parse("{count:d} deliveries were given up"))
@when(parsers.parse("{count:d} deliveries are given up"))
def are_given_up(studio: Studio, run: Run, count: int) -> None:
    before = len(_given_up(studio, run))
    for _ in range(count):
        has_just_happened(studio, run, "kiln.fired")
    run(studio.wait_until_quiet())
    assert len(_given_up(studio, run)) == before + count


@when("Grace sends it again")
def sends_again(studio: Studio, run: Run) -> None:
    deed = studio.use(SendAgain)(studio.caller, _last(studio, run).id)
    run(studio.attempt(deed))
    run(studio.wait_until_quiet())


# Then


@then(parsers.re(r"the application is asked (?P<times>once|\d+ times)"))
def is_asked(studio: Studio, run: Run, times: str) -> None:
    expected = 1 if times == "once" else int(times.split()[0])
    assert len(arrivals_at(studio, APPLICATION)) == expected


@then(parsers.re(r"the waits? in between (was|were) (?P<waits>.+)"))
def waits_were(studio: Studio, waits: str) -> None:
    moments = [arrival.at for arrival in arrivals_at(studio, APPLICATION)]
    between = [f"{(later - earlier).total_seconds():g} s" for earlier, later in pairwise(moments)]
    assert between == waits.split(", ")


@then(parsers.parse("the last time was {hours:d} hours after the first"))
def last_time(studio: Studio, hours: int) -> None:
    arrivals = arrivals_at(studio, APPLICATION)
    assert (arrivals[-1].at - arrivals[0].at) // timedelta(hours=1) == hours


@then(parsers.parse("it is left alone for {seconds:d} s after the first {count:d}"))
def is_left_alone(studio: Studio, seconds: int, count: int) -> None:
    moments = [arrival.at for arrival in arrivals_at(studio, APPLICATION)]
    assert moments[count - 1] == moments[0]
    assert moments[count] - moments[0] == timedelta(seconds=seconds)


@then(parsers.parse("it has accepted all of them, none after more than {count:d} attempts"))
def has_accepted_all(studio: Studio, run: Run, count: int) -> None:
    id_ = studio.scene.listeners[APPLICATION].endpoint.id
    deliveries = run(studio.look(lambda work: work.deliveries.all(destination_id=id_)))
    assert {one.state for one in deliveries} == {DeliveryState.DELIVERED}
    assert max(one.attempts for one in deliveries) <= count


@then(parsers.parse("the application is told {types} in this order"))
def is_told_in_order(studio: Studio, types: str) -> None:
    assert heard(studio, APPLICATION) == types.split(", ")


@then("it has accepted")
def has_accepted(studio: Studio, run: Run) -> None:
    assert _last(studio, run).state is DeliveryState.DELIVERED


@then("the delivery is given up")
def is_given_up(studio: Studio, run: Run) -> None:
    assert _last(studio, run).state is DeliveryState.FAILED
    assert run(studio.dispatch.next_due()) is None


@then("each time the name was the same and the signature held")
def same_name(studio: Studio) -> None:
    assert heard(studio, APPLICATION), "it was not asked at all"
    names = {arrival.request.headers["webhook-id"] for arrival in arrivals_at(studio, APPLICATION)}
    assert len(names) == 1


@then(parsers.parse("each time is on record with what was answered: {statuses}"))
def is_on_record(studio: Studio, run: Run, statuses: str) -> None:
    attempts = _attempts(studio, run)
    assert [str(attempt.outcome.status) for attempt in attempts] == statuses.split(", ")
    assert [attempt.number for attempt in attempts] == list(range(1, len(attempts) + 1))
    assert [attempt.at for attempt in attempts] == [arrival.at for arrival in arrivals_at(studio, APPLICATION)]


@then("what the dead worker says now is not recorded")
def late_word(studio: Studio, run: Run) -> None:
    """It holds the lane no more; its word would turn a delivery that arrived into one that failed."""
    generation, ready = studio.scene.seen
    assert isinstance(ready, Ready)
    failed = Outcome(Verdict.REFUSED, timedelta(), error="what the dead worker saw")
    after = ready.delivery.cancel("what the dead worker saw", studio.clock.now())
    attempt = Attempt("att_late", studio.caller.organisation_id, after.id, 1, studio.clock.now(), failed)
    lost = run(studio.dispatch.record(generation, [Tried(after, attempt)], [], studio.clock.now()))
    assert lost == {after.destination_id}
    assert _last(studio, run).state is DeliveryState.DELIVERED
    assert len(_attempts(studio, run)) == 1


@then(parsers.parse('the application is switched off: "{why}"'))
def is_switched_off(studio: Studio, run: Run, why: str) -> None:
    endpoint = _endpoint(studio, run)
    assert endpoint.state is EndpointState.DISABLED
    assert why in (endpoint.reason or "")


@then("the application is not switched off")
def is_not_switched_off(studio: Studio, run: Run) -> None:
    assert _endpoint(studio, run).state is EndpointState.ACTIVE


@then("both the old and the new secret fit")
def both_fit(studio: Studio) -> None:
    assert _fitting(studio) == (True, True)


@then("only the new secret fits")
def only_the_new_fits(studio: Studio) -> None:
    assert _fitting(studio) == (False, True)


# What these steps share.


def _endpoint(studio: Studio, run: Run) -> Endpoint:
    id_ = studio.scene.listeners[APPLICATION].endpoint.id
    endpoint: Endpoint = run(studio.look(lambda work: work.endpoints.get(id_)))
    return endpoint


def _last(studio: Studio, run: Run) -> Delivery:
    delivery: Delivery = run(studio.delivery(APPLICATION))
    return delivery


def _attempts(studio: Studio, run: Run) -> Sequence[Attempt]:
    id_ = _last(studio, run).id
    attempts: Sequence[Attempt] = run(studio.look(lambda work: work.attempts.of(id_)))
    return attempts


def _given_up(studio: Studio, run: Run) -> Sequence[Delivery]:
    id_ = _endpoint(studio, run).id
    failed: Sequence[Delivery] = run(
        studio.look(lambda work: work.deliveries.all(destination_id=id_, state=DeliveryState.FAILED))
    )
    return failed


def _fitting(studio: Studio) -> tuple[bool, bool]:
    """Whether the old secret and the new one fit what came last."""
    arrival = arrivals_at(studio, APPLICATION)[-1]

    def fits(secret: str) -> bool:
        try:
            verify(secret, arrival.request.headers, arrival.request.body, arrival.at)
        except UntrustedWebhook:
            return False
        return True

    return fits(studio.scene.seen), fits(studio.scene.listeners[APPLICATION].secret)
