"""API keys and the audit trail."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from application.caller import Caller
from application.organisations.keys import IssueKey, RevokeKey
from application.ports.store import Slice, Store
from domain.organisations import Scope
from entrypoints.api.paging import Listing, listing
from entrypoints.api.views.administering import AuditView, KeyView


class KeyIssued(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A new key."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    scopes: Annotated[list[Scope], msgspec.Meta(min_length=1)]
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Keys(Controller):
    """API keys: shown once, kept hashed."""

    path = "/api/keys"
    tags = ("API keys",)

    @get("/", scope=Scope.ADMIN_READ, summary="List API keys")
    async def list_keys(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], slice: NamedDependency[Slice]
    ) -> Listing[KeyView]:
        """Newest first."""
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.keys.page(slice), KeyView.of)

    @post("/", scope=Scope.ADMIN_WRITE, summary="Issue an API key")
    async def issue_key(
        self, caller: NamedDependency[Caller], data: JSONBody[KeyIssued], issue_key: NamedDependency[IssueKey]
    ) -> KeyView:
        """The key is in the answer, once. For that reason this call takes no Idempotency-Key: the answer is not kept."""
        issued = await issue_key(caller, name=data.name, scopes=frozenset(data.scopes), expires_at=data.expires_at)
        return KeyView.of_issued(issued)

    @delete("/{key_id:str}", scope=Scope.ADMIN_WRITE, status_code=200, summary="Revoke an API key")
    async def revoke_key(
        self, caller: NamedDependency[Caller], key_id: FromPath[str], revoke_key: NamedDependency[RevokeKey]
    ) -> KeyView:
        """At once."""
        return KeyView.of(await revoke_key(caller, key_id))


class Audit(Controller):
    """Who did what."""

    path = "/api/audit"
    tags = ("Audit",)

    @get("/", scope=Scope.ADMIN_READ, summary="The audit trail")
    async def list_audit(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], slice: NamedDependency[Slice]
    ) -> Listing[AuditView]:
        """Newest first."""
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.audit.page(slice), AuditView.of)
