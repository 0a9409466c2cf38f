"""The API's document: valid, complete, true, and good enough for other people's generator."""

import asyncio
import importlib
import json
import re
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from litestar import Litestar
from openapi_spec_validator import validate

from adapters.providers import PROVIDERS
from domain.work.kinds import KINDS
from entrypoints.api.docs import OfflineDocs
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, a_key, found
from tests.integration.test_first_start import patchbay

PROMISED = """
GET /api/audit
POST /api/billing/checkout
GET /api/billing/invoices
GET /api/billing/payments
GET /api/billing/plans
GET /api/billing/subscription
POST /api/billing/subscription
POST /api/billing/subscription/cancel
POST /api/billing/subscription/resume
POST /api/billing/webhooks/flutterwave
POST /api/billing/webhooks/stripe
POST /api/deliveries/{delivery_id}/retry
GET /api/events
POST /api/events
GET /api/integrations
POST /api/integrations
GET /api/integrations/catalog
POST /api/integrations/test
GET /api/integrations/notifications
POST /api/integrations/notifications
POST /api/integrations/notifications/preview
DELETE /api/integrations/notifications/{notification_id}
POST /api/integrations/notifications/{notification_id}/test
GET /api/integrations/stripe/status
POST /api/integrations/stripe/payment-link
GET /api/integrations/stripe/payment-link/{invoice_id}
DELETE /api/integrations/stripe/payment-link/{invoice_id}
POST /api/integrations/stripe/webhook
GET /api/integrations/{connection_id}
PATCH /api/integrations/{connection_id}
DELETE /api/integrations/{connection_id}
POST /api/integrations/{connection_id}/test
POST /api/integrations/{provider}/connect
DELETE /api/integrations/{provider}/disconnect
PUT /api/integrations/{provider}/settings
GET /api/integrations/{provider}/status
POST /api/integrations/{provider}/test
POST /api/integrations/{provider}/webhook
GET /api/invoices
POST /api/invoices
GET /api/invoices/{invoice_id}
POST /api/invoices/{invoice_id}/payment-link
POST /api/invoices/{invoice_id}/send
POST /api/payments/intent
POST /api/payments/invoice
POST /api/payments/payout
POST /api/payments/paypal/webhook
POST /api/payments/stripe/webhook
POST /api/payments/{payment_id}/refunds
GET /api/webhooks
POST /api/webhooks
GET /api/webhooks/events
POST /api/webhooks/stripe
GET /api/webhooks/{webhook_id}
PUT /api/webhooks/{webhook_id}
DELETE /api/webhooks/{webhook_id}
GET /api/webhooks/{webhook_id}/deliveries
POST /api/webhooks/{webhook_id}/regenerate-secret
POST /api/webhooks/{webhook_id}/test
"""
"""The endpoints that the requirement files name and that this part of the hub answers."""


@pytest.fixture(scope="module")
def document(litestar: Litestar) -> dict[str, Any]:
    """As whoever asks gets it."""
    read: dict[str, Any] = json.loads(json.dumps(litestar.openapi_schema.to_schema()))
    return read


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation)"""
    return [(m.upper(), path, op) for path, ops in document["paths"].items() for m, op in ops.items()]


def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    """By other people's validator, with every reference resolved."""
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_promised_path_is_there(document: dict[str, Any]) -> None:
    """Under its own name, or under a pattern that covers it (`stripe` is a provider)."""
    there = {(method, re.sub(r"{\w+}", "{}", path)) for method, path, _ in operations(document)}

    def covered(method: str, path: str) -> bool:
        wanted = re.sub(r"{\w+}", "{}", path).split("/")
        return any(
            method == other
            and len(parts) == len(wanted)
            and all(p in (w, "{}") for p, w in zip(parts, wanted, strict=True))
            for other, pattern in there
            for parts in [pattern.split("/")]
        )

    missing = [line for line in PROMISED.split("\n") if line and not covered(*line.split(" "))]
    assert missing == []
    for kind in KINDS:
        for method, path in (
            ("POST", f"/api/{kind.plural}"), ("GET", f"/api/{kind.plural}"), ("GET", f"/api/{kind.plural}/{{}}"),
            ("PATCH", f"/api/{kind.plural}/{{}}"), ("DELETE", f"/api/{kind.plural}/{{}}"),
        ):  # fmt: skip
            assert (method, path) in there


