"""Setting up endpoints: secrets sealed, mistakes named, and no endpoint that is the hub itself."""

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from adapters.http.tls import TlsIdentities
from application.caller import Caller
from application.notifications.endpoint_settings import EndpointSetup, GrantSettings, OwnAddresses
from application.notifications.endpoints import ChangeEndpoint, CreateEndpoint, RemoveEndpoint
from application.notifications.looking import LookAtEndpoints
from application.ports.outgoing import AddressRefused, ClientIdentity
from domain.notifications.deliveries import DeliveryState
from domain.notifications.endpoints import MAX_ENDPOINTS, EndpointMode
from domain.notifications.envelopes import Envelope
from domain.notifications.signatures import SignatureStyle
from domain.refusals import Conflict, Invalid
from tests.contract.certificates import Authority
from tests.fakes.outgoing import FakeOutgoing
from tests.unit.application.bench import Bench

OWN = OwnAddresses("https://hub.example/patch", "0.0.0.0", 8000)
URL = "https://receiver.example/hook"
GRANT = GrantSettings("https://login.example/token", "id", "s3cret")


class Desk:
    """The use cases on a bench."""

    def __init__(self, bench: Bench) -> None:
        assert isinstance(bench.outgoing, FakeOutgoing)
        self.bench, self.caller = bench, Caller(bench.org, "key:test")
        self.setup = EndpointSetup(bench.vault, bench.outgoing, TlsIdentities(), OWN)
        store, tell, clock = bench.store, bench.tell, bench.clock
        self.creating = CreateEndpoint(store, tell, clock, bench.ids, bench.vault, self.setup)
        self.changing = ChangeEndpoint(store, tell, clock, self.setup)
        self.looking = LookAtEndpoints(store, bench.dispatch, clock, self.setup)

    def identity(self) -> ClientIdentity:
        """A client certificate that is valid: it is of today, and so is the clock then."""
        self.bench.clock.advance(datetime.now(UTC) - self.bench.clock.now())
        return Authority().identity()

    async def create(self, **given: Any) -> Any:
        """A new endpoint."""
        return (await self.creating(self.caller, **{"url": URL, **given})).endpoint

    async def change(self, id: str, **given: Any) -> Any:
        """The changed one."""
        return await self.changing(self.caller, id, **given)

    async def wrong(self, **given: Any) -> set[str]:
        """The fields that a refusal names."""
        with pytest.raises(Invalid) as refused:
            await self.create(**given)
        return {fault.field for fault in refused.value.faults}


@pytest.fixture
async def desk(bench: Bench) -> Desk:
    """Of an organisation without endpoints."""
    return Desk(bench)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://hub.example/patch/api/events", True),
        ("http://[::ffff:127.0.0.1]:8000/", True),
        ("http://[64:ff9b::7f00:1]:8000/", True),
        ("http://127.0.0.2:8000/", True),
        ("https://HUB.example:443/patch//api/../api/events", True),
        ("https://hub.example/patch/%61pi/events", True),
        ("https://hub.example./patch/api", True),
        ("https://hub.example/patch/apiary", False),
        ("https://hub.example/hooks", False),
        ("https://hub.example:8443/patch/api/events", False),
        ("http://localhost:8000/", True),
        ("http://127.0.0.1:8000/anything", True),
        ("http://[::1]:8000/", True),
        ("http://0.0.0.0:8000/", True),
        ("http://127.0.0.1:8001/", False),
        ("http://x:99999999/", False),
        ("http://[", False),
    ],
)
def test_the_hub_knows_itself(url: str, own: bool) -> None:
    """An endpoint that is the hub would feed it with its own events for ever."""
    assert OWN.hold(url) is own


async def test_an_endpoint_that_is_the_hub_itself_is_refused(desk: Desk) -> None:
    """Also when an address is changed into that."""
    assert await desk.wrong(url="https://hub.example/patch/api/events") == {"url"}
    endpoint = await desk.create()
    with pytest.raises(Invalid, match="feed itself"):
        await desk.change(endpoint.id, url="http://localhost:8000/api/events")


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"url": None}, {"url"}),
        ({"timeout_s": 0}, {"timeout_s"}),
        ({"timeout_s": 31}, {"timeout_s"}),
        ({"name": "x" * 201}, {"name"}),
        ({"events": ()}, {"events"}),
        ({"events": ("a.b",) * 201}, {"events"}),
        ({"events": ("No",)}, {"events.0"}),
        ({"headers": {"Host": "x"}}, {"headers.Host"}),
        ({"headers": {"X-A": "1", "x-a": "2"}}, {"headers"}),
        ({"headers": {"Webhook-Key-Id": "x"}}, {"headers.Webhook-Key-Id"}),
        ({"headers": {"Authorization": "x"}, "oauth": GRANT}, {"oauth"}),
        ({"headers": {"CE-Id": "x"}, "envelope": Envelope.CLOUDEVENTS_BINARY}, {"headers"}),
        (
            {"headers": {"X-Signature": "x"}, "signature": SignatureStyle.STRIPE, "signature_header": "x-signature"},
            {"signature_header"},
        ),
        ({"oauth": attrs.evolve(GRANT, client_secret=None)}, {"oauth.client_secret"}),
        ({"oauth": attrs.evolve(GRANT, client_id="")}, {"oauth.client_id"}),
        ({"identity": ClientIdentity("no", "no")}, {"identity.certificate"}),
        ({"mode": EndpointMode.POLL}, {"url"}),
        ({"mode": EndpointMode.POLL, "url": None, "fifo": True, "retries": (1,)}, {"fifo", "retries"}),
        ({"mode": EndpointMode.POLL, "url": None, "headers": {"a": "b"}, "oauth": GRANT}, {"headers", "oauth"}),
        ({"name": "x" * 201, "timeout_s": 0, "filter": "("}, {"name", "timeout_s", "filter"}),
    ],
)
async def test_each_mistake_is_named(desk: Desk, given: dict[str, Any], fields: set[str]) -> None:
    """As the caller named it, all of them at once; and nothing is kept."""
    assert await desk.wrong(**given) == fields
    async with desk.bench.look() as work:
        assert await work.endpoints.all() == ()


