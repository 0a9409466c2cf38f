"""What the sandbox's controls and pages need of it."""

from collections.abc import Callable
from typing import Any, Protocol

from litestar import Response
from litestar.exceptions import ClientException

from adapters.providers.stripe.sandbox_books import Books
from adapters.providers.stripe.sandbox_form import StripeFault
from adapters.providers.stripe.sandbox_gate import RateLimit
from adapters.providers.stripe.sandbox_objects import Json
from adapters.sandbox.post import Post


class Controlled(Protocol):
    """What the controls and the pages need of the sandbox."""

    post: Post
    limit: RateLimit
    revoked: set[str]
    faults: Any

    def holder(self, shelf: str, id_: str) -> tuple[Books, Json]:
        """The shop that has an object, and the object."""

    def books_of(self, key: str) -> Books:
        """The shop of a secret key."""

    def shops(self) -> tuple[Books, ...]:
        """Every shop so far."""

    def flush(self, books: Books, *, request_id: str | None = None, key: str | None = None) -> None:
        """Send what a change made known."""

    def resend(self, event_id: str) -> int:
        """Send an event again."""

    def reset(self) -> None:
        """Forget everything."""


def done(body: Json, status: int = 200) -> Response[Json]:
    """An answer."""
    return Response(body, status_code=status)


def acted(sandbox: Controlled, books: Books, work: Callable[[], Json]) -> Response[Json]:
    """Do it, tell what became of it, and send the events."""
    try:
        return done(work())
    except StripeFault as fault:
        return done(fault.body(), fault.status)
    finally:
        sandbox.flush(books)


def found(sandbox: Controlled, shelf: str, id_: str) -> tuple[Books, Json]:
    """The shop that has it, and the thing. Answers 404."""
    try:
        return sandbox.holder(shelf, id_)
    except StripeFault as fault:
        raise ClientException(fault.message, status_code=404) from fault
