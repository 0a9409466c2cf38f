"""Whoever plays the story: calls to the hub and the sandbox, checks, and hosted pages that are filled in."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from html import unescape
from typing import Any

import attrs
import httpx

PATIENCE = 30.0
"""Seconds to wait for something that must come."""


class Failed(Exception):
    """A step's outcome is not what it must be."""


@attrs.define
class Story:
    """Who plays, and what they hold in their hands so far."""

    hub: str
    sandbox: str
    api_key: str
    mail_port: int
    client: httpx.AsyncClient
    later: Callable[[timedelta], Awaitable[None]]
    """Lets time pass."""
    held: dict[str, Any] = attrs.field(factory=dict)

    async def call(self, method: str, path: str, body: Any = None, *, expect: int = 200, key: str | None = None) -> Any:
        """One API call; its JSON. Raises Failed when the status is not the expected one."""
        headers = {"Authorization": f"Bearer {self.api_key}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        answer = await self.client.request(method, self.hub + path, json=body, headers=headers)
        if answer.status_code != expect:
            raise Failed(f"{method} {path} answered {answer.status_code} instead of {expect}: {answer.text[:300]}")
        return answer.json() if answer.content else None

    async def box(self, method: str, path: str, body: Any = None) -> Any:
        """One call to the sandbox's own controls."""
        answer = await self.client.request(method, self.sandbox + path, json=body)
        check(answer.is_success, f"the sandbox's {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json() if answer.content else None

    async def invoice(self, name: str) -> Any:
        """An invoice with its payments and links, as it is now."""
        return await self.call("GET", f"/api/invoices/{self.held[name]['id']}")

    async def until(self, what: str, look: Callable[[], Awaitable[Any]]) -> Any:
        """Look again and again until there is something to see."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if seen := await look():
                return seen
            await asyncio.sleep(0.1)
        raise Failed(f"{what} did not come within {PATIENCE:.0f} s")

    async def events(self, type_: str) -> list[Any]:
        """All events of a type, oldest first."""
        listed: list[Any] = (await self.call("GET", f"/api/events?type={type_}&limit=200"))["items"]
        return listed[::-1]


def check(holds: object, otherwise: str) -> None:
    """Raise Failed unless it holds."""
    if not holds:
        raise Failed(otherwise)


@attrs.frozen
class Chapter:
    """One step."""

    title: str
    play: Callable[[Story], Awaitable[list[str]]]


def header(request: Mapping[str, Any], name: str) -> str | None:
    headers: Mapping[str, str] = request["headers"]
    return headers.get(name)


def form_of(html: str) -> tuple[str, dict[str, str]]:
    """The first form's action and its fields with the values they are filled with."""
    form = re.search(r"<form\b([^>]*)>(.*?)</form>", html, re.DOTALL)
    if form is None:
        raise Failed("the hosted page has no form")
    action = re.search(r'action="([^"]*)"', form[1])
    fields: dict[str, str] = {}
    for tag in re.findall(r"<input\b[^>]*>", form[2]):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name is not None:
            fields[unescape(name[1])] = unescape(value[1]) if value else ""
    return unescape(action[1]) if action else "", fields
