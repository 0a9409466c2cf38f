"""Connections to providers: connect, look, test, change, disconnect; and each invoice's payment link by provider."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from application.billing.links import CreatePaymentLink, ExpirePaymentLink, link_of
from application.caller import Caller
from application.connections.access import live, usable
from application.connections.connect import Connect
from application.connections.manage import ChangeConnection, Disconnect, TestConnection
from application.notifications.configurations import PreviewNotification, RemoveNotification, SaveNotification
from application.notifications.try_out import TryOut
from application.ports.providers import Providers
from application.ports.store import Slice, Store
from domain.connections.connection import ConnectionState
from domain.connections.provider import Capability, Provider
from domain.organisations import Scope
from domain.refusals import Invalid
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.paging import Listing, listing
from entrypoints.api.versions import versioned
from entrypoints.api.views.billing import PaymentLinkView
from entrypoints.api.views.connecting import ConnectionView, ProviderView
from entrypoints.api.views.telling import NotificationView, PreviewView, TestView

_SHOWN = (ConnectionState.CONNECTED, ConnectionState.FAILING, ConnectionState.PAUSED)


class ConnectionCreated(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A new connection. `fields` are those that the catalogue lists for the provider."""

    provider: str
    fields: dict[str, str | None]
    name: str | None = None


