"""The public pages behind payment links, and where those who subscribed come back to."""

from collections.abc import Sequence

from litestar import Router
from litestar.types import ControllerRouterHandler

from entrypoints.pay.agreed import AgreedPages
from entrypoints.pay.pages import HANDLERS, PayPages

PAGES: Sequence[ControllerRouterHandler] = (
    Router("/", route_handlers=[PayPages, AgreedPages], exception_handlers=HANDLERS, include_in_schema=False),
)
"""What the application serves besides the API."""
