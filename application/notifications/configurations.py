"""Set up notifications: which events are told to which channel."""

from collections.abc import Mapping
from typing import Any

import attrs

from application.caller import Caller
from application.connections.access import usable
from application.connections.connect import Connect
from application.notifications.tell import Tell
from application.notifications.try_out import sample_of
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.message_channel import Preview
from application.ports.providers import Providers
from application.ports.store import Store
from domain.connections.connection import checked_name
from domain.connections.provider import Capability, Provider
from domain.events import Event, check_event_type, check_patterns
from domain.notifications.composing import compose
from domain.notifications.configurations import Notification
from domain.refusals import Fault, Invalid, NotFound


@attrs.define
class SaveNotification:
    """Create a configuration, or change the one whose id is given."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _connect: Connect
    _providers: Providers

    async def __call__(
        self,
        caller: Caller,
        *,
        id: str | None = None,
        name: str,
        platform: str,
        events: tuple[str, ...],
        connection_id: str | None = None,
        webhook_url: str | None = None,
        target: Mapping[str, Any] | None = None,
        is_active: bool = True,
        once: Once | None = None,
    ) -> Notification:
        """`webhook_url` makes a connection of its own; otherwise `connection_id`, or the only connection to `platform`.

        Raises Invalid, NotFound, Conflict when several connections could be meant, AddressRefused.
        """
        check_patterns(events)
        manifest = self._providers.manifest(platform)
        if not manifest.offers & {Capability.MESSAGES, Capability.MAIL}:
            raise Invalid.field("platform", f"{manifest.name} posts no messages.")
        checked = self._check_target(manifest, target or {})
        checked_name(name)
        if id is not None:
            async with self._store.reading(caller.organisation_id) as work:
                await work.notifications.get(id)
        if webhook_url is not None:  # last: what was refused must leave no connection behind
            connection_id = (await self._connect(caller, platform, {"webhook_url": webhook_url}, name=name)).id
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            try:
                connection = await usable(work, connection_id or platform)
            except NotFound as error:
                where = "connection_id" if connection_id else "platform"
                raise Invalid.field(where, f"Connect {manifest.name} first, or give its webhook_url.") from error
            if connection.provider != platform:
                raise Invalid.field("connection_id", f"This is a connection to {connection.provider}.")
            earlier = await work.notifications.get(id) if id else None
            notification = Notification(
                earlier.id if earlier else self._ids.new("notification"),
                caller.organisation_id,
                name.strip(),
                platform,
                connection.id,
                events,
                earlier.created_at if earlier else now,
                now,
                checked,
                is_active,
                version=earlier.version if earlier else 1,
            )
            if earlier:
                notification = await work.notifications.save(notification)
                if not is_active:
                    await work.deliveries.cancel_pending(notification.id, "the notification was switched off", now)
            else:
                await work.notifications.add(notification)
            await self._tell.note(work, caller, "notification.saved", notification.id, platform=platform)
            await remember(work, once, notification, now)
            await work.commit()
        return notification

    def _check_target(self, manifest: Provider, target: Mapping[str, Any]) -> Mapping[str, Any]:
        faults = [
            Fault(f"target.{name}", f"{manifest.name} takes no such field.")
            for name in target
            if name not in manifest.targets
        ] + [
            Fault(f"target.{name}", "This is a text of at most 200 characters.")
            for name, value in target.items()
            if name != "to" and not (isinstance(value, str) and 0 < len(value) <= 200)
        ]
        if faults:
            raise Invalid(*faults)
        if "to" in manifest.targets:
            return {**target, "to": check_addresses(target.get("to"), "target.to")}
        return dict(target)


def check_addresses(value: object, field: str) -> list[str]:
    """A list of 1 to 50 mail addresses. Raises Invalid."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= 50:
        raise Invalid.field(field, "Give 1 to 50 mail addresses.")
    for index, address in enumerate(value):
        local, at, host = str(address).rpartition("@")
        spoiled = any(c.isspace() or ord(c) < 32 or c in ',;<>"' for c in str(address))
        if not (at and local and ("." in host.strip(".") or host == "localhost")) or spoiled or len(str(address)) > 254:
            raise Invalid.field(f"{field}.{index}", f"'{str(address)[:80]}' is not a mail address.")
    return [str(address) for address in value]


@attrs.define
class RemoveNotification:
    """Forget a configuration; what still waits for it is cancelled."""

    _store: Store
    _tell: Tell
    _clock: Clock

    async def __call__(self, caller: Caller, id: str) -> None:
        """Raises NotFound."""
        async with self._store.of(caller.organisation_id) as work:
            await work.notifications.get(id)
            await work.notifications.remove(id)
            await work.deliveries.cancel_pending(id, "the notification was removed", self._clock.now())
            await self._tell.note(work, caller, "notification.removed", id)
            await work.commit()


@attrs.define
class PreviewNotification:
    """Show how a channel would put an event, without sending anything."""

    _store: Store
    _clock: Clock
    _ids: Ids
    _providers: Providers

    async def __call__(
        self, caller: Caller, *, platform: str, type: str, data: Mapping[str, Any] | None = None
    ) -> Preview:
        """Without `data` the catalogue's sample is shown. Raises NotFound for an unknown platform, Invalid."""
        channel = self._providers.channel(platform)
        now = self._clock.now()
        shown = data if data is not None else sample_of(type)
        event = Event(self._ids.new("event"), caller.organisation_id, check_event_type(type), shown, now, now)
        async with self._store.reading(caller.organisation_id) as work:
            organisation = await work.organisation.get(caller.organisation_id)
        return channel.preview(compose(event, organisation=organisation.name, console_url=None))
