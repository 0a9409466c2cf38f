"""The mails can be read in a browser, and the server fails when told to."""

from email.message import EmailMessage

from litestar import Litestar
from litestar.testing import AsyncTestClient

from adapters.providers.smtp.sandbox import MailSink, sandbox_router
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds


def _mail(subject: str, html: str | None = None) -> bytes:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"], mail["Message-ID"] = subject, "a@example.com", "b@example.com", "<1@x>"
    mail.set_content("plain <text>")
    if html:
        mail.add_alternative(html, subtype="html")
    return mail.as_bytes()


async def test_mails_are_listed_and_shown_in_a_frame_that_may_do_nothing() -> None:
    """A mail's page must not become a page of ours."""
    sink = MailSink(FrozenClock(), CountingIds())
    sink.keep("a@example.com", ["b@example.com"], _mail("One <1>", '<head></head><p onclick="x">"Hi"</p>'))
    sink.keep("a@example.com", ["b@example.com"], _mail("Two"))
    async with AsyncTestClient(Litestar([sandbox_router(sink)], openapi_config=None)) as client:
        listing = await client.get("/mail")
        view = await client.get(f"/mail/{sink.mails[0].id}")
        plain = await client.get(f"/mail/{sink.mails[1].id}")
        messages = (await client.get("/mail/_sandbox/messages")).json()
        unknown = await client.get("/mail/mail_unknown")
        wrong = await client.post("/mail/_sandbox", json={"fail_at": "lunch"})
        emptied = await client.post("/mail/_sandbox", json={"reset": True})

    assert "One &lt;1&gt;" in listing.text
    assert 'sandbox="allow-top-navigation-by-user-activation"' in view.text
    assert "&lt;p onclick=&#34;x&#34;&gt;" in view.text
    assert "<iframe" not in plain.text
    assert "plain &lt;text&gt;" in plain.text
    assert [(each["subject"], each["duplicate"]) for each in messages] == [("One <1>", False), ("Two", True)]
    assert (unknown.status_code, wrong.status_code, emptied.json()["mails"]) == (404, 400, 0)
