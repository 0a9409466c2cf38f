"""The audit trail: who did what."""

from litestar import Controller, Response, get

from application.ports.store import Slice
from entrypoints.api.paging import listing
from entrypoints.console.pages import Page

_PAGES = {
    "inv_": "invoices",
    "pay_": "payments",
    "wh_": "webhooks",
    "ntf_": "notifications",
    "con_": "connections",
    "dlv_": "deliveries",
    "inb_": "inbox",
    "evt_": "events",
}
"""Where the page of a subject is, by its id's prefix."""


class AuditPages(Controller):
    """/console/audit"""

    path = "/audit"

    @get("/")
    async def show_all(self, page: Page, slice: Slice) -> Response[str]:
        """Newest first; of one person or key, of one action, about one thing."""
        filters = page.filters("actor", "action", "subject")
        async with page.reading() as work:
            found = await work.audit.page(slice, **filters)
        entries = listing(found, lambda entry: entry)
        return page("audit.html", entries=entries, filters=filters, page_of=page_of)


def page_of(subject: str) -> str | None:
    """The page of a thing with this id; None when it has none. Things that are removed lead to a page that says so."""
    prefix = f"{subject.partition('_')[0]}_"
    return f"/console/{_PAGES[prefix]}/{subject}" if prefix in _PAGES else None
