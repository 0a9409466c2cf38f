"""PayPal's REST API, opened with one connection's credentials, and what its answers mean for the hub."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, final

from adapters.http.vendor import TIMEOUT, VendorAnswer, VendorHttp
from adapters.oauth.tokens import Token, Tokens
from application.ports.clock import Clock
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater

HOSTS = {"live": "https://api-m.paypal.com", "sandbox": "https://api-m.sandbox.paypal.com"}

_LONGEST_KEY = 108
"""Characters of PayPal-Request-Id that orders take; the other calls take as many or more."""
_AFTER_CONFLICT = timedelta(seconds=1)
_KEY_MISUSED = ("DUPLICATE_REQUEST_ID", "PAYPAL_REQUEST_ID_PREVIOUSLY_USED")
_UNDER_WAY = ("PREVIOUS_REQUEST_IN_PROGRESS", "ORDER_COMPLETION_IN_PROGRESS")


class PayPalSaid(Exception):
    """What PayPal answered: the cause of what is raised for it."""

    def __init__(self, answer: VendorAnswer) -> None:
        super().__init__(f"{answer.status} {answer.field('name') or ''}".strip())
        self.answer = answer


@final
class PayPalClient:
    """PayPal's API.

    Args:
        base_url: where it is; None for PayPal's own two worlds, by the connection's mode.
        timeout: how long one call may take.
    """

    def __init__(self, clock: Clock, base_url: str | None = None, *, timeout: timedelta = TIMEOUT) -> None:
        self.base_url = base_url.rstrip("/") if base_url else None
        self._clock = clock
        self._http = VendorHttp("PayPal", timeout)
        self._tokens = Tokens(clock)

    async def aclose(self) -> None:
        """Close the connections to PayPal."""
        await self._http.aclose()

    def root(self, access: Mapping[str, str]) -> str:
        """Where the connection's world is."""
        return self.base_url or HOSTS["live" if access.get("mode") == "live" else "sandbox"]

    async def prove(self, access: Mapping[str, str]) -> None:
        """Get a token, whatever is kept. Raises ReconnectNeeded when the credentials are not taken."""
        await self._fresh(access)

    async def call(
        self,
        access: Mapping[str, str],
        method: str,
        path: str,
        *,
        body: object = None,
        content: bytes | None = None,
        query: Mapping[str, str | int] | None = None,
        key: str | None = None,
        writes: bool,
    ) -> VendorAnswer:
        """Ask once; twice when the token was no longer good. Returns a 2xx, raises the port's three for all else."""
        credentials = _credentials(access)
        for last in (False, True):
            token = await self._tokens.get((self.root(access), *credentials), lambda: self._fresh(access))
            headers = {"Authorization": f"Bearer {token.text}", "Accept": "application/json"}
            if key is not None:
                headers["PayPal-Request-Id"] = request_id(key)
            if method == "POST":
                headers["Prefer"] = "return=representation"
                headers["Content-Type"] = "application/json"
            answer = await self._http.send(
                method,
                self.root(access) + path,
                headers=headers,
                body=body,
                content=content,
                query=query,
                writes=writes,
            )
            if answer.status != 401:
                return _accepted(answer, writes=writes)
            self._tokens.forget((self.root(access), *credentials), token)
            if last:
                raise ReconnectNeeded("PayPal no longer takes the connection's credentials.") from PayPalSaid(answer)
        raise AssertionError("unreachable")

    async def _fresh(self, access: Mapping[str, str]) -> Token:
        return self._read_token(await self._ask_token(access))

    async def _ask_token(self, access: Mapping[str, str]) -> VendorAnswer:
        user, secret = _credentials(access)
        basic = base64.b64encode(f"{user}:{secret}".encode()).decode()
        answer = await self._http.send(
            "POST",
            f"{self.root(access)}/v1/oauth2/token",
            headers={"Authorization": f"Basic {basic}", "Accept": "application/json"},
            form={"grant_type": "client_credentials"},
            writes=False,
        )
        if not answer.ok:
            raise ReconnectNeeded("PayPal does not take the client id and secret.") from PayPalSaid(answer)
        return answer

    def _read_token(self, answer: VendorAnswer) -> Token:
        text, lasts = answer.field("access_token"), answer.field("expires_in")
        if not isinstance(text, str) or not text or isinstance(lasts, bool) or not isinstance(lasts, int | float):
            raise RetryLater("PayPal answered without a token.") from PayPalSaid(answer)
        return Token(text, self._clock.now() + timedelta(seconds=min(max(lasts, 0), 86_400)))


def request_id(key: str) -> str:
    """The key as PayPal takes it: as it is where it fits, else a digest of it, which is the same each time."""
    if 0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable() and key == key.strip():
        return key
    return hashlib.sha256(key.encode()).hexdigest()


def refusal(answer: VendorAnswer) -> ProviderRefused:
    """What a 4xx means. code: the first issue's name, else the error's. field: which field of the request it is about."""
    details = answer.field("details")
    first: Mapping[str, Any] = (
        details[0] if isinstance(details, list) and details and isinstance(details[0], dict) else {}
    )
    name = str(answer.field("name") or "")
    code = str(first.get("issue") or name)
    said = str(first.get("description") or answer.field("message") or "").strip()
    text = said or (
        f"PayPal refused: {code.replace('_', ' ').lower()}." if code else f"PayPal answered {answer.status}."
    )
    if code in _KEY_MISUSED or name in _KEY_MISUSED:
        code = "idempotency_error"
    return ProviderRefused(text, code=code, field=first.get("field"), missing=answer.status == 404)


def named(refused: ProviderRefused, name: str) -> bool:
    """Whether a refusal is of this name; where it has details, its code is the first of those."""
    said = refused.__cause__
    return refused.code == name or (isinstance(said, PayPalSaid) and said.answer.field("name") == name)


def _accepted(answer: VendorAnswer, *, writes: bool) -> VendorAnswer:
    if answer.ok:
        return answer
    refused = refusal(answer)
    misused = refused.code == "idempotency_error"
    if (answer.status == 409 and not misused) or refused.code in _UNDER_WAY:
        raise RetryLater(refused.reason, after=_AFTER_CONFLICT, may_have_happened=writes) from PayPalSaid(answer)
    raise refused from PayPalSaid(answer)


def _credentials(access: Mapping[str, str]) -> tuple[str, str]:
    given = (access.get("client_id", ""), access.get("client_secret", ""))
    if not all(text and text.isascii() and text.isprintable() for text in given):
        raise ReconnectNeeded("The connection has no usable client id and secret.")
    return given
