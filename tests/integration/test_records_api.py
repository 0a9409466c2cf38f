"""Every kind of record over HTTP: the same promises for all fourteen, and what is particular to a few."""

import json
from typing import Any

import pytest
from httpx import AsyncClient, Response

from domain.work.causes import told
from domain.work.compounds import sample_id
from domain.work.kinds import KINDS
from domain.work.kinds.people import CLIENT, COMPANY, CONTACT
from domain.work.records import Kind
from tests.samples import alone, whole

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


async def create(client: AsyncClient, kind: Kind, given: dict[str, Any]) -> dict[str, Any]:
    """A new record's body."""
    answer = await client.post(f"/api/{kind.plural}", json=given)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def sample(client: AsyncClient, kind: Kind) -> dict[str, Any]:
    """What to send for the whole sample, once what it names is there."""

    async def neighbour(other: Kind, given: dict[str, Any]) -> str:
        return str((await create(client, other, given))["id"])

    return await whole(kind, neighbour)


async def events(client: AsyncClient, record: str) -> list[dict[str, Any]]:
    """The events about a record, oldest first."""
    items = (await client.get("/api/events?limit=200")).json()["items"]
    return [e for e in reversed(items) if any(v.get("id") == record for v in e["data"].values())]


def fields(answer: Response) -> set[str]:
    """The fields a problem names."""
    assert answer.headers["content-type"] == "application/problem+json"
    return {error["field"] for error in answer.json()["errors"]}


@every_kind
async def test_a_record_is_created_from_its_sample_and_read_again(client: AsyncClient, kind: Kind) -> None:
    """The sample is in the API's document: whoever copies it must get what it promises, events included."""
    given = await sample(client, kind)
    answer = await client.post(f"/api/{kind.plural}", json=given)
    body = answer.json()
    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    assert answer.headers["location"] == f"/api/{kind.plural}/{body['id']}"
    assert body.keys() == kind.schema["properties"].keys()
    expected = kind.group.show(kind.group.read(given, ""))
    assert {name: body[name] for name in expected} == expected

    read = await client.get(answer.headers["location"])
    assert (read.status_code, read.headers["etag"], read.json()) == (200, '"1"', body)

    happened = await events(client, body["id"])
    assert {e["type"] for e in happened} == set(kind.sample().told_on_creation)
    assert all(e["data"] == {kind.name: body} for e in happened)


