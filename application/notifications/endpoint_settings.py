"""What can be set about an endpoint: checked together, its secrets sealed, everything else left as it is."""

import json
import posixpath
from collections.abc import Mapping
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs

from application.ports.outgoing import ClientIdentities, ClientIdentity, Outgoing
from application.ports.vault import Vault, WrongKey
from domain.gathering import Gathering
from domain.notifications.endpoints import Endpoint, EndpointMode, check_headers
from domain.notifications.envelopes import Envelope
from domain.notifications.grants import Grant, TokenAuth
from domain.notifications.options import LONGEST_LIFE_S, OptionSettings
from domain.refusals import Invalid

_ONLY_PUSHED = (
    "url", "headers", "oauth", "identity", "retries", "retries_by_type", "fifo", "rate_limit", "rate_period_s",
)  # fmt: skip
_ANYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # what a server listens on that listens everywhere
_NAT64 = IPv6Network("64:ff9b::/96")
"""IPv4 addresses as IPv6 ones (RFC 6052); the last 32 bits are the address."""


@attrs.frozen
class GrantSettings:
    """OAuth 2.0 client credentials as they are given. client_secret: None to keep the one there is."""

    token_url: str
    client_id: str
    client_secret: str | None = attrs.field(default=None, repr=False)
    scope: str | None = None
    audience: str | None = None
    auth: TokenAuth = TokenAuth.BASIC


class EndpointSettings(OptionSettings, total=False):
    """What is to change about an endpoint: what is left out stays, None is the usual again."""

    mode: EndpointMode | None
    url: str | None
    events: tuple[str, ...] | None
    name: str | None
    headers: Mapping[str, str] | None
    timeout_s: int | None
    oauth: GrantSettings | None
    identity: ClientIdentity | None


@attrs.frozen
class OwnAddresses:
    """Where this hub is itself. public_url: without a slash at its end. host, port: where it listens."""

    public_url: str
    host: str
    port: int

    def hold(self, url: str) -> bool:
        """Whether the URL leads back into the hub: to what it listens on, or to the API at its public address."""
        try:
            host, port, path = _place(url)
            public, public_port, prefix = _place(self.public_url)
        except ValueError:
            return False  # whoever checks the address will say what is wrong with it
        if port == self.port:
            if host in _ANYWHERE or host == self.host.lower():
                return True
            if (self.host in _ANYWHERE or _this_machine(self.host)) and _this_machine(host):
                return True
        api = f"{prefix.rstrip('/')}/api"
        return (host, port) == (public, public_port) and (path == api or path.startswith(f"{api}/"))


def _this_machine(host: str) -> bool:
    """Whether a host is a name or an address of this machine's own loopback, however it is written."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        inner = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped
        address = inner or address
    return address.is_loopback or address.is_unspecified


def _elsewhere(before: str, after: str) -> bool:
    """Whether an address leads to another host or port, or without TLS to where it led with it."""
    try:
        return bool(before and after) and (_place(before)[:2], before[:5].lower()) != (
            _place(after)[:2],
            after[:5].lower(),
        )
    except ValueError:
        return False  # it is refused anyway


def about(endpoint_id: str, organisation_id: str) -> str:
    """What an endpoint's secrets are sealed about."""
    return f"{organisation_id}/{endpoint_id}"