def test_every_operation_is_named_and_explained(document: dict[str, Any]) -> None:
    """The names become the functions of a generated client: plain words, no two the same."""
    ids = [op["operationId"] for _, _, op in operations(document)]
    assert len(set(ids)) == len(ids)
    for method, path, op in operations(document):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", op["operationId"]), op["operationId"]
        assert op.get("summary"), (method, path)
        assert op.get("description"), (method, path)
        assert len(op.get("tags", [])) == 1, (method, path)


def test_the_console_and_the_pay_pages_are_not_in_it(document: dict[str, Any]) -> None:
    """They are for people. The public keys of our signatures are for programs, without a key of ours."""
    outside = {path for path in document["paths"] if not path.startswith("/api/")}
    assert outside == {"/.well-known/jwks.json", "/livez", "/readyz", "/metrics"}


def test_errors_are_described_as_they_are(document: dict[str, Any]) -> None:
    """Every error of the API is a Problem; nothing promises the framework's own shape."""
    for method, path, op in operations(document):
        if not path.startswith("/api"):
            continue
        errors = {status: answer for status, answer in op["responses"].items() if status >= "400"}
        assert {"400"} <= set(errors), (method, path)
        for status, answer in errors.items():
            assert set(answer["content"]) == {"application/problem+json"}, (method, path, status)
            assert answer["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
        successes = [status for status in op["responses"] if status < "300"]
        # A dry run is answered 200, and what was begun 202.
        assert len(successes) == (2 if (method, path) == ("POST", "/api/replays") else 1), (method, path)


def test_what_may_be_repeated_and_what_may_be_stale_says_so(document: dict[str, Any]) -> None:
    """POST calls that make something take an Idempotency-Key; changes take If-Match."""
    for method, path, op in operations(document):
        headers = {p["name"] for p in op.get("parameters", []) if p["in"] == "header"}
        if method in ("PATCH", "PUT"):
            assert "If-Match" in headers, (method, path)
        listed = op["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
        name = listed.get("$ref", "").rpartition("/")[2]
        shape = document["components"]["schemas"].get(name, {}).get("properties", {})
        if "next_cursor" in shape:
            assert {"limit", "cursor"} <= {p["name"] for p in op["parameters"] if p["in"] == "query"}, path


def test_no_schema_lets_everything_through_by_accident(document: dict[str, Any]) -> None:
    """An empty schema in a list of choices means that anything goes; a generator then gives up."""

    def walk(node: Any, place: str) -> None:
        if isinstance(node, dict):
            for word in ("oneOf", "anyOf"):
                assert {} not in node.get(word, []), place
            for name, part in node.items():
                walk(part, f"{place}/{name}")
        elif isinstance(node, list):
            for index, part in enumerate(node):
                walk(part, f"{place}/{index}")

    walk(document["components"]["schemas"], "")
    walk(document["paths"], "")


class Addresses(HTMLParser):
    """What a page would load or lead to, and what it would run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset", "data")]


async def test_the_page_loads_without_the_internet(client: Client, document: dict[str, Any]) -> None:
    """No script, no font, no picture from elsewhere: a laptop on a train shows the same."""
    answer = await client.get("/docs", headers={"Authorization": ""})
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/html")
    page = Addresses()
    page.feed(answer.text)
    assert page.found
    assert all(address.startswith(("/", "#")) and not address.startswith("//") for address in page.found)
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "base"})
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    for _, path, op in operations(document):
        assert path.replace("{", "{") in answer.text
        assert op["summary"].split("'")[0] in answer.text
    served = await client.get("/docs/openapi.json", headers={"Authorization": ""})
    assert served.json() == document
    assert "Content-Security-Policy".lower() in answer.headers


def test_a_page_is_made_of_any_document() -> None:
    """What stands in a document is text, never markup."""
    hostile = {
        "info": {"title": "<script>", "description": "<b>"},
        "paths": {"/<x>": {"get": {"summary": "<i>", "responses": {"200": {"description": "<u>", "content": {}}}}}},
        "components": {"schemas": {"<S>": {"type": "object"}}},
    }
    request: Any = None
    text = OfflineDocs().render(request, hostile).decode()
    for raw in ("<script>", "<b>", "<x>", "<i>", "<u>", "<S>"):
        assert raw not in text.replace("<b>200</b>", "")


def test_the_command_line_prints_the_same_document(document: dict[str, Any], tmp_path: Path) -> None:
    """For a build that generates a client without a running hub; no data folder is made for it."""
    printed = patchbay(tmp_path, "openapi")
    assert printed.returncode == 0
    assert json.loads(printed.stdout) == document
    assert not (tmp_path / "data").exists()


async def test_a_generated_client_works(document: dict[str, Any], hub: Hub, live: str, tmp_path: Path) -> None:
    """By openapi-python-client, imported and used over a real port: a client, an invoice, an error that names its field."""
    name = f"generated_{uuid4().hex}"
    source, config = tmp_path / "document.json", tmp_path / "config.json"
    source.write_text(json.dumps(document))
    config.write_text(json.dumps({"post_hooks": []}))
    command: list[str | Path] = [
        sys.executable, "-m", "openapi_python_client", "generate", "--path", source, "--config", config, "--meta", "none",
        "--output-path", tmp_path / name, "--fail-on-warning",
    ]  # fmt: skip
    run = partial(subprocess.run, command, capture_output=True, text=True, check=False, timeout=60)
    done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(tmp_path))
    try:
        await _use(name, live, await a_key(hub, await found(hub, "Studio")))
    finally:
        sys.path.remove(str(tmp_path))
        for module in [module for module in sys.modules if module.partition(".")[0] == name]:
            del sys.modules[module]


async def _use(name: str, url: str, key: str) -> None:
    def part(path: str) -> Any:
        return importlib.import_module(f"{name}.{path}")

    models = part("models")
    async with part("client").AuthenticatedClient(url, key) as client:
        person = models.ClientCreated(name="Northwind", email="ada@northwind.example")
        customer = await part("api.clients.create_client").asyncio(client=client, body=person)
        line = models.LineGiven(description="Brand workshop", unit_price="12.50", quantity=2)
        asked = models.InvoiceCreated(client_id=customer.id, currency="USD", lines=[line])
        create = part("api.invoices.create_invoice").asyncio_detailed
        made = await create(client=client, body=asked, idempotency_key="once")
        assert (made.status_code, made.parsed.number, made.parsed.total.decimal) == (201, "INV-0001", "25.00")
        again = await create(client=client, body=asked, idempotency_key="once")
        assert again.parsed.id == made.parsed.id
        asked.currency = "XYZ"
        refused = (await create(client=client, body=asked)).parsed
        assert isinstance(refused, models.Problem)
        assert [(error.field, refused.status) for error in refused.errors] == [("currency", 422)]
        listing = await part("api.invoices.list_invoices").asyncio(client=client, limit=10)
        assert [invoice.id for invoice in listing.items] == [made.parsed.id]
        event = models.EventPublished(type_="order.shipped")
        published = await part("api.events.publish").asyncio(client=client, body=event)
        assert published.type_ == "order.shipped"
        catalogue = await part("api.integrations.list_providers").asyncio(client=client)
        assert {provider.slug for provider in catalogue} == {provider.slug for provider in PROVIDERS}
        contact = models.ContactCreated(first_name="Ada")
        person = await part("api.contacts.create_contact").asyncio(client=client, body=contact)
        changed = await part("api.contacts.change_contact").asyncio(
            person.id, client=client, body=models.ContactChanged(last_name="Lovelace"), if_match='"1"'
        )
        assert (changed.first_name, changed.last_name, changed.version) == ("Ada", "Lovelace", 2)
