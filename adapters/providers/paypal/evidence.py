"""What verifying PayPal's webhooks takes: the certificate, or, where that cannot be had, PayPal's own word."""

import json
from collections.abc import Mapping

from adapters.providers.paypal import webhook
from adapters.providers.paypal.opened import Opened
from application.ports.payments import BadSignature, WebhookEvidence


class PayPalEvidence(Opened, WebhookEvidence):
    """The part of the adapter that gathers evidence."""

    async def gather_evidence(self, headers: Mapping[str, str]) -> None:
        """Fetch the certificate that a webhook names, unless it is there already or is not PayPal's; a webhook that is
        refused by its headers alone has nobody asked."""
        try:
            seal = webhook.seal_of(headers)
            webhook.check_time(seal.time, self._clock.now())
        except BadSignature:
            return
        await self._certificates.fetch(seal.certificate)

    async def ask_whether_signed(
        self, access: Mapping[str, str], secret: str, headers: Mapping[str, str], body: bytes
    ) -> bool:
        """Ask PayPal. The body goes into the question as the very bytes that came: written anew, 1.0 would become 1, and
        PayPal would say no (PayPal-Python-SDK issue 175)."""
        try:
            seal = webhook.seal_of(headers)
            json.loads(body)
        except (BadSignature, ValueError):
            return False
        given = {name.lower(): value for name, value in headers.items()}
        question = {
            "auth_algo": seal.algorithm,
            "cert_url": seal.certificate,
            "transmission_id": seal.id,
            "transmission_sig": given["paypal-transmission-sig"],
            "transmission_time": seal.time,
            "webhook_id": secret,
        }
        content = json.dumps(question, separators=(",", ":")).encode()[:-1] + b',"webhook_event":' + body + b"}"
        path = "/v1/notifications/verify-webhook-signature"
        answer = await self._client.call(access, "POST", path, content=content, writes=False)
        return bool(answer.field("verification_status") == "SUCCESS")
