"""The host application, as sane as they come: every call that changes something carries a key, and is repeated until it
is answered."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.faults.machine import PATIENCE, Machine


class Host:
    """Talks to the hub as an application does, and to the sandbox as a tester does."""

    def __init__(self, machine: Machine, api_key: str) -> None:
        self._machine = machine
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._count = 0
        self._last: tuple[Any, ...] = ()

    def call(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        """One API call, repeated with the same key while the hub is away or still busy with it. Returns its JSON."""
        if method != "POST":
            return self._answer(method, path, body, {}, expect)
        self._count += 1
        key = {"Idempotency-Key": f"call-{self._count}"}
        answer = self._answer(method, path, body, key, expect)
        self._last = (method, path, body, key, expect, answer)
        return answer

    def call_again(self) -> None:
        """Repeat the last call that changed something, as one does who lost power too and does not know how it ended."""
        *call, before = self._last
        again = self._answer(*call)
        assert again.get("id") == before.get("id"), f"another answer: {before} and {again}"

    def _answer(self, method: str, path: str, body: Any, key: dict[str, str], expect: int) -> Any:
        answer = self._until_answered(method, self._machine.url + path, json=body, headers={**self._headers, **key})
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def all(self, path: str) -> list[Any]:
        """Every entry of a list, oldest first."""
        found: list[Any] = []
        cursor = ""
        joint = "&" if "?" in path else "?"
        while True:
            page = self.call("GET", f"{path}{joint}limit=200{cursor}")
            found += page["items"]
            if page.get("next_cursor") is None:
                return found[::-1]
            cursor = f"&cursor={page['next_cursor']}"

    def browse(self, url: str) -> httpx.Response:
        """What a payer's browser does: press "reload" until there is a page."""
        return self._until_answered("GET", url)

    def box(self, method: str, path: str, body: Any = None) -> Any:
        """One call to the sandbox, which is never away."""
        answer = self._machine.http.request(
            method, self._machine.box_url + path, json=body, headers={"Authorization": "Bearer sk_test_faults"}
        )
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()

    def received(self) -> list[Any]:
        """What the host application's own webhook receiver has seen, oldest first."""
        seen: list[Any] = self.box("GET", "/receiver/app/_sandbox/requests")
        return seen

    def until(self, what: str, look: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """Look again and again until there is something to see."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if seen := look():
                return seen
            time.sleep(0.1)
        raise AssertionError(f"{what} did not come within {patience:.0f} s")

    def _until_answered(self, method: str, url: str, **rest: Any) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE
        why: object = None
        while time.monotonic() < deadline:
            try:
                answer = self._machine.http.request(method, url, **rest)
            except httpx.TransportError as error:
                why = error
            else:
                if answer.status_code < 500 and not (answer.status_code == 409 and "in-flight" in answer.text):
                    return answer
                why = f"{answer.status_code} {answer.text}"
            time.sleep(0.1)
        raise AssertionError(f"{method} {urlsplit(url).path} was not answered within {PATIENCE:.0f} s: {why}")
