"""The public keys of v1a signatures: for receivers as a JSON Web Key Set, for the organisation with its rotation."""

import hashlib
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody, QueryParameter

from application.caller import Caller
from application.notifications.signing_keys import SigningKeys
from application.ports.clock import Clock
from application.ports.store import Store
from domain.notifications.signatures import SigningKeyPair, live
from domain.organisations import Scope
from entrypoints.api.errors import PROBLEM_JSON, Problem
from entrypoints.settings import Settings

PATH = "/.well-known/jwks.json"
MAX_AGE = 300
"""Seconds for which a receiver may keep the set. It also asks again when a request names a key it does not know."""

MEDIA_TYPE = "application/jwk-set+json"
"""RFC 7517, section 8.5.2."""


class JwkView(msgspec.Struct, frozen=True):
    """A public key (RFC 7517, RFC 8037 section 2): `x` is its 32 bytes in base64url."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class JwksView(msgspec.Struct, frozen=True):
    """A JSON Web Key Set (RFC 7517, section 5)."""

    keys: list[JwkView]


class SigningKeyView(msgspec.Struct, frozen=True):
    """A public key. `id` is its `kid` in the JWKS; `expires_at` is set once a newer one has taken its place."""

    id: str
    public: str
    jwk: JwkView
    created_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, pair: SigningKeyPair) -> "SigningKeyView":
        return cls(pair.id, pair.public, JwkView(**pair.jwk), pair.created_at, pair.expires_at)


class SigningKeysView(msgspec.Struct, frozen=True):
    """The keys that sign the organisation's webhooks now, newest first, and where receivers find them."""

    keys: list[SigningKeyView]
    jwks_url: str

    @classmethod
    def of(cls, pairs: tuple[SigningKeyPair, ...], organisation_id: str, public_url: str) -> "SigningKeysView":
        return cls([SigningKeyView.of(pair) for pair in pairs], f"{public_url}{PATH}?organisation={organisation_id}")


class SigningKeyRotated(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """For how many seconds the old key still signs along."""

    grace_seconds: Annotated[int, msgspec.Meta(ge=0, le=604800)] = 86400


class WebhookSigningKey(Controller):
    """The organisation's key pair for v1a signatures."""

    path = "/api/webhooks/signing-key"
    tags = ("Webhooks",)

    @get("/", scope=Scope.WEBHOOKS_READ, summary="The public signing keys")
    async def get_signing_key(
        self,
        caller: NamedDependency[Caller],
        signing_keys: NamedDependency[SigningKeys],
        settings: NamedDependency[Settings],
    ) -> SigningKeysView:
        """The first question makes the key pair. Its private half never leaves the hub."""
        pairs = await signing_keys.current(caller.organisation_id)
        return SigningKeysView.of(pairs, caller.organisation_id, settings.public_url)

    @post("/rotate", scope=Scope.WEBHOOKS_WRITE, status_code=200, summary="Rotate the signing key")
    async def rotate_signing_key(
        self,
        caller: NamedDependency[Caller],
        signing_keys: NamedDependency[SigningKeys],
        settings: NamedDependency[Settings],
        data: JSONBody[SigningKeyRotated | None] = None,
    ) -> SigningKeysView:
        """Until the grace is over, deliveries carry the signatures of both keys and the JWKS shows both."""
        grace = timedelta(seconds=(data or SigningKeyRotated()).grace_seconds)
        pairs = await signing_keys.rotate(caller, grace=grace)
        return SigningKeysView.of(pairs, caller.organisation_id, settings.public_url)


class Jwks(Controller):
    """Not under /api: receivers have no key of ours."""

    tags = ("Webhooks",)

    @get(
        PATH,
        public=True,
        media_type=MEDIA_TYPE,
        summary="Public keys of webhook signatures",
        # As document.py has it for what is under /api.
        responses={400: ResponseSpec(Problem, False, "Bad Request", media_type=PROBLEM_JSON)},
    )
    async def get_jwks(
        self,
        request: Request[Any, Any, Any],
        store: NamedDependency[Store],
        clock: NamedDependency[Clock],
        organisation: Annotated[str | None, QueryParameter(name="organisation", required=False)] = None,
    ) -> Response[JwksView]:
        """Every key that signs now (RFC 7517, RFC 8037). Trust those of one organisation only: `?organisation=org_…`."""
        pairs = await _live(store, clock.now(), organisation)
        body = msgspec.json.encode(JwksView([JwkView(**pair.jwk) for pair in pairs]))
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": f"public, max-age={MAX_AGE}"}
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        # RFC 9110, section 13.1.2. The body is made already: the ETag is its digest.
        answer: Response[Any] = (
            Response(b"", status_code=304, headers=headers, media_type=MEDIA_TYPE)
            if known & {etag, "*"}
            else Response(body, headers=headers, media_type=MEDIA_TYPE)
        )
        return answer


async def _live(store: Store, now: datetime, organisation_id: str | None) -> tuple[SigningKeyPair, ...]:
    if organisation_id is None:
        return await store.live_signing_keys(now)
    async with store.reading(organisation_id) as work:
        return live(await work.signing_keys.all(), now)
