"""OAuth 2.0 client credentials of an endpoint: what the hub shows to a token server, and what that answers (RFC 6749, 4.4)."""

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from urllib.parse import quote_plus, urlencode

import attrs

from domain.refusals import Fault, Invalid

UNSTATED_LIFE = timedelta(minutes=5)
"""How long a token is used whose server does not say (RFC 6749, section 5.1, only recommends that it does)."""

LONGEST_LIFE = timedelta(days=1)
"""After this a token is asked for anew, whatever its server says."""

MARGIN = timedelta(minutes=1)
"""A token is replaced this long before it expires, or at half its life if that is later."""

LONGEST_TOKEN = 8 * 1024
_VISIBLE = re.compile(r"[\x20-\x7e]+")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=:!@#$%^&*|,;()\[\]{}<>?'-]+")
_FORM = "application/x-www-form-urlencoded"

REASONS: Mapping[str, str] = {
    "invalid_client": "it does not accept this client id and secret, or not sent in this way (auth: basic or body)",
    "invalid_scope": "it does not grant this scope",
    "unauthorized_client": "this client may not ask for tokens by client credentials",
    "unsupported_grant_type": "it gives no tokens for client credentials",
    "invalid_request": "it finds the request incomplete; some servers want a scope or an audience",
    "invalid_grant": "it does not accept the grant",
    "access_denied": "it denies this client a token",
}
"""What the error codes of RFC 6749, section 5.2, mean for whoever set the endpoint up."""


class TokenAuth(Enum):
    """How the client shows who it is (RFC 6749, section 2.3.1)."""

    BASIC = "basic"
    """In the Authorization header, which every server has to understand."""
    BODY = "body"
    """In the form, as client_id and client_secret."""


@attrs.frozen
class Grant:
    """What it takes to get a token. Raises Invalid, naming `oauth.<field>`.

    scope: names parted by spaces, as the server defines them. audience: for servers that ask for one (Auth0, Okta); it is
    no part of RFC 6749.
    """

    token_url: str
    client_id: str
    client_secret: str = attrs.field(repr=False)
    scope: str | None = None
    audience: str | None = None
    auth: TokenAuth = TokenAuth.BASIC

    def __attrs_post_init__(self) -> None:
        faults: list[Fault] = []
        for name, most in (("client_id", 500), ("client_secret", 4000), ("audience", 2000)):
            text = getattr(self, name)
            if text is not None and not (len(text) <= most and _VISIBLE.fullmatch(text)):
                faults.append(Fault(f"oauth.{name}", f"1 to {most} printable ASCII characters."))
        if self.scope is not None and not (len(self.scope) <= 2000 and _SCOPE.fullmatch(self.scope)):
            faults.append(Fault("oauth.scope", "Names parted by single spaces, of printable ASCII characters."))
        if not 1 <= len(self.token_url) <= 2000:
            faults.append(Fault("oauth.token_url", "An address of at most 2000 characters."))
        if faults:
            raise Invalid(*faults)

    @property
    def request(self) -> tuple[dict[str, str], bytes]:
        """The headers and the body of the request for a token (RFC 6749, sections 4.4.2 and 2.3.1)."""
        form = {"grant_type": "client_credentials"}
        if self.scope is not None:
            form["scope"] = self.scope
        if self.audience is not None:
            form["audience"] = self.audience
        headers = {"content-type": _FORM, "accept": "application/json"}
        if self.auth is TokenAuth.BODY:
            form |= {"client_id": self.client_id, "client_secret": self.client_secret}
        else:
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        return headers, urlencode(form).encode()

    def to_json(self) -> str:
        """As it is sealed."""
        return json.dumps(attrs.asdict(self, value_serializer=lambda _, __, v: v.value if isinstance(v, Enum) else v))

    @classmethod
    def from_json(cls, text: str) -> "Grant":
        """As it was before it was sealed."""
        fields = json.loads(text)
        return cls(**{**fields, "auth": TokenAuth(fields["auth"])})


@attrs.frozen
class Token:
    """A token that was granted. renew_at: when it is time for another."""

    text: str = attrs.field(repr=False)
    taken_at: datetime
    renew_at: datetime


class NotGranted(Exception):
    """The token server gave no token; the text says why, without a secret."""


def read_token(status: int, body: bytes, now: datetime, secret: str = "") -> Token:
    """The token in a token server's answer (RFC 6749, section 5.1).

    secret: the client's, which is taken out of what the server says. Raises NotGranted.
    """
    said = _json(body)
    if not 200 <= status < 300:
        raise NotGranted(f"The token server answered {status}{_error(said, secret)}.")
    if isinstance(said.get("error"), str):  # some servers answer 200 to everything
        raise NotGranted(f"The token server gave no token{_error(said, secret)}.")
    text, kind = said.get("access_token"), said.get("token_type", "Bearer")
    if not isinstance(text, str) or not text:
        raise NotGranted("The token server's answer holds no access_token (RFC 6749, section 5.1).")
    if len(text) > LONGEST_TOKEN or not _TOKEN.fullmatch(text):
        raise NotGranted(f"The token is longer than {LONGEST_TOKEN // 1024} KiB, or cannot stand in a header.")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise NotGranted(f"The token is of the type '{str(kind)[:40]}'; only Bearer tokens can be used.")
    life = _life(said.get("expires_in"))
    return Token(text, now, now + max(life / 2, life - MARGIN))


def _life(value: object) -> timedelta:
    """expires_in: seconds, by some servers as a text."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(?:\.[0-9]*)?", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return UNSTATED_LIFE
    return timedelta(seconds=min(value, LONGEST_LIFE.total_seconds()))


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _error(said: Mapping[str, Any], secret: str) -> str:
    code, told = said.get("error"), said.get("error_description")
    if not isinstance(code, str):
        return ""
    parts = [_clean(code, secret, 60), REASONS.get(code, "")]
    if isinstance(told, str) and told.strip():
        parts.append(f'it says "{_clean(told, secret, 200)}"')
    return ": " + "; ".join(part for part in parts if part)


def _clean(text: str, secret: str, most: int) -> str:
    if secret:
        text = text.replace(secret, "•••")
    return "".join(c if c.isprintable() else " " for c in text).strip().rstrip(".")[:most]
