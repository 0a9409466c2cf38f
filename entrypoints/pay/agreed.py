"""Where clients come back to when they have agreed to a subscription, unless the host application has a page of its own."""

from pathlib import Path
from typing import Any

from litestar import Controller, MediaType, Request, Response, get

from application.billing.subscriptions.returning import ReturnFromAgreement
from application.ports.clock import Clock
from domain.billing.subscriptions import SubscriptionState
from entrypoints.console.reader import Reader
from entrypoints.console.rendering import environment
from entrypoints.pay.pages import HEADERS, LOOKS, STYLE
from entrypoints.wiring import Hub

_environment = environment(Path(__file__).parent / "templates")

_WAITS = (SubscriptionState.INCOMPLETE, SubscriptionState.UNKNOWN)


class AgreedPages(Controller):
    """/pay/agreed/{organisation}/{subscription}"""

    path = "/pay/agreed"

    @get("/{organisation_id:str}/{subscription_id:str}")
    async def returned(
        self,
        request: Request[Any, Any, Any],
        organisation_id: str,
        subscription_id: str,
        return_from_agreement: ReturnFromAgreement,
    ) -> Response[Any]:
        """The provider is asked at once. `cancelled` says that they left its page without agreeing."""
        seen = await return_from_agreement(organisation_id, subscription_id)
        waits = seen.subscription.state in _WAITS
        left = waits and "cancelled" in request.query_params
        given = request.query_params.get("look", "")
        look = int(given) if given.isascii() and given.isdigit() and len(given) < 4 else 0
        here = f"/pay/agreed/{seen.subscription.organisation_id}/{seen.subscription.id}"
        hub: Hub = request.app.state.hub
        now = hub.resolve(Clock).now()  # type: ignore[type-abstract]
        reader = Reader.asking(request.headers.get("accept-language", ""), now)
        html = _environment.get_template("agreed.html").render(
            reader=reader,
            style=STYLE,
            seen=seen,
            waits=waits,
            left=left,
            again_at=f"{here}?look={look + 1}",
            again_in=LOOKS[look] if waits and not left and look < len(LOOKS) else None,
        )
        return Response(html, media_type=MediaType.HTML, headers=HEADERS)
