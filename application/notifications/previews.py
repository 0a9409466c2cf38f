"""What an endpoint would be sent, before anything is saved or sent."""

from collections.abc import Mapping
from typing import Any, Unpack

import attrs

from application.caller import Caller
from application.connections.connect import PublicUrl
from application.notifications.carry import Carry
from application.notifications.endpoint_settings import about
from application.notifications.publish_events import MAX_DATA
from application.notifications.try_out import first_of, sample_of
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Store
from application.ports.vault import Vault, WrongKey
from domain.events import Event, check_event_type
from domain.notifications.endpoints import Endpoint, SigningSecret
from domain.notifications.envelopes import Composed
from domain.notifications.options import OptionSettings
from domain.notifications.payload import Payload
from domain.notifications.shape import Preview, preview
from domain.refusals import Conflict, Invalid

SAMPLE_SECRET = "whsec_c2FtcGxlLXNlY3JldC1vZi1hLXByZXZpZXctb25seS4="  # noqa: S105  # anybody may know it
"""Signs previews of endpoints that are not saved yet, so that a receiver's code can be tried out with them."""


@attrs.frozen
class Sample:
    """The event to be shown: made up here (type and data), or one that was told, or the catalogue's of a type."""

    type: str | None = None
    data: Mapping[str, Any] | None = None
    event_id: str | None = None
    event_type: str | None = None


@attrs.frozen
class Previewed:
    """sample_secret: whether SAMPLE_SECRET signed it. headers: in full, but for those that are secret."""

    preview: Preview
    headers: Mapping[str, str]
    sample_secret: bool
    event_id: str
    event_type: str


@attrs.define
class PreviewEndpoint:
    """Composes, filters and signs without sending; keeps nothing."""

    _store: Store
    _carry: Carry
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _public_url: PublicUrl

    async def __call__(
        self, caller: Caller, sample: Sample, *, id: str | None = None, **given: Unpack[OptionSettings]
    ) -> Previewed:
        """What would be sent with these settings. id: an endpoint whose other settings and secrets count.

        Raises NotFound for an endpoint or event that is not there, Invalid for settings or an event that cannot be, or
        Conflict for secrets that cannot be opened.
        """
        now = self._clock.now()
        endpoint = await self._saved(caller, id) if id is not None else self._unsaved(caller)
        endpoint = attrs.evolve(endpoint, options=endpoint.options.changed(given))
        payload = await self._payload(caller, sample, endpoint)
        shown = preview(endpoint.options.shape, endpoint.options.filter, payload)
        composed = Composed(shown.body.encode(), shown.media_type, shown.headers)
        try:
            carrier = self._carry.to_endpoint(endpoint)
            headers = await carrier.headers(payload.id, now, composed)
        except WrongKey as error:
            raise Conflict(str(error)) from error
        return Previewed(
            shown,
            carrier.visible(headers),
            id is None and endpoint.options.signature.uses_secrets,
            payload.id,
            payload.type,
        )

    async def _saved(self, caller: Caller, id: str) -> Endpoint:
        async with self._store.reading(caller.organisation_id) as work:
            return await work.endpoints.get(id)

    def _unsaved(self, caller: Caller) -> Endpoint:
        id_, now = self._ids.new("endpoint"), self._clock.now()
        sealed = self._vault.seal(SAMPLE_SECRET, about=about(id_, caller.organisation_id))
        return Endpoint(id_, caller.organisation_id, "", "", ("*",), (SigningSecret(sealed, now),), now, now)

    async def _payload(self, caller: Caller, sample: Sample, endpoint: Endpoint) -> Payload:
        if sum(one is not None for one in (sample.type, sample.event_id, sample.event_type)) > 1:
            raise Invalid.field("event", "Give one of event, event_id and event_type.")
        if sample.event_id is not None:
            async with self._store.reading(caller.organisation_id) as work:
                event = await work.events.get(sample.event_id)
            return Payload.of(event, self._public_url.url)
        if sample.type is not None:
            type_, data = check_event_type(sample.type, field="event.type"), dict(sample.data or {})
        else:
            type_ = check_event_type(sample.event_type or first_of(endpoint.events), field="event_type")
            data = sample_of(type_)
        now = self._clock.now()
        event = Event(self._ids.new("event"), caller.organisation_id, type_, data, now, now)
        payload = Payload.of(event, self._public_url.url)
        if len(payload.data_json) > MAX_DATA:
            raise Invalid.field("event.data", f"An event's data has at most {MAX_DATA // 1024} KiB.")
        return payload