async def test_both_addresses_are_looked_at(desk: Desk) -> None:
    """The token server gets a secret: it is guarded like every other address that is typed."""
    assert isinstance(desk.bench.outgoing, FakeOutgoing)
    desk.bench.outgoing.refused |= {"login.example"}
    with pytest.raises(AddressRefused) as refused:
        await desk.create(oauth=GRANT)
    assert refused.value.faults[0].field == "oauth.token_url"


async def test_secrets_are_sealed_and_stay_until_they_are_cleared(desk: Desk) -> None:
    """A change of the name must not lose them; the look says that they are there, and no more."""
    identity = desk.identity()
    endpoint = await desk.create(headers={"X-Token": "tok"}, oauth=GRANT, identity=identity)
    changed = await desk.change(endpoint.id, name="other")
    for field in ("sealed_headers", "sealed_oauth", "sealed_identity"):
        assert getattr(changed, field) == getattr(endpoint, field) is not None
    look = await desk.looking.one(desk.bench.org, endpoint.id)
    assert look.headers == ("X-Token",)
    assert look.grant is not None
    assert (look.grant.client_id, look.grant.client_secret) == ("id", "set")
    cleared = await desk.change(endpoint.id, headers=None, oauth=None, identity=None)
    assert (cleared.sealed_headers, cleared.sealed_oauth, cleared.sealed_identity) == (None, None, None)


async def test_a_kept_client_secret_is_not_sent_elsewhere(desk: Desk) -> None:
    """Whoever changes the token server's address has to know the secret; a new scope needs none."""
    endpoint = await desk.create(oauth=GRANT)
    same = attrs.evolve(GRANT, client_secret=None, scope="read")
    changed = await desk.change(endpoint.id, oauth=same)
    carrier = desk.bench.carry.to_endpoint(changed)
    assert carrier._grant is not None
    assert (carrier._grant.client_secret, carrier._grant.scope) == ("s3cret", "read")
    with pytest.raises(Invalid) as refused:
        await desk.change(endpoint.id, oauth=attrs.evolve(same, token_url="https://thief.example/"))
    assert refused.value.faults[0].field == "oauth.client_secret"


async def test_a_client_certificate_needs_https(desk: Desk) -> None:
    """Over http nobody would ask for it."""
    identity = desk.identity()
    assert await desk.wrong(url="http://receiver.example/", identity=identity) == {"identity"}
    endpoint = await desk.create(identity=identity)
    with pytest.raises(Invalid) as refused:
        await desk.change(endpoint.id, url="http://receiver.example/")
    assert refused.value.faults[0].field == "url"


async def test_what_waits_changes_sides_with_the_mode(desk: Desk) -> None:
    """Nothing is lost when an endpoint is polled from now on, or called again."""
    endpoint = await desk.create(headers={"X-Token": "tok"}, fifo=True)
    await desk.bench.tell_all(3)
    polled = await desk.change(endpoint.id, mode=EndpointMode.POLL)
    assert (polled.url, polled.sealed_headers, polled.options.fifo) == ("", None, False)
    assert polled.options.expires_after_s == 604800
    assert {d.state for d in await desk.bench.deliveries(endpoint.id)} == {DeliveryState.WAITING}
    with pytest.raises(Invalid):
        await desk.change(endpoint.id, mode=EndpointMode.PUSH)
    pushed = await desk.change(endpoint.id, mode=EndpointMode.PUSH, url=URL)
    assert pushed.options.expires_after_s is None
    assert {d.state for d in await desk.bench.deliveries(endpoint.id)} == {DeliveryState.PENDING}
    assert await desk.bench.deliver() == 3


async def test_an_organisation_has_a_thousand_endpoints_at_most(desk: Desk) -> None:
    """Each event is matched against each of them; removing one makes room."""
    endpoints = [desk.bench.make.endpoint(desk.bench.org) for _ in range(MAX_ENDPOINTS)]
    await desk.bench.add("endpoints", *endpoints)
    with pytest.raises(Conflict, match="at most 1000"):
        await desk.create()
    await RemoveEndpoint(desk.bench.store, desk.bench.tell, desk.bench.clock)(desk.caller, endpoints[0].id)
    await desk.create()


async def test_somewhere_else_does_not_get_to_see_the_headers(desk: Desk) -> None:
    """Whoever may change an address could otherwise read the tokens that are shown to nobody."""
    endpoint = await desk.create(headers={"X-Token": "s3cret"})
    for url in ("https://elsewhere.example/hook", "https://receiver.example:8443/hook", "http://receiver.example/hook"):
        with pytest.raises(Invalid) as refused:
            await desk.change(endpoint.id, url=url)
        assert [fault.field for fault in refused.value.faults] == ["headers"]
    moved = await desk.change(endpoint.id, url="https://receiver.example/other")
    assert moved.sealed_headers == endpoint.sealed_headers
    for headers in ({"X-Token": "new"}, None):
        moved = await desk.change(endpoint.id, url="https://elsewhere.example/hook", headers=headers)
        assert moved.url == "https://elsewhere.example/hook"
    assert moved.sealed_headers is None
