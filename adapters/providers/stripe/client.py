"""Stripe's official SDK, opened with one connection's key, and what its errors mean for the hub."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, final

import anyio
import stripe

from adapters.http.vendor import VendorHttp
from application.ports.outgoing import AddressRefused, Unreachable
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater

API_VERSION: Final = "2026-10-28.endive"
"""The shape of every request and webhook: the version that SDK 16.1 was made for."""

BASE_URL = "https://api.stripe.com"
TIMEOUT = timedelta(seconds=30)
"""How long an answer may take. Stripe answers nearly everything within seconds, a bank's card check within twenty."""

_AFTER_RATE_LIMIT = timedelta(seconds=2)
_AFTER_CONFLICT = timedelta(seconds=1)
_LONGEST_WAIT = timedelta(hours=1)
# The SDK would name this machine's platform to Stripe and keep an id in the home folder. A hub that people host
# themselves tells nobody about itself.
stripe.enable_telemetry = False


@final
class Transport(stripe.HTTPClient):
    """The SDK's way out: one pool of connections for all keys. It follows no redirects.

    It is the hub's own: the SDK's httpx client costs a hundred times the processor time of a request.
    """

    name = "patchbay"

    def __init__(self, timeout: timedelta = TIMEOUT) -> None:
        super().__init__()
        self._http = VendorHttp("Stripe", timeout)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send once. Raises stripe.APIConnectionError from what went wrong."""
        try:
            answer = await self._http.exchange(method.upper(), url, headers, (post_data or "").encode())
        except (Unreachable, AddressRefused) as error:
            raise stripe.APIConnectionError(error.reason, should_retry=False) from error  # type: ignore[no-untyped-call]
        return answer.body, answer.status, answer.headers

    async def sleep_async(self, secs: float) -> None:
        """Only called for the SDK's own retries, which are off."""
        await anyio.sleep(secs)

    async def close_async(self) -> None:
        """Close the pool."""
        await self._http.aclose()


async def read_json(
    access: Mapping[str, str], transport: Transport, base_url: str, path: str, query: str
) -> dict[str, Any] | None:
    """A GET whose answer is read as the JSON it is: for what is asked thousands of times, where the SDK's objects cost more
    than all else. None for whatever the SDK had better say no to in its own words. Raises the SDK's errors for 429 and 5xx."""
    key = access.get("secret_key", "")
    if not key or not key.isascii() or not key.isprintable():
        return None
    headers = {"Authorization": f"Bearer {key}", "Stripe-Version": API_VERSION}
    body, status, answered = await transport.request_async("get", f"{base_url.rstrip('/')}{path}?{query}", headers)
    if status == 429 or status >= 500:
        kind = stripe.RateLimitError if status == 429 else stripe.APIError
        raise kind(f"Stripe answered {status}.", http_status=status, headers=dict(answered))
    found = json.loads(body) if status == 200 else None
    return found if isinstance(found, dict) else None


def open_client(access: Mapping[str, str], transport: stripe.HTTPClient, base_url: str) -> stripe.StripeClient:
    """The SDK with the connection's key. Raises ReconnectNeeded if there is none that could be sent.

    It never retries by itself: a retry belongs to the hub's queue, which remembers it over a restart, and the caller
    waits for no hidden attempts.
    """
    key = access.get("secret_key", "")
    if not key or not key.isascii() or not key.isprintable():
        raise ReconnectNeeded("The connection has no usable secret key.")
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        base_addresses={"api": base_url.rstrip("/")},
        http_client=transport,
        max_network_retries=0,
    )


@contextmanager
def plain_errors(*, writes: bool) -> Iterator[None]:
    """Inside, the SDK's errors become the port's three. writes: the call changes something at Stripe.

    Raises:
        ReconnectNeeded: 401, or 403 (the key lacks a permission: only a person can give it one).
        RetryLater: 429, 409, 5xx, no answer. It may have happened if it was sent, writes, and no status denies it.
        ProviderRefused: everything else that Stripe says no to.
    """
    try:
        yield
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        raise ReconnectNeeded(_text(error)) from error
    except stripe.RateLimitError as error:
        raise RetryLater(_text(error), after=_retry_after(error) or _AFTER_RATE_LIMIT) from error
    except stripe.APIConnectionError as error:
        sent = isinstance(error.__cause__, Unreachable) and error.__cause__.sent
        raise RetryLater(f"Stripe gave no answer ({error})", may_have_happened=writes and sent) from error
    except (stripe.CardError, stripe.InvalidRequestError, stripe.IdempotencyError) as error:
        raise _refused(error) from error
    except stripe.APIError as error:
        after = _retry_after(error) or (_AFTER_CONFLICT if error.http_status == 409 else None)
        raise RetryLater(_text(error), after=after, may_have_happened=writes) from error
    except stripe.StripeError as error:
        raise ProviderRefused(_text(error), code=error.code or "") from error


def _refused(error: stripe.CardError | stripe.InvalidRequestError | stripe.IdempotencyError) -> ProviderRefused:
    body = error.json_body.get("error", {}) if isinstance(error.json_body, dict) else {}
    code = body.get("decline_code") or body.get("code") or body.get("type") or ""
    missing = error.http_status == 404 or body.get("code") == "resource_missing"
    return ProviderRefused(_text(error), code=str(code), field=body.get("param"), missing=missing)


def _text(error: stripe.StripeError) -> str:
    return error.user_message or str(error) or f"Stripe answered {error.http_status}."


def _retry_after(error: stripe.StripeError) -> timedelta | None:
    """Retry-After in whole seconds; a date is not used, because it would be read against a clock of ours."""
    asked = {name.lower(): value for name, value in (error.headers or {}).items()}.get("retry-after", "")
    return min(timedelta(seconds=int(asked)), _LONGEST_WAIT) if asked.isascii() and asked.isdigit() else None
