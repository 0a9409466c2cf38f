"""The OpenAPI document: what Litestar makes of the handlers, with names and errors as they really are."""

from http import HTTPStatus

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import Method
from litestar.types.internal_types import PathParameterDefinition

from entrypoints.api.docs import OfflineDocs
from entrypoints.api.errors import PROBLEM_JSON, Problem

_ALWAYS = (400,)
_WITH_A_KEY = (401, 403)
_WITH_AN_ID = (404,)
_WRITING = (409, 412, 413, 415, 422)
_READING = (422,)


def openapi() -> OpenAPIConfig:
    """How the document is made, and where it is shown."""
    return OpenAPIConfig(
        title="Patchbay",
        version="0.1.0",
        description=(
            "One API for payments, notices, webhooks and records. Errors are problem+json naming the field; lists page by"
            " cursor; POST calls take an Idempotency-Key; changes take If-Match."
        ),
        path="/docs",
        components=Components(
            security_schemes={
                "apiKey": SecurityScheme(type="http", scheme="bearer", description="An API key, pb_…"),
            }
        ),
        render_plugins=[OfflineDocs()],
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
    )


def tell_of_problems(app: Litestar) -> None:
    """Write down the errors of every route under /api. Call it before the document is made."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and route.path.startswith("/api"):
                handler.responses = {**_problems(handler, "{" in route.path), **(handler.responses or {})}


def _problems(handler: HTTPRouteHandler, with_id: bool) -> dict[int, ResponseSpec]:
    statuses = {
        *_ALWAYS,
        *(() if handler.opt.get("public") else _WITH_A_KEY),
        *(_WITH_AN_ID if with_id else ()),
        *(_READING if "GET" in handler.http_methods else _WRITING),
    }
    return {
        status: ResponseSpec(Problem, False, HTTPStatus(status).phrase, media_type=PROBLEM_JSON)
        for status in sorted(statuses)
    }


def _operation_id(handler: HTTPRouteHandler, _: Method, path: list[str | PathParameterDefinition]) -> str:
    """The handler's name; of one with several paths, with the words of this path."""
    if len(handler.paths) == 1:
        return handler.handler_name
    words = [part for part in path if isinstance(part, str) and part != "api"]
    return "_".join((handler.handler_name, *words))
