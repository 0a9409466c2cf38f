"""The web console: pages made on the server that work without JavaScript."""

from collections.abc import Sequence
from typing import Any

from litestar import Request, Response, Router, get
from litestar.di import Provide
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from domain.refusals import NotFound
from entrypoints.console.audit import AuditPages
from entrypoints.console.billing_settings import BillingSettingsPages
from entrypoints.console.books import LedgerPages
from entrypoints.console.connections import ConnectionPages
from entrypoints.console.deliveries import DeliveryPages
from entrypoints.console.errors import HANDLERS
from entrypoints.console.events import EventPages
from entrypoints.console.inbox import InboxPages
from entrypoints.console.invoice_deeds import InvoiceDeeds
from entrypoints.console.invoice_form import InvoiceFormPages
from entrypoints.console.invoices import InvoicePages
from entrypoints.console.jobs import JobPages
from entrypoints.console.keys import KeyPages
from entrypoints.console.notifications import NotificationPages
from entrypoints.console.overview import Overview
from entrypoints.console.pages import ICON, STYLE, Form, Page
from entrypoints.console.payers import PayerPages
from entrypoints.console.payments import PaymentPages
from entrypoints.console.payouts import PayoutPages
from entrypoints.console.plans import PlanPages
from entrypoints.console.reconciliations import ReconciliationPages
from entrypoints.console.replays import ReplayPages
from entrypoints.console.session import SignInPages, check_form, recognise
from entrypoints.console.statistics import StatisticsPages
from entrypoints.console.subscriptions import SubscriptionPages
from entrypoints.console.webhooks import WebhookPages


@get("/", include_in_schema=False)
async def to_console() -> Redirect:
    """A person who types the bare address wants the console."""
    return Redirect("/console", status_code=303)


@get("/static/console.css", public=True)
async def style(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The console's style sheet."""
    return STYLE.answer(request)


@get("/static/favicon.svg", public=True)
async def icon(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The picture on the browser's tab."""
    return ICON.answer(request)


@get("/{rest:path}")
async def nowhere(rest: str) -> Response[str]:
    """Any other address says so as a page, to people who are signed in."""
    raise NotFound("page", rest)


async def _page(request: Request[Any, Any, Any]) -> Page:
    return Page.of(request)


async def _form(request: Request[Any, Any, Any]) -> Form:
    return await Form.of(request)


CONSOLE = Router(
    "/console",
    route_handlers=[
        Overview,
        SignInPages,
        AuditPages,
        BillingSettingsPages,
        ConnectionPages,
        DeliveryPages,
        EventPages,
        InboxPages,
        InvoiceDeeds,
        InvoiceFormPages,
        InvoicePages,
        JobPages,
        KeyPages,
        LedgerPages,
        NotificationPages,
        PayerPages,
        PaymentPages,
        PayoutPages,
        ReconciliationPages,
        PlanPages,
        ReplayPages,
        StatisticsPages,
        SubscriptionPages,
        WebhookPages,
        style,
        icon,
        nowhere,
    ],
    guards=[recognise],
    before_request=check_form,
    dependencies={"page": Provide(_page), "form": Provide(_form)},
    exception_handlers=HANDLERS,
    include_in_schema=False,
)

PAGES: Sequence[ControllerRouterHandler] = (to_console, CONSOLE)
"""What the application serves besides the API."""