@attrs.define
class EndpointSetup:
    """Applies settings to an endpoint."""

    _vault: Vault
    _outgoing: Outgoing
    _identities: ClientIdentities
    _own: OwnAddresses

    async def check_addresses(self, given: EndpointSettings) -> None:
        """Look at the addresses that are given; not to be asked inside a unit of work.

        Raises AddressRefused naming `url` or `oauth.token_url`, or Invalid for an endpoint that is the hub itself.
        """
        url, oauth = given.get("url"), given.get("oauth")
        if url:
            if self._own.hold(url):
                raise Invalid.field("url", "This is the hub itself: it would feed itself with its own events.")
            await self._outgoing.check(url)
        if oauth is not None:
            await self._outgoing.check(oauth.token_url, field="oauth.token_url")

    def apply(self, endpoint: Endpoint, given: EndpointSettings, now: datetime) -> Endpoint:
        """The endpoint with these settings. Raises Invalid naming every field that is wrong."""
        wrong = Gathering()
        fields: dict[str, Any] = {"updated_at": now, "mode": given.get("mode", endpoint.mode) or EndpointMode.PUSH}
        for name, usual in (("url", ""), ("events", ("*",)), ("name", ""), ("timeout_s", 15)):
            if name in given:
                value = given[name]  # type: ignore[literal-required]
                fields[name] = usual if value is None else value.strip() if name == "name" else value
        with wrong():
            fields["options"] = endpoint.options.changed(given)
        if (
            _elsewhere(endpoint.url, fields.get("url", endpoint.url))
            and endpoint.sealed_headers
            and "headers" not in given
        ):
            wrong.add(
                "headers", "Its headers may hold secrets, which somewhere else must not see: give them again, or null."
            )
        for name, sealed in (("headers", self._headers), ("oauth", self._grant), ("identity", self._identity)):
            if name in given:
                with wrong():
                    fields[f"sealed_{name}"] = sealed(endpoint, given, now)
        changed = endpoint
        for name, value in fields.items():  # one by one, so that every mistake is named
            with wrong():
                changed = attrs.evolve(changed, **{name: value})
        if changed.mode is EndpointMode.POLL:
            for name in _ONLY_PUSHED:
                if given.get(name):
                    wrong.add(name, "A polled endpoint is not called: leave this out.")
            changed = _polled(changed)
        else:
            changed = self._pushed(changed, endpoint, given, wrong)
        wrong.close()
        return changed

    def _pushed(self, changed: Endpoint, before: Endpoint, given: EndpointSettings, wrong: Gathering) -> Endpoint:
        """What goes together only where the hub calls."""
        if not changed.url:
            wrong.add("url", "An endpoint needs an address, unless its mode is poll.")
        if changed.sealed_identity is not None and changed.url.lower().startswith("http:"):
            wrong.add("identity" if given.get("identity") else "url", "A client certificate needs an https:// address.")
        names = frozenset(name.lower() for name in self.header_names(changed))
        if changed.sealed_oauth is not None and "authorization" in names:
            wrong.add("oauth", "One of the endpoint's own headers is Authorization already.")
        if changed.options.signature_header in names:
            wrong.add("signature_header", "This is one of the endpoint's own headers.")
        if changed.options.shape.envelope is Envelope.CLOUDEVENTS_BINARY and any(n.startswith("ce-") for n in names):
            wrong.add("headers", "The envelope sets the headers that begin with ce- itself.")
        if before.polled and "expires_after_s" not in given:
            changed = attrs.evolve(changed, options=attrs.evolve(changed.options, expires_after_s=None))
        return changed

    def header_names(self, endpoint: Endpoint) -> tuple[str, ...]:
        """The names of the endpoint's own headers; none where they cannot be opened."""
        return tuple(self._opened(endpoint, endpoint.sealed_headers) or ())

    def grant(self, endpoint: Endpoint) -> Grant | None:
        """The endpoint's client credentials, without their secret; None where there are none that can be opened."""
        fields = self._opened(endpoint, endpoint.sealed_oauth)
        return None if fields is None else attrs.evolve(Grant.from_json(json.dumps(fields)), client_secret="set")  # noqa: S106

    def _headers(self, endpoint: Endpoint, given: EndpointSettings, _: datetime) -> str | None:
        headers = check_headers(given.get("headers") or {})
        return self._sealed(endpoint, json.dumps(dict(headers))) if headers else None

    def _grant(self, endpoint: Endpoint, given: EndpointSettings, _: datetime) -> str | None:
        asked = given.get("oauth")
        if asked is None:
            return None
        secret = asked.client_secret
        if secret is None:
            kept = self._opened(endpoint, endpoint.sealed_oauth) or {}
            # Somewhere else the secret that is kept must not be shown: whoever changes the address may not know it.
            if (kept.get("token_url"), kept.get("client_id")) == (asked.token_url, asked.client_id):
                secret = kept.get("client_secret")
        if secret is None:
            raise Invalid.field("oauth.client_secret", "The secret is needed for this token_url and client_id.")
        grant = Grant(asked.token_url, asked.client_id, secret, asked.scope, asked.audience, asked.auth)
        return self._sealed(endpoint, grant.to_json())

    def _identity(self, endpoint: Endpoint, given: EndpointSettings, now: datetime) -> str | None:
        identity = given.get("identity")
        if identity is None:
            return None
        self._identities.check(identity, now=now, field="identity")
        return self._sealed(endpoint, json.dumps({"certificate": identity.certificate, "key": identity.key}))

    def _sealed(self, endpoint: Endpoint, text: str) -> str:
        return self._vault.seal(text, about=about(endpoint.id, endpoint.organisation_id))

    def _opened(self, endpoint: Endpoint, sealed: str | None) -> Any:
        if sealed is None:
            return None
        try:
            return json.loads(self._vault.open(sealed, about=about(endpoint.id, endpoint.organisation_id)))
        except WrongKey:
            return None


def _polled(endpoint: Endpoint) -> Endpoint:
    """Without what belongs to calling; and nothing waits for ever for a receiver that never comes."""
    options = endpoint.options
    kept = attrs.evolve(
        options,
        retries=None,
        retries_by_type={},
        fifo=False,
        rate=None,
        expires_after_s=options.expires_after_s or LONGEST_LIFE_S,
    )
    return attrs.evolve(endpoint, url="", options=kept, sealed_headers=None, sealed_oauth=None, sealed_identity=None)


def _place(url: str) -> tuple[str, int, str]:
    """Host, port and the path as a server understands it. Raises ValueError."""
    parts = urlsplit(url.strip())
    port = parts.port or (443 if parts.scheme.lower() == "https" else 80)
    path = posixpath.normpath(f"/{unquote(parts.path)}").replace("//", "/")
    return (parts.hostname or "").rstrip("."), port, path