class ConnectionChanged(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to change; what is left out stays."""

    name: str | None = None
    fields: dict[str, str | None] | None = None
    active: bool | None = None


class SettingsChanged(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The provider's fields to change."""

    fields: dict[str, str | None]
    name: str | None = None


class ConnectionNamed(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which connection: its id, or a provider's slug when there is one connection to it."""

    connection: str


class ConnectionTested(msgspec.Struct, frozen=True):
    """What a test showed."""

    ok: bool
    detail: str
    connection: ConnectionView


class StatusView(msgspec.Struct, frozen=True):
    """Whether the organisation is connected to a provider, and by which connections."""

    provider: str
    configured: bool
    connected: bool
    live: bool
    last_error: str | None
    last_error_at: datetime | None
    connections: list[ConnectionView]


class LinkAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """For which invoice, and until when (by default thirty days)."""

    invoice_id: str
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class NotificationSaved(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A notification configuration; with `id` the one to change.

    Give `webhook_url` for a place of its own, or `connection_id`, or neither when one connection to the platform exists.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    platform: Annotated[str, msgspec.Meta(examples=["slack"])]
    events: Annotated[list[str], msgspec.Meta(min_length=1, max_length=200, examples=[["invoice.*"]])]
    id: str | None = None
    connection_id: str | None = None
    webhook_url: Annotated[str, msgspec.Meta(max_length=2000)] | None = None
    target: dict[str, Any] | None = None
    is_active: bool = True


class NotificationTested(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which type of event to send; one that the configuration covers by default."""

    event_type: str | None = None


class PreviewAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to show: a type of event on a platform, with data of your own or the catalogue's sample."""

    platform: str
    event_type: str = "invoice.paid"
    data: dict[str, Any] | None = None


class Notifications(Controller):
    """Which events are told to which channel."""

    path = "/api/integrations/notifications"
    tags = ("Notifications",)

    @get("/", scope=Scope.INTEGRATIONS_READ, summary="List notification configurations")
    async def list_notifications(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], slice: NamedDependency[Slice]
    ) -> Listing[NotificationView]:
        """Newest first."""
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.notifications.page(slice), NotificationView.of)

    @post("/", scope=Scope.INTEGRATIONS_WRITE, summary="Create or change a notification configuration")
    async def save_notification(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[NotificationSaved],
        save_notification: NamedDependency[SaveNotification],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[NotificationView]:
        """201 for a new one, 200 for a changed one."""
        status = 200 if data.id else 201
        saved = await save_notification(
            caller,
            id=data.id,
            name=data.name,
            platform=data.platform,
            events=tuple(data.events),
            connection_id=data.connection_id,
            webhook_url=data.webhook_url,
            target=data.target,
            is_active=data.is_active,
            once=idempotency.once(NotificationView.of, status=status),
        )
        return versioned(NotificationView.of(saved), saved.version, status=status)

    @delete("/{notification_id:str}", scope=Scope.INTEGRATIONS_WRITE, summary="Remove a notification configuration")
    async def remove_notification(
        self,
        caller: NamedDependency[Caller],
        notification_id: FromPath[str],
        remove_notification: NamedDependency[RemoveNotification],
    ) -> None:
        """What still waits for it is cancelled."""
        await remove_notification(caller, notification_id)

    @post(
        "/{notification_id:str}/test",
        scope=Scope.INTEGRATIONS_WRITE,
        status_code=200,
        summary="Send a test notification",
    )
    async def test_notification(
        self,
        caller: NamedDependency[Caller],
        notification_id: FromPath[str],
        try_out: NamedDependency[TryOut],
        data: JSONBody[NotificationTested | None] = None,
    ) -> TestView:
        """One attempt now, with the catalogue's sample; nothing is retried."""
        return TestView.of(await try_out.notification(caller, notification_id, data.event_type if data else None))

    @post("/preview", scope=Scope.INTEGRATIONS_READ, status_code=200, summary="Preview a notification")
    async def preview_notification(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[PreviewAsked],
        preview_notification: NamedDependency[PreviewNotification],
    ) -> PreviewView:
        """What would be sent, and how near it comes to the channel's limits. Nothing is sent."""
        preview = await preview_notification(caller, platform=data.platform, type=data.event_type, data=data.data)
        return PreviewView.of(data.platform, preview)


class Integrations(Controller):
    """Connections to providers."""

    path = "/api/integrations"
    tags = ("Integrations",)

    @get("/", scope=Scope.INTEGRATIONS_READ, summary="List connections")
    async def list_connections(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], slice: NamedDependency[Slice]
    ) -> Listing[ConnectionView]:
        """Newest first, with status and last error."""
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.connections.page(slice, state=_SHOWN), ConnectionView.of)

    @get("/catalog", scope=Scope.INTEGRATIONS_READ, summary="The provider catalogue")
    async def list_providers(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], providers: NamedDependency[Providers]
    ) -> list[ProviderView]:
        """Every provider, what it offers, what it takes to connect, and whether it is configured.

        For one that takes payments also its currencies, and who does what: the provider, the hub in its stead, or nobody.
        """
        async with store.reading(caller.organisation_id) as work:
            configured = {c.provider for c in await work.connections.all(state=_SHOWN)}
        return [ProviderView.of(p, p.slug in configured, _currencies(providers, p)) for p in providers.all()]

    @post("/", scope=Scope.INTEGRATIONS_WRITE, summary="Create a connection")
    async def create_connection(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[ConnectionCreated],
        connect: NamedDependency[Connect],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[ConnectionView]:
        """The credentials are tried before they are kept, sealed."""
        once = idempotency.once(ConnectionView.of)
        connection = await connect(caller, data.provider, data.fields, name=data.name, once=once)
        return versioned(ConnectionView.of(connection), connection.version, status=201)

    @post("/test", scope=Scope.INTEGRATIONS_WRITE, status_code=200, summary="Test a connection named in the body")
    async def test_named(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[ConnectionNamed],
        test_connection: NamedDependency[TestConnection],
    ) -> ConnectionTested:
        """Asks the provider whether it still accepts the credentials."""
        result = await test_connection(caller, data.connection)
        return ConnectionTested(result.ok, result.detail, ConnectionView.of(result.connection))

    @get("/{connection_id:str}", scope=Scope.INTEGRATIONS_READ, summary="One connection")
    async def get_connection(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], connection_id: FromPath[str]
    ) -> Response[ConnectionView]:
        """By its id, or by its provider's slug when there is one."""
        async with store.reading(caller.organisation_id) as work:
            connection = await usable(work, connection_id)
        return versioned(ConnectionView.of(connection), connection.version)

    @patch("/{connection_id:str}", scope=Scope.INTEGRATIONS_WRITE, summary="Change a connection")
    async def change_connection(
        self,
        caller: NamedDependency[Caller],
        connection_id: FromPath[str],
        data: JSONBody[ConnectionChanged],
        change_connection: NamedDependency[ChangeConnection],
        if_match: NamedDependency[int | None],
    ) -> Response[ConnectionView]:
        """Rename it, change its fields, switch it on or off."""
        changed = await change_connection(
            caller, connection_id, name=data.name, fields=data.fields, active=data.active, version=if_match
        )
        return versioned(ConnectionView.of(changed), changed.version)

    @delete("/{connection_id:str}", scope=Scope.INTEGRATIONS_WRITE, summary="Disconnect")
    async def remove_connection(
        self, caller: NamedDependency[Caller], connection_id: FromPath[str], disconnect: NamedDependency[Disconnect]
    ) -> None:
        """Its credentials are forgotten."""
        await disconnect(caller, connection_id)

    # One path serves a connection's id and a provider's slug.

    @post("/{name:str}/test", scope=Scope.INTEGRATIONS_WRITE, status_code=200, summary="Test a connection")
    async def run_connection_test(
        self, caller: NamedDependency[Caller], name: FromPath[str], test_connection: NamedDependency[TestConnection]
    ) -> ConnectionTested:
        """By its id, or by its provider's slug when there is one."""
        result = await test_connection(caller, name)
        return ConnectionTested(result.ok, result.detail, ConnectionView.of(result.connection))

    @post("/{provider:str}/connect", scope=Scope.INTEGRATIONS_WRITE, summary="Connect with a pasted key or URL")
    async def connect_provider(
        self,
        caller: NamedDependency[Caller],
        provider: FromPath[str],
        data: JSONBody[dict[str, Any]],
        connect: NamedDependency[Connect],
        idempotency: NamedDependency[Idempotency],
    ) -> Response[ConnectionView]:
        """The body holds the provider's fields as the catalogue lists them, and `name` if you like."""
        name = data.pop("name", None)
        for field, value in {"name": name, **data}.items():
            if value is not None and not isinstance(value, str | int):
                raise Invalid.field(field, "This is a text.")
        fields = {field: None if value is None else str(value) for field, value in data.items()}
        once = idempotency.once(ConnectionView.of)
        connection = await connect(caller, provider, fields, name=None if name is None else str(name), once=once)
        return versioned(ConnectionView.of(connection), connection.version, status=201)

    @get("/{provider:str}/status", scope=Scope.INTEGRATIONS_READ, summary="Whether a provider is connected")
    async def get_status(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        providers: NamedDependency[Providers],
        provider: FromPath[str],
    ) -> StatusView:
        """And by which connections."""
        manifest = providers.manifest(provider)
        async with store.reading(caller.organisation_id) as work:
            connections = await live(work, manifest.slug)
        errors = [c for c in connections if c.last_error]
        return StatusView(
            manifest.slug,
            bool(connections),
            any(c.state is ConnectionState.CONNECTED for c in connections),
            any(c.live for c in connections),
            errors[-1].last_error if errors else None,
            errors[-1].last_error_at if errors else None,
            [ConnectionView.of(c) for c in connections],
        )

    @put("/{provider:str}/settings", scope=Scope.INTEGRATIONS_WRITE, summary="Change a provider's settings")
    async def change_settings(
        self,
        caller: NamedDependency[Caller],
        provider: FromPath[str],
        data: JSONBody[SettingsChanged],
        change_connection: NamedDependency[ChangeConnection],
        if_match: NamedDependency[int | None],
    ) -> Response[ConnectionView]:
        """Of the only connection to it, or of the connection with this id."""
        changed = await change_connection(caller, provider, name=data.name, fields=data.fields, version=if_match)
        return versioned(ConnectionView.of(changed), changed.version)

    @delete("/{provider:str}/disconnect", scope=Scope.INTEGRATIONS_WRITE, summary="Disconnect from a provider")
    async def disconnect_provider(
        self, caller: NamedDependency[Caller], provider: FromPath[str], disconnect: NamedDependency[Disconnect]
    ) -> None:
        """Its credentials are forgotten."""
        await disconnect(caller, provider)

    @post("/{provider:str}/payment-link", scope=Scope.BILLING_WRITE, summary="Create an invoice's payment link")
    async def create_payment_link(
        self,
        caller: NamedDependency[Caller],
        provider: FromPath[str],
        data: JSONBody[LinkAsked],
        create_payment_link: NamedDependency[CreatePaymentLink],
        idempotency: NamedDependency[Idempotency],
    ) -> PaymentLinkView:
        """An invoice has one live link per provider; asking again gives the same."""
        view = await create_payment_link(
            caller,
            invoice_id=data.invoice_id,
            provider=provider,
            expires_at=data.expires_at,
            once=idempotency.once(PaymentLinkView.of_view),
        )
        return PaymentLinkView.of_view(view)

    @get("/{provider:str}/payment-link/{invoice_id:str}", scope=Scope.BILLING_READ, summary="An invoice's payment link")
    async def get_payment_link(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        provider: FromPath[str],
        invoice_id: FromPath[str],
        create_payment_link: NamedDependency[CreatePaymentLink],
    ) -> PaymentLinkView:
        """The newest one at this provider."""
        async with store.reading(caller.organisation_id) as work:
            link = await link_of(work, invoice_id, provider)
        return PaymentLinkView.of(link, create_payment_link.url(link))

    @delete(
        "/{provider:str}/payment-link/{invoice_id:str}",
        scope=Scope.BILLING_WRITE,
        status_code=200,
        summary="Expire an invoice's payment link",
    )
    async def expire_payment_link(
        self,
        caller: NamedDependency[Caller],
        provider: FromPath[str],
        invoice_id: FromPath[str],
        expire_payment_link: NamedDependency[ExpirePaymentLink],
        create_payment_link: NamedDependency[CreatePaymentLink],
    ) -> PaymentLinkView:
        """At once; a hosted page that is open for it is closed at the provider."""
        link = await expire_payment_link(caller, invoice_id=invoice_id, provider=provider)
        return PaymentLinkView.of(link, create_payment_link.url(link))


def _currencies(providers: Providers, provider: Provider) -> frozenset[str]:
    takes = Capability.PAYMENTS in provider.offers
    return providers.payments(provider.slug).currencies if takes else frozenset()
