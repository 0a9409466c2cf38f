"""A page of the console: a template, who looks at it, and what is to be said at its top."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import attrs
from litestar import MediaType, Request, Response
from litestar.response import Redirect

from application.caller import Caller
from application.once import Once
from application.organisations.people import Visitor
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Held
from application.ports.store import Store, Work
from domain.organisations import Role
from domain.refusals import Invalid, Refusal
from entrypoints.api.errors import STATUSES
from entrypoints.console.assets import Asset
from entrypoints.console.reader import Reader
from entrypoints.console.rendering import environment
from entrypoints.wiring import Hub

_HERE = Path(__file__).parent
_STATIC = _HERE / "static"

TOKENS = _STATIC / "tokens.css"
STYLE = Asset.of("/console/static/console.css", "text/css", TOKENS, _STATIC / "console.css")
ICON = Asset.of("/console/static/favicon.svg", "image/svg+xml", _STATIC / "favicon.svg")

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Vary": "Accept-Language, Cookie",
}
"""No script runs at all, whatever got into a page."""

REFUSED = (Refusal, Held)
"""What a form can be answered with that is shown in place."""

DONE: Mapping[str, str] = {
    "connected": "Connected.",
    "credited": "The credit note is written.",
    "disconnected": "Disconnected. Its credentials are forgotten.",
    "changed": "Saved.",
    "endpoint-removed": "The endpoint is removed, and what waited for it is cancelled.",
    "handled-again": "It is handled again in a moment.",
    "invoice-written": "The draft is written. Look at it, then send it.",
    "key-revoked": "The key is revoked; it is useless from now on.",
    "link-created": "The payment link is ready to copy.",
    "link-expired": "The payment link is expired; nobody can pay by it any more.",
    "method-forgotten": "The payment method is forgotten; nothing is charged to it any more.",
    "notification-created": "The notification is set up. Send a test to see it arrive.",
    "notification-removed": "The notification is removed.",
    "difference-fixed": "It is fixed, and who did it is written down. The next comparison says whether it agrees.",
    "payout-created": "The payout is on its way.",
    "reconciliation-started": "It begins within a minute. This page looks again by itself.",
    "paused": "Paused. Nothing is sent there until it is switched on again.",
    "reminded": "The reminder is on its way by mail.",
    "plan-made": "The plan is made; clients can subscribe to it.",
    "refunded": "The refund is on its way.",
    "replay-cancelled": "The replay is stopped. What it had made is delivered.",
    "replay-started": "The replay has begun.",
    "resolved": "It is settled, and who did it is written down.",
    "resumed": "Switched on.",
    "sent": "The invoice is on its way by mail.",
    "sent-again": "It is sent again: this is the new delivery.",
    "skipped": "Skipped: it is not tried any more, and what waited behind it goes on.",
    "subscription-ends": "The end is set.",
    "subscription-made": "The subscription is made. Send the client the address, if there is one.",
    "tested": "The test was sent; this is what came of it.",
    "tried-now": "It is tried now.",
    "voided": "The invoice is void; nobody can pay it any more.",
    "written-off": "The invoice is written off. If the client pays after all, it is open again.",
}
"""What a page says after a form was done; the address names the sentence, so nobody can put words in our mouth."""

_environment = environment(_HERE / "templates")


@attrs.frozen
class Notice:
    """Something said at the top of a page. tone: good, info, care or bad. faults: what is wrong, by field."""

    tone: str
    text: str
    faults: Mapping[str, str] = attrs.field(factory=dict)

    @classmethod
    def of(cls, refusal: Refusal | Held) -> "Notice":
        """A refusal, as it is shown in place."""
        if isinstance(refusal, Held):
            return cls("care", "This is being done already. Look again in a moment.")
        faults = {fault.field: fault.reason for fault in refusal.faults}
        text = "Please look at the marked fields." if isinstance(refusal, Invalid) else refusal.reason
        return cls("bad", text, faults)


@attrs.frozen
class Page:
    """Renders templates for one request."""

    request: Request[Any, Any, Any]
    reader: Reader
    visitor: Visitor | None

    @classmethod
    def of(cls, request: Request[Any, Any, Any]) -> "Page":
        """For this request; its visitor is known once they were recognised."""
        hub: Hub = request.app.state.hub
        now = hub.resolve(Clock).now()  # type: ignore[type-abstract]
        reader = Reader.asking(request.headers.get("accept-language", ""), now)
        return cls(request, reader, request.state.get("visitor"))

    # What pages read with. What they do is done by use cases, which a handler names.

    @property
    def hub(self) -> Hub:
        """The hub behind this page."""
        hub: Hub = self.request.app.state.hub
        return hub

    @property
    def caller(self) -> Caller:
        """The visitor as the use cases know them."""
        caller: Caller = self.request.state["caller"]
        return caller

    @property
    def ids(self) -> Ids:
        """For the keys of forms."""
        ids: Ids = self.hub.resolve(Ids)  # type: ignore[type-abstract]
        return ids

    @property
    def public_url(self) -> str:
        """The hub's own address."""
        return self.hub.settings.public_url

    async def done_before(self, once: Once) -> bool:
        """Whether this very form was done already: for deeds that ask a provider before they are written down."""
        async with self.reading() as work:
            return await work.answers.find(once.key) is not None

    def reading(self) -> AbstractAsyncContextManager[Work]:
        """A unit of work in the visitor's organisation that only reads."""
        store: Store = self.hub.resolve(Store)  # type: ignore[type-abstract]
        return store.reading(self.caller.organisation_id)

    def __call__(
        self,
        template: str,
        *,
        status: int = 200,
        notice: Notice | None = None,
        refused: Refusal | Held | None = None,
        headers: Mapping[str, str] | None = None,
        **context: object,
    ) -> Response[str]:
        """The page. `refused`: why the form that was sent could not be done; it gives the page its notice and status."""
        if refused is not None:
            notice, status = Notice.of(refused), status_of(refused)
        done = DONE.get(self.request.query_params.get("done", ""))
        if notice is None and done is not None:
            notice = Notice("good", done)
        html = _environment.get_template(template).render(
            {
                "reader": self.reader,
                "visitor": self.visitor,
                "csrf": self.visitor.session.csrf if self.visitor else "",
                "may_write": self.visitor is not None and self.visitor.user.role is not Role.VIEWER,
                "notice": notice,
                "faults": notice.faults if notice else {},
                "style": STYLE,
                "icon": ICON,
                "cursor_given": self.choice("cursor") is not None,
                "public_url": self.public_url,
                "provider_names": {provider.slug: provider.name for provider in self.hub.providers.all()},
                "request_id": self.request.scope.get("request_id", ""),
                **context,
            }
        )
        return Response(html, status_code=status, media_type=MediaType.HTML, headers={**HEADERS, **(headers or {})})

    def go(self, path: str, *, done: str | None = None) -> Response[str]:
        """Go to another page after a form was done (303, so that a reload does not do it again)."""
        assert done is None or done in DONE, f"there are no words for {done}"
        target = f"{path}?{urlencode({'done': done})}" if done else path
        return Redirect(target, status_code=303, headers={"Cache-Control": "no-store"})

    def choice(self, name: str) -> str | None:
        """A filter of the address, if it is set."""
        return self.request.query_params.get(name, "").strip() or None

    def filters(self, *names: str) -> dict[str, str]:
        """The filters that are set, for the form that shows them and for the links to further pages."""
        return {name: value for name in names if (value := self.choice(name)) is not None}


