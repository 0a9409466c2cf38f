"""Webhooks: believed only when they are the provider's, and said in our words."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from application.ports.payments import BadSignature
from tests.contract.payments.rig import PaymentRig, complete, gather, order, paid


async def _signed(rig: PaymentRig, body: bytes, secret: str | None = None) -> dict[str, str]:
    headers = rig.sign(body, secret or rig.secret, rig.now)
    await gather(rig, headers)
    return headers


class WebhookContract:
    """The suite. A subclass has a fixture `rig`."""

    async def test_a_webhook_is_taken_back_once_and_again(self, rig: PaymentRig) -> None:
        """Disconnecting twice, or after somebody removed it by hand, is no trouble."""
        reference, secret = await rig.provider.register_webhook(rig.access, "https://hub.example/in", key="hook")
        assert secret
        for _ in range(2):
            await rig.provider.remove_webhook(rig.access, reference)

    async def test_a_webhook_says_what_it_is_about(self, rig: PaymentRig) -> None:
        """The inbox finds our payment by the provider's reference."""
        page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        done = await complete(rig, page, "k")
        read = [
            rig.provider.read_webhook((rig.secret,), await _signed(rig, body), body, rig.now)
            for body in await rig.bodies()
        ]
        assert len({event.external_id for event in read}) == len(read)
        assert done.intent_reference in {event.intent_reference for event in read}
        about = {event.object_kind: event for event in read}
        if "checkout" in about:
            assert about["checkout"].object_reference == page.reference
        assert not any(event.live or event.failed for event in read)
        assert all(event.object and event.type for event in read)

    async def test_a_duplicate_is_the_same_event(self, rig: PaymentRig) -> None:
        """Every provider sends some twice; the inbox keeps one."""
        await paid(rig)
        body = (await rig.bodies())[-1]
        signed = await _signed(rig, body)
        event = rig.provider.read_webhook((rig.secret,), signed, body, rig.now)
        assert rig.provider.read_webhook((rig.secret,), signed, body, rig.now) == event
        assert rig.provider.parse_webhook(body) == event
        shouted = {name.upper(): value for name, value in signed.items()}
        assert rig.provider.read_webhook((rig.secret,), shouted, body, rig.now) == event

    async def test_a_webhook_is_believed_only_if_the_provider_signed_it(self, rig: PaymentRig) -> None:
        """Everything else could be anyone's."""
        await paid(rig)
        body = (await rig.bodies())[-1]
        signed = await _signed(rig, body)
        rig.provider.read_webhook((rig.secret,), signed, body, rig.now)
        for secrets, headers in (
            (("whsec_other",), signed),
            ((), signed),
            ((rig.secret,), {}),
            ((rig.secret,), dict.fromkeys(signed, "nonsense")),
        ):
            self._refused(rig, secrets, headers, body, rig.now)

    async def test_a_body_that_was_changed_or_written_anew_is_not_believed(self, rig: PaymentRig) -> None:
        """The signature is of the very bytes. Where nothing is signed, a webhook is a hint, and only says where to look."""
        await paid(rig)
        body = (await rig.bodies())[-1]
        signed = await _signed(rig, body)
        event = rig.provider.read_webhook((rig.secret,), signed, body, rig.now)
        anew = json.dumps(json.loads(body), indent=3).encode()
        assert anew != body
        if rig.signs_body:
            for changed in (body + b" ", anew, body.replace(b"1", b"7")):
                self._refused(rig, (rig.secret,), signed, changed, rig.now)
        else:
            assert rig.provider.read_webhook((rig.secret,), signed, anew, rig.now) == event

    async def test_an_old_or_future_signature_is_not_believed(self, rig: PaymentRig) -> None:
        """A webhook that was overheard must not be played again for ever."""
        await paid(rig)
        body = (await rig.bodies())[-1]
        signed = await _signed(rig, body)
        event = rig.provider.read_webhook((rig.secret,), signed, body, rig.now)
        if rig.tolerance is None:
            later = rig.now + timedelta(days=3)
            assert rig.provider.read_webhook((rig.secret,), signed, body, later) == event
            return
        for edge in (rig.tolerance, -rig.tolerance):
            assert rig.provider.read_webhook((rig.secret,), signed, body, rig.now + edge) == event
            beyond = edge + (timedelta(seconds=1) if edge > timedelta(0) else -timedelta(seconds=1))
            self._refused(rig, (rig.secret,), signed, body, rig.now + beyond)

    async def test_either_secret_is_good_while_it_is_changed(self, rig: PaymentRig) -> None:
        """No webhook is lost on the day somebody rolls the secret."""
        await paid(rig)
        body = (await rig.bodies())[-1]
        event = rig.provider.parse_webhook(body)
        signed = await _signed(rig, body)
        for secrets in (("whsec_older", rig.secret), (rig.secret, "whsec_newer")):
            assert rig.provider.read_webhook(secrets, signed, body, rig.now) == event
        if rig.signs_twice:
            [(name, old)] = rig.sign(body, "whsec_old", rig.now).items()
            new = rig.sign(body, rig.secret, rig.now)[name].partition(",")[2]
            assert rig.provider.read_webhook((rig.secret,), {name: f"{old},{new}"}, body, rig.now) == event

    async def test_an_event_of_an_unknown_type_is_read_all_the_same(self, rig: PaymentRig) -> None:
        """Providers add types without asking; it is kept, shown and ignored."""
        body = rig.strange_event()
        event = rig.provider.read_webhook((rig.secret,), await _signed(rig, body), body, rig.now)
        assert event.external_id
        assert event.type
        assert (event.failed, event.intent_reference, event.subscription_reference) == (False, None, None)

    async def test_a_signed_body_that_is_no_event_is_a_value_error(self, rig: PaymentRig) -> None:
        """It did come from the provider, so it is not a bad signature; it is kept and looked at by a person."""
        for body in (b"", b"[]", b"{}", b"not json", b"\xff\xfe", b'{"object": "event"}', b'{"data": [], "id": 7}'):
            signed = await _signed(rig, body)
            with pytest.raises(ValueError, match=r".") as error:
                rig.provider.read_webhook((rig.secret,), signed, body, rig.now)
            assert not isinstance(error.value, BadSignature)

    def _refused(
        self, rig: PaymentRig, secrets: tuple[str, ...], headers: Mapping[str, str], body: bytes, now: datetime
    ) -> None:
        with pytest.raises(BadSignature):
            rig.provider.read_webhook(secrets, headers, body, now)
