"""Tokens: one for each endpoint, asked for once at a time, renewed in time, never in a record."""

import asyncio
import json
from datetime import timedelta

import pytest

from application.notifications.client_credentials import KNOWN, YOUNG, ClientCredentials, NoToken
from application.ports.outgoing import AddressRefused, Reply, Unreachable
from domain.notifications.grants import Grant
from tests.fakes.clock import FrozenClock
from tests.fakes.outgoing import FakeOutgoing, reply

GRANT = Grant("https://login.example/token", "id", "secret")


def granted(text: str, expires_in: int = 3600) -> Reply:
    """A token server's answer."""
    return reply(200, json.dumps({"access_token": text, "token_type": "Bearer", "expires_in": expires_in}))


class Bench:
    """Credentials, and the server that they ask."""

    def __init__(self, *script: Reply | Exception) -> None:
        self.clock = FrozenClock()
        self.server = FakeOutgoing(*script, otherwise=granted("more"))
        self.credentials = ClientCredentials(self.server, self.clock)

    async def text(self, endpoint: str = "wh_1", grant: Grant = GRANT) -> str:
        """The token."""
        return (await self.credentials.token(endpoint, grant)).text


async def test_a_token_is_kept_until_a_minute_before_it_expires() -> None:
    """A thousand deliveries an hour ask once."""
    bench = Bench(granted("one"), granted("two"))
    assert [await bench.text() for _ in range(3)] == ["one"] * 3
    bench.clock.advance(timedelta(seconds=3539))
    assert await bench.text() == "one"
    bench.clock.advance(timedelta(seconds=1))
    assert await bench.text() == "two"
    assert len(bench.server.requests) == 2


async def test_a_clock_that_is_set_back_does_not_keep_a_token_for_ever() -> None:
    """It would be used for hours after its end."""
    bench = Bench(granted("one"), granted("two"))
    await bench.text()
    bench.clock.advance(-timedelta(hours=5))
    assert await bench.text() == "two"


async def test_many_who_need_one_at_once_share_a_request() -> None:
    """Also its failure; and the next asks again."""
    bench = Bench(granted("one"), Unreachable("no route"), granted("three"))
    assert await asyncio.gather(*(bench.text() for _ in range(20))) == ["one"] * 20
    bench.clock.advance(timedelta(hours=1))
    failed = await asyncio.gather(*(bench.text() for _ in range(20)), return_exceptions=True)
    assert all(isinstance(one, NoToken) for one in failed)
    assert len(bench.server.requests) == 2
    assert await bench.text() == "three"


async def test_who_came_first_may_leave() -> None:
    """A delivery that is cut off does not take the others' token along."""
    bench = Bench(granted("one"))
    first, second = asyncio.create_task(bench.text()), asyncio.create_task(bench.text())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "one"
    assert len(bench.server.requests) == 1


async def test_a_refused_token_is_renewed_once() -> None:
    """Those that come later with the same refused token get the new one; a young one is not asked for again."""
    bench = Bench(granted("one"), granted("two"))
    old = await bench.credentials.token("wh_1", GRANT)
    assert await bench.credentials.token("wh_1", GRANT, refused=old) is old, "it is younger than 30 s"
    bench.clock.advance(YOUNG)
    new = await bench.credentials.token("wh_1", GRANT, refused=old)
    assert new.text == "two"
    assert await bench.credentials.token("wh_1", GRANT, refused=old) is new
    assert await bench.credentials.token("wh_1", GRANT, refused=new) is new
    assert len(bench.server.requests) == 2


async def test_other_settings_are_another_token() -> None:
    """A changed secret must not go on with what the old one got."""
    bench = Bench(granted("one"), granted("two"), granted("three"))
    assert await bench.text() == "one"
    assert await bench.text("wh_2") == "two"
    assert await bench.text("wh_1", Grant(GRANT.token_url, "id", "other")) == "three"


async def test_only_so_many_are_remembered() -> None:
    """The one that was not used for the longest time goes."""
    bench = Bench()
    for number in range(KNOWN):
        await bench.text(f"wh_{number}")
    await bench.text("wh_0")
    await bench.text("wh_new")
    asked = len(bench.server.requests)
    await bench.text("wh_0")
    assert len(bench.server.requests) == asked
    await bench.text("wh_1")
    assert len(bench.server.requests) == asked + 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Unreachable("login.example refused the connection", timed_out=False), "cannot be reached: login.example"),
        (AddressRefused("a private address"), "cannot be asked: a private address"),
        (reply(401, '{"error":"invalid_client"}'), "does not accept this client id and secret"),
        (reply(200, "hello"), "no access_token"),
    ],
)
async def test_every_failure_says_what_to_do(answer: Reply | Exception, said: str) -> None:
    """And never the secret."""
    with pytest.raises(NoToken) as failed:
        await Bench(answer).text()
    assert said in failed.value.reason
    assert GRANT.client_secret not in failed.value.reason.replace("id and secret", "")


async def test_a_busy_token_server_is_left_alone_as_long_as_it_asks() -> None:
    """Its Retry-After becomes the delivery's."""
    with pytest.raises(NoToken) as failed:
        await Bench(reply(429, "{}", {"Retry-After": "120"})).text()
    assert failed.value.retry_after == timedelta(seconds=120)
    with pytest.raises(NoToken) as late:
        await Bench(Unreachable("too slow", timed_out=True)).text()
    assert late.value.timed_out