def status_of(refusal: Refusal | Held) -> int:
    """The status that the API would answer with."""
    return next(status for kind, status, _, _ in STATUSES if isinstance(refusal, kind))


@attrs.frozen
class Form:
    """What was typed into a form."""

    _fields: Mapping[str, tuple[str, ...]]

    @classmethod
    async def of(cls, request: Request[Any, Any, Any]) -> "Form":
        """The request's body; empty unless it is a form."""
        fields = await request.form()
        texts = {name: tuple(str(value) for value in fields.getall(name)) for name in fields}
        return cls(texts)

    def text(self, name: str) -> str:
        """One field without blanks at its ends, empty when it is missing."""
        return self._fields.get(name, ("",))[0].strip()

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field that can be given several times."""
        return self._fields.get(name, ())

    def lines(self, name: str) -> tuple[str, ...]:
        """The values of a field that takes several, parted by lines, commas or blanks."""
        return tuple(self.text(name).replace(",", " ").split())

    @property
    def typed(self) -> dict[str, str]:
        """Every field by its name, to show a refused form as it was typed."""
        return {name: values[0] for name, values in self._fields.items() if values}

    def once(self) -> Once:
        """The page's own key for this form: sent twice, by a second click or a reload, it is done once.

        Raises Invalid for a form that lacks it.
        """
        key = self.text("once")
        if not 16 <= len(key) <= 64:
            raise Invalid.field("once", "Reload the page and try again.")
        return Once(f"console:{key}", "form", lambda _: (303, b"", {}))
