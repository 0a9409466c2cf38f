"""The Idempotency-Key header: the same call again gets the same answer, at once or after a crash.

As in the IETF draft "The Idempotency-Key HTTP Header Field": another body under the same key is 422, a call that is still
being done is 409. Keys belong to an organisation and are kept as long as finished deliveries are.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Annotated, Any

import attrs
import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import HeaderParameter

from application.caller import Caller
from application.once import Once
from application.ports.leases import Held, Leases
from application.ports.store import Answer, Store
from application.ports.vault import Vault
from domain.refusals import Invalid, Refusal
from entrypoints.api.errors import PROBLEM_JSON, refused

_HELD = timedelta(seconds=20)

_IN_FLIGHT = "A request with this Idempotency-Key is still being carried out: ask again in a moment, with the same key."


class AlreadyAnswered(Exception):
    """The call was answered before; `answer` is to be given again."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.key)
        self.answer = answer


class KeyInFlight(Held):
    """A call with this key is being done at this moment."""

    @property
    def reason(self) -> str:
        """What the caller is told."""
        return str(self)


@attrs.frozen
class Idempotency:
    """The Idempotency-Key of this request, if it has one."""

    key: str | None
    request_hash: str
    seal: Callable[[bytes], bytes]
    """Answers are kept sealed: some hold a secret that is shown only once."""

    def once(
        self, view: Callable[[Any], Any], *, status: int = 201, location: Callable[[Any], str] | None = None
    ) -> Once | None:
        """What the use case keeps with its effect; None without a key. `view` makes the answer's body of the result."""
        if self.key is None:
            return None

        def render(result: Any) -> tuple[int, bytes, Mapping[str, str]]:
            shown = view(result)
            headers = {"content-type": "application/json"}
            version = getattr(shown, "version", None)
            if version is not None:
                headers["etag"] = f'"{version}"'
            if location is not None:
                headers["location"] = location(result)
            return status, self.seal(msgspec.json.encode(shown)), headers

        def refuse(refusal: Refusal) -> tuple[int, bytes, Mapping[str, str]]:
            problem = refused(refusal)
            return problem.status, self.seal(msgspec.json.encode(problem)), {"content-type": PROBLEM_JSON}

        return Once(self.key, self.request_hash, render, refuse)


IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        description="The same key and request get the same answer; the effect happens once.",
    ),
]


async def provide_idempotency(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    store: NamedDependency[Store],
    leases: NamedDependency[Leases],
    vault: NamedDependency[Vault],
    idempotency_key: IdempotencyKey = None,
) -> AsyncGenerator[Idempotency, None]:
    """Holds the key while the call is being done. Raises KeyInFlight, KeyReused, AlreadyAnswered, Invalid."""
    body = await request.body()
    idempotency = keyed(caller, vault, request.method, request.url.path, body, idempotency_key)
    if idempotency.key is None:
        yield idempotency
        return
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(leases.hold(f"once:{caller.organisation_id}:{idempotency.key}", for_=_HELD))
        except Held as held:
            raise KeyInFlight(_IN_FLIGHT) from held
        async with store.reading(caller.organisation_id) as work:
            earlier = await work.answers.find(idempotency.key)
        if earlier is not None:
            raise AlreadyAnswered(opened(idempotency, vault, caller, earlier))
        yield idempotency


def keyed(caller: Caller, vault: Vault, method: str, path: str, body: bytes, key: str | None) -> Idempotency:
    """What a request's key stands for. Raises Invalid for a key that is none."""
    if key is not None and (not 1 <= len(key) <= 255 or not key.isprintable()):
        raise Invalid.field("Idempotency-Key", "A key has 1 to 255 printable characters.")
    digest = "" if key is None else hashlib.sha256(f"{method} {path}\n".encode() + body).hexdigest()
    about = _about(caller, key)

    def seal(body: bytes) -> bytes:
        return vault.seal(body.decode(), about=about).encode()

    return Idempotency(key, digest, seal)


def opened(idempotency: Idempotency, vault: Vault, caller: Caller, earlier: Answer) -> Answer:
    """The answer that is to be given again. Raises KeyReused unless the earlier call was this one."""
    Once(earlier.key, idempotency.request_hash, lambda _: (0, b"", {})).check(earlier)
    return attrs.evolve(earlier, body=vault.open(earlier.body.decode(), about=_about(caller, earlier.key)).encode())


def _about(caller: Caller, key: str | None) -> str:
    return f"{caller.organisation_id}/answer/{key}"


def on_already_answered(_: Request[Any, Any, Any], error: AlreadyAnswered) -> Response[bytes]:
    """Give the kept answer again, and say so."""
    answer = error.answer
    headers = {**answer.headers, "Idempotent-Replayed": "true"}
    media_type = headers.pop("content-type", "application/json")
    return Response(answer.body, status_code=answer.status, headers=headers, media_type=media_type)