@every_kind
async def test_a_change_merges_counts_and_tells(client: AsyncClient, kind: Kind) -> None:
    """Two editors of one record: the second, who has not seen the first one's change, is told so."""
    given = await sample(client, kind)
    before = await create(client, kind, given)
    url = f"/api/{kind.plural}/{before['id']}"
    patched = await client.patch(url, json={"external_id": "other"}, headers={"If-Match": '"1"'})
    after = patched.json()
    assert (patched.status_code, patched.headers["etag"]) == (200, '"2"')
    assert after == {**before, "external_id": "other", "version": 2, "updated_at": after["updated_at"]}

    stale = await client.patch(url, json={"external_id": "third"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, fields(stale)) == (412, {"If-Match"})
    unchanged = await client.patch(url, json={"external_id": "other"}, headers={"If-Match": '"2"'})
    assert (unchanged.status_code, unchanged.json()) == (200, after)

    kept = kind.create(given, id_=before["id"], organisation_id="org_1", now=kind.sample().created_at)
    changed, types = kept.change({"external_id": "other"}, kept.created_at)
    assert types == told(kind.causes, kept.filled, changed.filled)
    happened = (await events(client, before["id"]))[len(kept.told_on_creation) :]
    assert [e["type"] for e in happened] == list(types)
    assert all(e["data"] == {kind.name: after, "previous": {"external_id": "4711"}} for e in happened)

    cleared = await client.patch(url, json={"external_id": None})
    assert (cleared.json()["external_id"], cleared.json()["version"]) == (None, 3)


@every_kind
async def test_what_is_wrong_is_named(client: AsyncClient, kind: Kind) -> None:
    """All at once, and nothing is kept."""
    url = f"/api/{kind.plural}"
    given = await sample(client, kind)
    empty = await client.post(url, json={})
    assert (empty.status_code, {field.name for field in kind.fields if field.required} <= fields(empty)) == (422, True)
    unknown = await client.post(url, json={**given, "nonsense": 1, "external_id": 7})
    assert (unknown.status_code, fields(unknown)) == (422, {"nonsense", "external_id"})
    for body in ("[]", "null", '"text"'):
        answer = await client.post(url, content=body)
        assert (answer.status_code, fields(answer)) == (422, {"body"})
    assert (await client.post(url, content="{")).status_code == 400

    record = await create(client, kind, given)
    patched = await client.patch(f"{url}/{record['id']}", json={"nonsense": 1, "external_id": 7})
    assert (patched.status_code, fields(patched)) == (422, {"nonsense", "external_id"})
    assert (await client.get(f"{url}/{record['id']}")).json() == record


@every_kind
async def test_a_record_names_only_what_is_there(client: AsyncClient, other_client: AsyncClient, kind: Kind) -> None:
    """Each reference alone is made to name nobody, then somebody of another organisation's."""
    given = await sample(client, kind)
    record = kind.create(given, id_=sample_id(kind.name), organisation_id="org_1", now=kind.sample().created_at)
    url = f"/api/{kind.plural}"
    theirs = await sample(other_client, kind)
    for pointer in record.pointers:
        for stranger in (sample_id(pointer.kind), _at(theirs, pointer.field)):
            wrong = json.loads(json.dumps(given).replace(pointer.id, stranger))
            named = {p.field for p in record.pointers if p.id == pointer.id}
            answer = await client.post(url, json=wrong)
            assert (answer.status_code, fields(answer)) == (422, named)


@every_kind
async def test_a_list_is_paged_to_its_end(client: AsyncClient, kind: Kind) -> None:
    """Each once, newest first."""
    given = await sample(client, kind)
    url = f"/api/{kind.plural}"
    earlier = {one["id"] for one in (await client.get(url)).json()["items"]}
    made = {(await create(client, kind, {**given, "external_id": f"page-{n}"}))["id"] for n in range(5)}
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await client.get(url, params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        assert len(page["items"]) <= 2
        seen += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert seen == sorted(made | earlier, reverse=True)
    assert fields(await client.get(url, params={"cursor": "é"})) == {"cursor"}


@every_kind
async def test_a_list_is_filtered(client: AsyncClient, kind: Kind) -> None:
    """By the id in the host application, by status, by each record that is named; by all of them together."""
    given = await sample(client, kind)
    url = f"/api/{kind.plural}"
    for one in (await client.get(url)).json()["items"]:  # neighbours of the same kind
        await client.patch(f"{url}/{one['id']}", json={"external_id": "neighbour"})
    wanted = await create(client, kind, given)
    await create(client, kind, {**given, "external_id": "another"})
    document = (await client.get("/docs/openapi.json")).json()
    offered = {p["name"] for p in document["paths"][url]["get"]["parameters"]} - {"limit", "cursor"}
    values = {
        "external_id": wanted["external_id"],
        "status": wanted.get("status"),
        "subject_id": (wanted.get("subject") or {}).get("id"),
        **{name: value for name, value in wanted.items() if name.endswith("_id")},
    }
    filters = {name: values[name] for name in offered}
    assert {"external_id", *(["status"] if "status" in wanted else [])} <= offered
    page = (await client.get(url, params=filters)).json()
    assert [one["id"] for one in page["items"]] == [wanted["id"]]
    for name in offered:
        alike = (await client.get(url, params={name: filters[name]})).json()["items"]
        assert wanted["id"] in {one["id"] for one in alike}
        assert fields(await client.get(url, params={name: "\x00"})) == {name}
        assert fields(await client.get(url, params={name: ""})) == {name}
        if name not in ("external_id", "status", "subject_id"):
            other = {name: sample_id(name.removesuffix("_id"))}
            assert (await client.get(url, params=other)).json()["items"] == []


@every_kind
async def test_a_removed_record_is_gone(client: AsyncClient, kind: Kind) -> None:
    """And says so where its kind declares it."""
    record = await create(client, kind, await sample(client, kind))
    url = f"/api/{kind.plural}/{record['id']}"
    assert (await client.delete(url, headers={"If-Match": '"9"'})).status_code == 412
    happened = len(await events(client, record["id"]))
    assert (await client.delete(url, headers={"If-Match": '"1"'})).status_code == 204
    told_of = (await events(client, record["id"]))[happened:]
    assert [e["type"] for e in told_of] == list(kind.sample().told_on_deletion)
    assert (await client.get(url)).status_code == 404
    assert (await client.patch(url, json={})).status_code == 404
    assert (await client.delete(url)).status_code == 404


@every_kind
async def test_another_organisation_sees_nothing_of_it(
    client: AsyncClient, other_client: AsyncClient, kind: Kind
) -> None:
    """Not even that it is there."""
    record = await create(client, kind, await sample(client, kind))
    url = f"/api/{kind.plural}/{record['id']}"
    assert (await other_client.get(url)).status_code == 404
    assert (await other_client.patch(url, json={"external_id": "mine"})).status_code == 404
    assert (await other_client.delete(url)).status_code == 404
    assert (await other_client.get(f"/api/{kind.plural}")).json() == {"items": [], "next_cursor": None}
    assert (await client.get(url)).json() == record


async def test_an_id_of_another_kind_is_not_found(client: AsyncClient) -> None:
    """`/api/contacts/client_…` is nobody, even though the client is there."""
    for kind in KINDS:
        other = CLIENT if kind is not CLIENT else COMPANY
        record = await create(client, other, alone(other))
        for wrong in (record["id"], sample_id(kind.name), f"{kind.name}_%00", "x" * 300):
            assert (await client.get(f"/api/{kind.plural}/{wrong}")).status_code == 404


async def test_the_same_call_again_creates_nothing_more(client: AsyncClient) -> None:
    """A time-out in the host application must not make a client twice."""
    for kind in KINDS:
        given = await sample(client, kind)
        url, key = f"/api/{kind.plural}", {"Idempotency-Key": f"one {kind.name}"}
        first = await client.post(url, json=given, headers=key)
        count = len((await client.get(url, params={"limit": 200})).json()["items"])
        again = await client.post(url, json=given, headers=key)
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["location"] == first.headers["location"]
        other = await client.post(url, json={**given, "external_id": "x"}, headers=key)
        assert (other.status_code, fields(other)) == (422, {"Idempotency-Key"})
        assert len((await client.get(url, params={"limit": 200})).json()["items"]) == count


async def test_every_kind_is_described_by_name(client: AsyncClient) -> None:
    """A generated client has create_client and ClientView, not four bare dicts."""
    document = (await client.get("/docs/openapi.json")).json()
    ids = {op["operationId"] for path in document["paths"].values() for op in path.values()}
    schemas = document["components"]["schemas"]
    for kind in KINDS:
        name, title = kind.name, kind.name.capitalize()
        assert {f"create_{name}", f"list_{kind.plural}", f"get_{name}", f"change_{name}", f"remove_{name}"} <= ids
        assert schemas[f"{title}View"]["properties"].keys() == kind.schema["properties"].keys()
        assert schemas[f"{title}View"]["required"] == kind.schema["required"]
        for form in ("Created", "Changed"):
            assert schemas[title + form]["properties"].keys() == {field.name for field in kind.fields}
            assert schemas[title + form]["additionalProperties"] is False
        assert schemas[f"{title}Listing"]["properties"]["items"]["items"] == {
            "$ref": f"#/components/schemas/{title}View"
        }


async def test_what_needs_a_record_keeps_it(client: AsyncClient) -> None:
    """A contract without its client is no contract; the answer says which one stands in the way."""
    acme = await create(client, CLIENT, {"name": "Acme"})
    signed = await client.post("/api/contracts", json={"title": "Agreement", "client_id": acme["id"]})
    refused = await client.delete(f"/api/clients/{acme['id']}")
    assert refused.status_code == 409
    assert signed.json()["id"] in refused.json()["detail"]
    assert (await client.delete(f"/api/contracts/{signed.json()['id']}")).status_code == 204
    assert (await client.delete(f"/api/clients/{acme['id']}")).status_code == 204


async def test_a_client_stays_while_an_invoice_is_not_settled(client: AsyncClient) -> None:
    """A void or paid invoice keeps the name it was written to."""
    acme = await create(client, CLIENT, {"name": "Acme"})
    lines = [{"description": "Design", "unit_price": "10.00"}]
    invoice = await client.post("/api/invoices", json={"client_id": acme["id"], "currency": "USD", "lines": lines})
    refused = await client.delete(f"/api/clients/{acme['id']}")
    assert (refused.status_code, invoice.json()["number"] in refused.json()["detail"]) == (409, True)
    await client.post(f"/api/invoices/{invoice.json()['id']}/void")
    assert (await client.delete(f"/api/clients/{acme['id']}")).status_code == 204
    kept = (await client.get(f"/api/invoices/{invoice.json()['id']}")).json()
    assert "Acme" in json.dumps(kept)


async def test_what_can_be_without_a_record_lets_go_of_it(client: AsyncClient) -> None:
    """As a change like any other: with its version and its event."""
    company = await create(client, COMPANY, {"name": "Acme Holdings"})
    ada = await create(client, CONTACT, {"first_name": "Ada", "company_id": company["id"]})
    subject = {"kind": "company", "id": company["id"]}
    note = (await client.post("/api/notes", json={"text": "Called", "subject": subject})).json()
    assert (await client.delete(f"/api/companies/{company['id']}")).status_code == 204
    left = (await client.get(f"/api/contacts/{ada['id']}")).json()
    assert (left["company_id"], left["version"]) == (None, 2)
    last = (await events(client, ada["id"]))[-1]
    assert (last["type"], last["data"]["previous"]) == ("contact.updated", {"company_id": company["id"]})
    assert (await client.get(f"/api/notes/{note['id']}")).json()["subject"] is None


async def test_a_key_without_the_scope_is_refused(client: AsyncClient) -> None:
    """Reading does not include writing."""
    made = await client.post("/api/keys", json={"name": "reader", "scopes": ["records:read"]})
    reader = {"Authorization": f"Bearer {made.json()['key']}"}
    url = "/api/projects"
    assert (await client.get(url, headers=reader)).status_code == 200
    assert (await client.post(url, json={"name": "Site"}, headers=reader)).status_code == 403


def _at(given: Any, path: str) -> str:
    for step in path.split("."):
        given = given[int(step)] if isinstance(given, list) else given[step]
    return str(given)
