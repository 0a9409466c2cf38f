"""The public pages behind payment links."""

from collections.abc import Sequence

from litestar import Router
from litestar.types import ControllerRouterHandler

from entrypoints.pay.pages import HANDLERS, PayPages

PAGES: Sequence[ControllerRouterHandler] = (
    Router("/", route_handlers=[PayPages], exception_handlers=HANDLERS, include_in_schema=False),
)
"""What the application serves besides the API."""
