"""The key pair of v1a signatures over HTTP: shown, rotated, and published as a JSON Web Key Set."""

import asyncio
from base64 import b64decode, urlsafe_b64decode
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from application.notifications.signing_keys import SigningKeys
from application.ports.store import Store
from domain.organisations import Scope
from entrypoints.api.jwks import MEDIA_TYPE
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, MovingClock, a_key, asking, both_databases, faults, made, read

PATH = "/api/webhooks/signing-key"
JWKS = "/.well-known/jwks.json"


@both_databases
async def test_a_key_is_made_shown_rotated_and_published(client: Client, clock: MovingClock) -> None:
    """The whole life of a key pair, and what receivers see of it meanwhile."""
    assert (await client.get(JWKS)).json() == {"keys": []}
    shown = await read(client, PATH)
    (first,) = shown["keys"]
    assert await read(client, PATH) == shown
    assert first["id"].startswith("sgk_")
    assert first["public"].startswith("whpk_")
    assert b64decode(first["public"][5:]) == urlsafe_b64decode(first["jwk"]["x"] + "=")
    rotated = await made(client, f"{PATH}/rotate", {"grace_seconds": 3600}, status=200)
    second, ending = rotated["keys"]
    assert (ending["id"], second["expires_at"]) == (first["id"], None)
    assert ending["expires_at"] is not None
    path = "".join(shown["jwks_url"].partition("/.well-known")[1:])
    assert (await client.get(path)).json()["keys"] == [second["jwk"], first["jwk"]]
    clock.advance(timedelta(hours=1))
    assert (await client.get(path)).json()["keys"] == [second["jwk"]]
    assert [key["id"] for key in (await read(client, PATH))["keys"]] == [second["id"]]
    actions = [entry["action"] for entry in (await read(client, "/api/audit"))["items"]]
    assert {"webhook.signing_key_made", "webhook.signing_key_rotated"} <= set(actions)
    assert "whsk_" not in str(shown) + str(rotated)


@both_databases
async def test_processes_that_ask_at_once_make_one_pair(hub: Hub, organisation: str) -> None:
    """Each with a connection of its own: the database decides."""
    found = await asyncio.gather(*(hub.resolve(SigningKeys).current(organisation) for _ in range(6)))
    assert len({pairs[0].id for pairs in found}) == 1
    async with hub.resolve(Store).reading(organisation) as work:  # type: ignore[type-abstract]
        assert len(await work.signing_keys.all()) == 1


async def test_what_the_hub_signs_fits_what_it_publishes(client: Client, hub: Hub, organisation: str) -> None:
    """The two halves meet at the receiver."""
    (key,) = await hub.resolve(SigningKeys).for_delivery(organisation)
    (jwk,) = (await client.get(JWKS, params={"organisation": organisation})).json()["keys"]
    assert jwk["kid"] == key.id
    assert {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA"}.items() <= jwk.items()
    Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(jwk["x"] + "=")).verify(key.sign(b"content"), b"content")


async def test_the_set_is_for_everyone_and_may_be_kept_for_a_while(client: Client) -> None:
    """Receivers have no key of ours, and many of them ask."""
    await read(client, PATH)
    del client.headers["authorization"]
    answer = await client.get(JWKS)
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPE)
    assert answer.headers["cache-control"] == "public, max-age=300"
    again = await client.get(JWKS, headers={"If-None-Match": f'"other", W/{answer.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    changed = await client.get(JWKS, headers={"If-None-Match": '"other"'})
    assert (changed.status_code, changed.json()) == (200, answer.json())


async def test_the_set_of_nobody_is_empty_and_makes_nothing(client: Client, hub: Hub, organisation: str) -> None:
    """Whoever asks without a key can neither find out who is there nor write."""
    for name in ("org_nobody", "", "\0", "ü" * 5000, organisation):
        answer = await client.get(JWKS, params={"organisation": name})
        assert (answer.status_code, answer.json()) == (200, {"keys": []})
    store = hub.resolve(Store)  # type: ignore[type-abstract]
    async with store.reading(organisation) as work:
        assert await work.signing_keys.all() == ()


async def test_an_organisation_sees_and_changes_its_own_key_only(client: Client, other_client: Client) -> None:
    """In the API, and in the set that names it."""
    mine, theirs = await read(client, PATH), await read(other_client, PATH)
    assert mine["keys"][0]["id"] != theirs["keys"][0]["id"]
    await made(other_client, f"{PATH}/rotate", {"grace_seconds": 0}, status=200)
    assert await read(client, PATH) == mine
    path = "".join(mine["jwks_url"].partition("/.well-known")[1:])
    assert (await client.get(path)).json()["keys"] == [mine["keys"][0]["jwk"]]
    assert len((await client.get(JWKS)).json()["keys"]) == 2


async def test_a_rotation_needs_the_right_to_write(client: Client, hub: Hub, organisation: str, app: Any) -> None:
    """A key that may read may look."""
    async with asking(app, await a_key(hub, organisation, frozenset({Scope.WEBHOOKS_READ}))) as reader:
        await read(reader, PATH)
        assert (await reader.post(f"{PATH}/rotate")).status_code == 403
    async with asking(app, await a_key(hub, organisation, frozenset({Scope.EVENTS_WRITE}))) as stranger:
        assert (await stranger.get(PATH)).status_code == 403


async def test_a_wrong_rotation_names_its_field_and_changes_nothing(client: Client) -> None:
    """Out of bounds, of another kind, misspelt."""
    shown = await read(client, PATH)
    for body in ({"grace_seconds": -1}, {"grace_seconds": 604801}, {"grace_seconds": "x"}, {"grace": 1}):
        answer = await client.post(f"{PATH}/rotate", json=body)
        assert answer.status_code in (400, 422)
        assert faults(answer) == set(body)
    assert await read(client, PATH) == shown
