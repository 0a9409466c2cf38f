"""Flutterwave's v3 API: its envelope, its pages, and what its errors mean for the hub."""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any, final

from adapters.http.vendor import TIMEOUT, VendorAnswer, VendorHttp, refuse_access
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater

BASE_URL = "https://api.flutterwave.com"

_MOST_PAGES = 20_000
"""Of one list; a server that never comes to its last page is not followed for ever."""
_MISSING = re.compile(
    r"no (transaction|transfer|plan|refund|.*record)\b.*(was )?found|not found|does not exist", re.IGNORECASE
)
_POOR = re.compile(r"insufficient|not enough|balance.*low|low balance", re.IGNORECASE)
_WORD = re.compile(r"[^a-z0-9]+")


@final
class FlutterwaveApi:
    """The API, for every connection.

    Args:
        base_url: without `/v3`; a sandbox may stand in for it.
        timeout: how long one call may take.
    """

    def __init__(self, base_url: str, timeout: timedelta = TIMEOUT) -> None:
        self._base_url = f"{base_url.rstrip('/')}/v3"
        self._http = VendorHttp("Flutterwave", timeout)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(
        self,
        access: Mapping[str, str],
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str | int] | None = None,
        writes: bool | None = None,
    ) -> Mapping[str, Any]:
        """The whole envelope of a success (`{status, message, data, meta?}`). writes: by default, unless it is a GET.

        Raises ReconnectNeeded (401, 403), RetryLater, or ProviderRefused: with `missing` where there is no such object,
        with code `balance_too_low` where the balance does not reach.
        """
        writes = method != "GET" if writes is None else writes
        answer = await self._http.send(
            method,
            f"{self._base_url}{path}",
            headers={"Authorization": f"Bearer {_key(access)}", "Accept": "application/json"},
            body=body,
            query=query,
            writes=writes,
        )
        if answer.ok and answer.field("status") == "success" and isinstance(answer.body, Mapping):
            return answer.body
        said = answer.field("message")
        why = said if isinstance(said, str) and said else f"Flutterwave answered {answer.status}."
        refuse_access(answer, why)
        if answer.ok and answer.field("status") != "error":
            # Neither a success nor an error: something stands between us and Flutterwave.
            raise RetryLater("Flutterwave's answer cannot be read.", may_have_happened=writes) from _Answer(answer)
        raise _refused(answer, why, out_of_balance=writes and path.endswith(("/refund", "/transfers")))

    async def pages(
        self, access: Mapping[str, str], path: str, query: Mapping[str, str | int]
    ) -> AsyncIterator[Mapping[str, Any]]:
        """The rows of a list, page by page, to the last."""
        for number in range(1, _MOST_PAGES):
            envelope = await self.ask(access, "GET", path, query={**query, "page": number})
            rows = envelope.get("data")
            if not isinstance(rows, list) or not rows:
                return
            for row in rows:
                if isinstance(row, Mapping):
                    yield row
            meta = envelope.get("meta")
            info = meta.get("page_info") if isinstance(meta, Mapping) else None
            last = info.get("total_pages") if isinstance(info, Mapping) else None
            if str(last).isdigit() and number >= int(str(last)):
                return
        raise RetryLater("Flutterwave's list has no end.")


class _Answer(Exception):
    """What was answered: the cause of what is raised for it. Nothing of the body, which may say who paid."""

    def __init__(self, answer: VendorAnswer) -> None:
        super().__init__(f"HTTP {answer.status}")


def _refused(answer: VendorAnswer, why: str, *, out_of_balance: bool) -> ProviderRefused:
    missing = answer.status == 404 or bool(_MISSING.search(why))
    given = answer.field("code") or answer.field("data", "code")
    code = str(given) if given else _WORD.sub("_", why.lower()).strip("_")[:60]
    if out_of_balance and _POOR.search(why):
        ended = why.strip().rstrip(".")
        code, why = "balance_too_low", f"{ended}. Flutterwave pays this out of the available balance, which is too low."
    refused = ProviderRefused(why, code=code, missing=missing)
    refused.__cause__ = _Answer(answer)
    return refused


def _key(access: Mapping[str, str]) -> str:
    key = access.get("secret_key", "")
    if not key or not key.isascii() or not key.isprintable():
        raise ReconnectNeeded("The connection has no usable secret key.")
    return key
