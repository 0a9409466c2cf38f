"""Who is calling, and what they may do. Every route under /api states a scope, or that it is public."""

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from application.caller import Caller
from application.organisations.keys import RecogniseKey
from domain.organisations import Scope, Unauthenticated


async def authenticate(connection: ASGIConnection, handler: BaseRouteHandler) -> None:  # type: ignore[type-arg]
    """Raises Unauthenticated or Forbidden. Runs before the body is read."""
    if handler.opt.get("public"):
        return
    scope: Scope = handler.opt["scope"]
    kind, _, text = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not text.strip():
        raise Unauthenticated("This needs an API key: Authorization: Bearer pb_…")
    recognise: RecogniseKey = connection.app.state.hub.resolve(RecogniseKey)
    key = await recognise(text.strip())
    key.require(scope)
    connection.state["caller"] = Caller(key.organisation_id, f"key:{key.name}")


def provide_caller(request: ASGIConnection) -> Caller:  # type: ignore[type-arg]
    """The caller that `authenticate` recognised."""
    caller: Caller = request.state["caller"]
    return caller
