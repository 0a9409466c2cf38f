"""The HTTP application: the API, the pay pages, the console, health."""

from collections.abc import Sequence
from typing import Any

from litestar import Litestar, Router
from litestar.config.response_cache import ResponseCacheConfig
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from entrypoints.api import access, bodies, errors, idempotency, paging, versions
from entrypoints.api.billing_settings import BillingSettingsApi
from entrypoints.api.books import LedgerBooks, Reconciliations
from entrypoints.api.deliveries import Deliveries
from entrypoints.api.document import openapi, tell_of_problems
from entrypoints.api.events import Events
from entrypoints.api.health import Health
from entrypoints.api.inbound import ProviderWebhooks
from entrypoints.api.inbox import Inbox
from entrypoints.api.integrations import Integrations, Notifications
from entrypoints.api.invoices import Invoices
from entrypoints.api.jwks import Jwks, WebhookSigningKey
from entrypoints.api.keys import Audit, Keys
from entrypoints.api.payers import Payers
from entrypoints.api.payments import Billing, Payments
from entrypoints.api.payouts import PaidOut
from entrypoints.api.plans import PlanRoutes
from entrypoints.api.polling import Polling
from entrypoints.api.record_schemas import RecordSchemas
from entrypoints.api.replays import Replays
from entrypoints.api.statistics import DeliveryStatistics, EndpointStatistics
from entrypoints.api.subscriptions import SubscriptionRoutes
from entrypoints.api.webhooks import Webhooks
from entrypoints.api.work import CONTROLLERS as RECORDS
from entrypoints.wiring import Hub

MAX_BODY = 1024 * 1024
"""How many bytes a request's body may have (1 MiB)."""

API: tuple[ControllerRouterHandler, ...] = (
    Audit,
    Billing,
    BillingSettingsApi,
    Deliveries,
    DeliveryStatistics,
    EndpointStatistics,
    Events,
    Inbox,
    Integrations,
    Invoices,
    Keys,
    LedgerBooks,
    Notifications,
    Payers,
    PaidOut,
    Payments,
    PlanRoutes,
    Polling,
    ProviderWebhooks,
    Reconciliations,
    Replays,
    SubscriptionRoutes,
    WebhookSigningKey,
    Webhooks,
    *RECORDS,
)


def create_app(hub: Hub, pages: Sequence[ControllerRouterHandler] = ()) -> Litestar:
    """The application over an opened hub. `pages`: the pay pages and the console."""
    dependencies: dict[str, Provide] = {
        name: Provide(_giving(thing), use_cache=True, sync_to_thread=False)
        for name, thing in hub.dependencies().items()
    }
    dependencies |= {
        "caller": Provide(access.provide_caller, sync_to_thread=False),
        "slice": Provide(paging.provide_slice, sync_to_thread=False),
        "if_match": Provide(versions.provide_if_match, sync_to_thread=False),
        "idempotency": Provide(idempotency.provide_idempotency),
    }
    api = Router(
        "/",
        route_handlers=list(API),
        guards=[access.authenticate],
        before_request=bodies.check_body,
        security=[{"apiKey": []}],
    )
    app = Litestar(
        route_handlers=[api, Health, Jwks, *pages],
        dependencies=dependencies,
        exception_handlers={**errors.HANDLERS, idempotency.AlreadyAnswered: idempotency.on_already_answered},
        openapi_config=openapi(),
        plugins=[RecordSchemas()],
        request_max_body_size=MAX_BODY,
        response_cache_config=ResponseCacheConfig(default_expiration=0),
        logging_config=None,
    )
    app.state.hub = hub
    tell_of_problems(app)
    return app


def _giving(thing: Any) -> Any:
    def give() -> Any:
        return thing

    return give
