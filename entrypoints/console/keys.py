"""API keys: issue, see when they were used, revoke."""

from datetime import timedelta

from litestar import Controller, Response, get, post

from application.caller import Caller
from application.organisations.keys import IssuedKey, IssueKey, RevokeKey
from application.ports.leases import Held
from application.ports.store import Slice
from domain.organisations import Scope
from domain.refusals import Refusal
from entrypoints.api.paging import listing
from entrypoints.console.pages import REFUSED, Form, Notice, Page

_LIVES = {"30": timedelta(days=30), "90": timedelta(days=90), "365": timedelta(days=365)}
_SCOPES = {scope.value: scope for scope in Scope}


class KeyPages(Controller):
    """/console/keys"""

    path = "/keys"

    @get("/")
    async def show_all(self, page: Page, slice: Slice) -> Response[str]:
        """Newest first, with the form for a new one."""
        return await _show(page, slice)

    @post("/")
    async def issue(self, page: Page, form: Form, caller: Caller, issue_key: IssueKey) -> Response[str]:
        """The answer shows the key, this once."""
        life = _LIVES.get(form.text("life"))
        scopes = frozenset(_SCOPES[name] for name in form.all("scopes") if name in _SCOPES)
        expires_at = page.reader.now + life if life else None
        try:
            issued = await issue_key(caller, name=form.text("name"), scopes=scopes, expires_at=expires_at)
        except REFUSED as refused:
            return await _show(page, Slice(), refused=refused, typed=form.typed, scopes=form.all("scopes"))
        return await _show(page, Slice(), issued=issued)

    @post("/{key_id:str}/revoke")
    async def revoke(self, page: Page, caller: Caller, key_id: str, revoke_key: RevokeKey) -> Response[str]:
        """At once."""
        await revoke_key(caller, key_id)
        return page.go("/console/keys", done="key-revoked")


async def _show(
    page: Page,
    slice: Slice,
    *,
    refused: Refusal | Held | None = None,
    issued: IssuedKey | None = None,
    typed: dict[str, str] | None = None,
    scopes: tuple[str, ...] = (),
) -> Response[str]:
    async with page.reading() as work:
        keys = listing(await work.keys.page(slice), lambda key: key)
    notice = Notice("good", "Copy the key now: only its hash is kept, it is not shown again.") if issued else None
    return page(
        "keys.html",
        refused=refused,
        notice=notice,
        issued=issued,
        keys=keys,
        families=_families(),
        typed=typed or {},
        chosen=scopes,
        filters={},
    )


def _families() -> dict[str, list[str]]:
    families: dict[str, list[str]] = {}
    for name in _SCOPES:
        families.setdefault(name.partition(":")[0], []).append(name)
    return families
