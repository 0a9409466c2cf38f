"""What an answer of Flutterwave's means, whatever it may be: the sandbox is too well-behaved for some of them."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from adapters.providers.flutterwave.client import FlutterwaveApi
from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from tests.contract.stripe_sandbox import served

ACCESS = {"secret_key": "FLWSECK_TEST-client-X"}
OK = {"status": "success", "message": "Fetched", "data": []}


class Answering:
    """A server that gives the answers it was told, one after the other."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        self.asked.append(f"{scope['path']}?{scope['query_string'].decode()}")
        while (await receive()).get("more_body"):
            pass
        status, body = self.answers.pop(0)
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": body})


async def _asked(status: int, body: object, *, method: str = "POST", path: str = "/payments") -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with served(Answering((status, content))) as url:
        api = FlutterwaveApi(url, timedelta(seconds=5))
        try:
            return await api.ask(ACCESS, method, path, body={})
        finally:
            await api.aclose()


async def test_a_success_is_its_envelope() -> None:
    """With what belongs to it."""
    assert await _asked(200, OK) == OK


@pytest.mark.parametrize("status", [200, 400])
async def test_an_error_is_a_refusal_whatever_its_status(status: int) -> None:
    """Flutterwave says some errors with 200: taken for a success, they would be money that never came."""
    with pytest.raises(ProviderRefused) as refused:
        await _asked(status, {"status": "error", "message": "Invalid currency provided", "data": None})
    assert (refused.value.reason, refused.value.code, refused.value.missing) == (
        "Invalid currency provided",
        "invalid_currency_provided",
        False,
    )
    assert refused.value.__cause__ is not None


async def test_no_transaction_is_missing_though_it_is_said_with_400() -> None:
    """A page that nobody has paid on is no trouble."""
    with pytest.raises(ProviderRefused) as refused:
        await _asked(400, {"status": "error", "message": "No transaction was found for this id", "data": None})
    assert refused.value.missing


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/transactions/1/refund", "balance_too_low"),
        ("/transfers", "balance_too_low"),
        ("/tokenized-charges", "insufficient_funds"),
    ],
)
async def test_whose_funds_are_insufficient_depends_on_the_question(path: str, code: str) -> None:
    """The payer's, when they are charged; ours, when we refund or pay out."""
    with pytest.raises(ProviderRefused) as refused:
        await _asked(400, {"status": "error", "message": "Insufficient Funds"}, path=path)
    assert refused.value.code == code


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_needs_a_person(status: int) -> None:
    """Trying again would never help."""
    with pytest.raises(ReconnectNeeded):
        await _asked(status, {"status": "error", "message": "Invalid authorization key"})


@pytest.mark.parametrize("body", [b"<html>Welcome to the hotel</html>", b"", b"[]", b'"success"', {"data": {}}])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_answer_that_is_not_flutterwave_s_is_tried_again(body: object, method: str) -> None:
    """It may have happened, if something was to be changed."""
    with pytest.raises(RetryLater) as later:
        await _asked(200, body, method=method)
    assert later.value.may_have_happened == (method == "POST")


async def test_a_list_is_followed_to_its_last_page() -> None:
    """And no further; the number of pages may be a text."""
    pages = [
        {**OK, "data": [{"id": n}], "meta": {"page_info": {"current_page": n, "total_pages": "3"}}} for n in (1, 2, 3)
    ]
    server = Answering(*((200, json.dumps(page).encode()) for page in pages))
    async with served(server) as url:
        api = FlutterwaveApi(url, timedelta(seconds=5))
        assert [row["id"] async for row in api.pages(ACCESS, "/refunds", {"id": "7"})] == [1, 2, 3]
        await api.aclose()
    assert server.asked[-1] == "/v3/refunds?id=7&page=3"


async def test_without_a_usable_key_nothing_is_sent() -> None:
    """A header cannot hold just any text."""
    api = FlutterwaveApi("http://127.0.0.1:9")
    for access in ({}, {"secret_key": ""}, {"secret_key": "FLWSECK-ä"}, {"secret_key": "FLWSECK-a\nb"}):
        with pytest.raises(ReconnectNeeded):
            await api.ask(access, "GET", "/balances")
    await api.aclose()
