"""The console over HTTP, as a browser without JavaScript sees it."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import attrs
import pytest
from httpx import AsyncClient, Response

from adapters.persistence.migrate import migrate
from adapters.vault import KeyRing
from application.ports.payments import RetryLater
from application.ports.store import Store
from application.upkeep.jobs import ExpireLinks
from domain.billing.invoices import InvoiceState
from domain.inbox import InboxState
from domain.notifications.deliveries import DeliveryState
from entrypoints.console import CONSOLE
from entrypoints.console.session import MOST_TRIES, own_path
from entrypoints.settings import Settings
from entrypoints.wiring import JOBS, Hub
from tests.integration.console_scene import OWNER, PASSWORD, RIVAL, VIEWER, Scene, scene, sign_in

CANARY = "<script>alert(1)</script>'\"&<img src=x onerror=alert(2)>"


@pytest.fixture
async def open_hub(tmp_path: Any) -> AsyncIterator[Hub]:
    """A hub that may reach this machine's closed port 1, where the scene's endpoint is."""
    settings = Settings.read({"PATCHBAY_DATA_DIR": str(tmp_path), "PATCHBAY_ALLOW_NETWORKS": "127.0.0.1/32"})
    opened = Hub.open(settings, KeyRing.new())
    await migrate(opened.database)
    yield opened
    await opened.close()


@pytest.fixture
async def set_up(open_hub: Hub) -> AsyncIterator[Scene]:
    """One of everything."""
    async with scene(open_hub) as made:
        yield made


@pytest.fixture
async def owner(set_up: Scene) -> AsyncIterator[AsyncClient]:
    """The owner's browser, signed in."""
    async with set_up.signed_in() as browser:
        yield browser


def csrf(page: Response) -> str:
    """The token of a page's forms."""
    return page.text.partition('name="csrf" value="')[2].partition('"')[0]


async def press(browser: AsyncClient, path: str, on: str = "/console", **fields: str) -> Response:
    """Send a form of the page `on`."""
    page = await browser.get(on)
    once = page.text.partition('name="once" value="')[2].partition('"')[0]
    return await browser.post(path, data={"csrf": csrf(page), "once": once, **fields})


async def read(set_up: Scene, collection: str, id: str) -> Any:
    """A thing as it is kept."""
    store: Store = set_up.hub.resolve(Store)  # type: ignore[type-abstract]
    async with store.reading(set_up.caller.organisation_id) as work:
        return await getattr(work, collection).get(id)


class Links(HTMLParser):
    """The addresses a page leads to, and whatever could run."""

    def __init__(self, page: Response) -> None:
        super().__init__()
        self.addresses: set[str] = set()
        self.forms: set[str] = set()
        self.active: list[str] = []
        self.feed(page.text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if tag in ("script", "iframe", "object", "embed", "base"):
            self.active.append(tag)
        self.active += [name for name in found if name.startswith("on") or name == "style"]
        if tag in ("a", "link", "img") and (found.get("href") or found.get("src")):
            self.addresses.add(found.get("href") or found.get("src") or "")
        if tag == "form":
            self.forms.add(found.get("action") or "")
            if (found.get("method") or "get").lower() == "get":
                self.addresses.add(found.get("action") or "")


def pages_of(set_up: Scene) -> list[str]:
    """Every page there is, each with something on it."""
    return [
        "/console",
        "/console/invoices",
        f"/console/invoices/{set_up.invoice.id}",
        f"/console/invoices/{set_up.paid.id}",
        "/console/invoices/new",
        "/console/payments",
        f"/console/payments/{set_up.payment.id}",
        f"/console/payers/{set_up.paid.client.id}",
        "/console/subscriptions",
        "/console/plans",
        "/console/payouts",
        "/console/ledger",
        "/console/billing",
        "/console/reconciliations",
        "/console/deliveries",
        f"/console/deliveries/{set_up.failed.id}",
        "/console/webhooks",
        "/console/webhooks/new",
        f"/console/webhooks/{set_up.endpoint.endpoint.id}/edit",
        f"/console/webhooks/{set_up.endpoint.endpoint.id}",
        "/console/connections",
        "/console/connections/new/stripe",
        "/console/connections/new/paypal",
        "/console/connections/new/smtp",
        f"/console/connections/{set_up.stripe.id}",
        "/console/notifications",
        "/console/notifications/new",
        "/console/notifications/preview",
        f"/console/notifications/{set_up.notification.id}",
        "/console/inbox",
        f"/console/inbox/{set_up.received.id}",
        "/console/audit",
        "/console/keys",
        "/console/events",
        f"/console/events/{set_up.failed.event_id}",
        "/console/jobs",
    ]


# Signing in and out


async def test_without_a_session_every_page_leads_to_the_sign_in_page_and_back(set_up: Scene) -> None:
    """A link in a chat message must still work after the session has ended."""
    async with set_up.visitor() as browser:
        for page in pages_of(set_up)[1:]:
            answer = await browser.get(page)
            assert answer.status_code == 303, page
            assert answer.headers["location"].startswith("/console/sign-in?next=%2Fconsole%2F"), page
        bare = await browser.get("/")
        assert (bare.status_code, bare.headers["location"]) == (303, "/console")


async def test_the_right_password_opens_a_new_session_and_leads_where_one_wanted_to_go(set_up: Scene) -> None:
    """The cookie is out of reach for scripts and for other sites' forms."""
    async with set_up.visitor() as browser:
        answer = await sign_in(browser, OWNER.upper(), next="/console/invoices?status=open")
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/invoices?status=open")
        cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("patchbay-session="))
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
        first = browser.cookies["patchbay-session"]
        assert (await browser.get("/console")).status_code == 200
        assert (await browser.get("/console/sign-in")).status_code == 303

        # Signing in again gives another session and ends the first.
        page = await browser.get("/console")
        browser.cookies.delete("patchbay-form") if "patchbay-form" in browser.cookies else None
        await browser.post("/console/sign-out", data={"csrf": csrf(page)})
        await sign_in(browser, OWNER)
        assert browser.cookies["patchbay-session"] != first


async def test_signing_in_ends_the_session_the_browser_had(set_up: Scene) -> None:
    """A session that somebody planted in the browser is worth nothing afterwards."""
    async with set_up.visitor() as browser:
        page = await browser.get("/console/sign-in")
        await sign_in(browser, RIVAL)
        planted = browser.cookies["patchbay-session"]
        form = {"email": OWNER, "password": PASSWORD, "csrf": csrf(page)}
        browser.cookies.set("patchbay-form", csrf(page), domain="127.0.0.1")
        assert (await browser.post("/console/sign-in", data=form)).status_code == 303
    async with set_up.visitor() as other:
        other.cookies.set("patchbay-session", planted)
        assert (await other.get("/console")).status_code == 303


async def test_over_tls_the_cookies_are_secure_and_bound_to_the_host(tmp_path: Any) -> None:
    """The __Host- prefix keeps other hosts of the domain from planting a session."""
    settings = Settings.read({"PATCHBAY_DATA_DIR": str(tmp_path), "PATCHBAY_PUBLIC_URL": "https://hub.example"})
    settings = attrs.evolve(settings, allow_networks=("127.0.0.1/32",))
    hub = Hub.open(settings, KeyRing.new())
    await migrate(hub.database)
    async with scene(hub) as made, made.visitor() as browser:
        answer = await sign_in(browser, OWNER)
        cookie = next(c for c in answer.headers.get_list("set-cookie") if "session" in c)
        assert cookie.startswith("__Host-patchbay-session=")
        assert "Secure" in cookie
    await hub.close()


async def test_a_wrong_password_is_told_in_place_and_the_address_is_kept(set_up: Scene) -> None:
    """A wrong address and a wrong password look the same."""
    async with set_up.visitor() as browser:
        wrong = await sign_in(browser, OWNER, "not the password")
        unknown = await sign_in(browser, "nobody@studio.example", "not the password")
    assert wrong.status_code == unknown.status_code == 401
    assert "The mail address or the password is wrong." in wrong.text
    assert f'value="{OWNER}"' in wrong.text
    assert "not the password" not in wrong.text
    assert "patchbay-session" not in str(wrong.headers)


async def test_the_sign_in_form_of_another_site_is_refused(set_up: Scene) -> None:
    """Signing a victim in as the attacker lets the attacker read what the victim types."""
    async with set_up.visitor() as browser:
        answer = await browser.post("/console/sign-in", data={"email": OWNER, "password": PASSWORD, "csrf": "guess"})
        assert answer.status_code == 403
        await browser.get("/console/sign-in")
        answer = await browser.post("/console/sign-in", data={"email": OWNER, "password": PASSWORD, "csrf": ""})
        assert answer.status_code == 403


async def test_after_ten_wrong_tries_an_address_waits_and_others_do_not(set_up: Scene) -> None:
    """Guessing is slow; people elsewhere still come in."""
    async with set_up.visitor() as browser:
        for _ in range(MOST_TRIES):
            assert (await sign_in(browser, "nobody@studio.example", "x")).status_code == 401
        answer = await sign_in(browser, OWNER)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 300
        assert "Too many tries" in answer.text
    async with set_up.visitor(address="192.0.2.2") as elsewhere:
        assert (await sign_in(elsewhere, OWNER)).status_code == 303


async def test_signing_out_ends_the_session_also_for_a_copy_of_the_cookie(set_up: Scene, owner: AsyncClient) -> None:
    """The session ends in the database, not only in the browser."""
    copied = owner.cookies["patchbay-session"]
    answer = await press(owner, "/console/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
    async with set_up.visitor() as thief:
        thief.cookies.set("patchbay-session", copied)
        assert (await thief.get("/console")).status_code == 303


@pytest.mark.parametrize(
    "given",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/console\\..", "/consolex", "/api/keys", "", None,
     "/console/\x00", "/console/ä", "javascript:alert(1)"],
)  # fmt: skip
def test_signing_in_never_leads_out_of_the_console(given: str | None) -> None:
    """An open redirect makes phishing credible."""
    assert own_path(given) == "/console"


# What protects it


async def test_every_form_needs_the_token_of_its_session(set_up: Scene, owner: AsyncClient) -> None:
    """Every route that takes a POST, found from the router itself, so that a new one cannot be forgotten."""
    paths = {route.path for route in CONSOLE.routes if "POST" in route.methods}
    paths.discard("/console/sign-in")
    assert len(paths) > 20
    for path in sorted(paths):
        filled = re.sub(r"{[^}]*}", "x", path)
        for form in ({}, {"csrf": "guess"}, {"csrf": ""}):
            answer = await owner.post(filled, data=form)
            assert answer.status_code == 403, (path, form, answer.text)
        answer = await owner.post(filled, json={"csrf": csrf(await owner.get("/console"))})
        assert answer.status_code == 403, path
    async with set_up.signed_in(RIVAL) as rival:
        theirs = csrf(await rival.get("/console"))
    answer = await owner.post(f"/console/invoices/{set_up.invoice.id}/void", data={"csrf": theirs})
    assert answer.status_code == 403
    assert (await read(set_up, "invoices", set_up.invoice.id)).state is InvoiceState.OPEN


async def test_a_viewer_sees_everything_and_changes_nothing(set_up: Scene) -> None:
    """Their pages have no buttons, and a form sent all the same is refused."""
    async with set_up.signed_in(VIEWER) as browser:
        token = csrf(await browser.get("/console"))
        for page in pages_of(set_up):
            shown = await browser.get(page)
            assert shown.status_code == 200, page
            posts = set(re.findall(r'<form[^>]*method="post"[^>]*action="([^"]*)"', shown.text))
            assert posts == {"/console/sign-out"}, page
        paths = {route.path for route in CONSOLE.routes if "POST" in route.methods}
        for path in sorted(paths - {"/console/sign-in", "/console/sign-out"}):
            answer = await browser.post(re.sub(r"{[^}]*}", "x", path), data={"csrf": token})
            assert (answer.status_code, "change nothing" in answer.text) == (403, True), path
        assert (await browser.post("/console/sign-out", data={"csrf": token})).status_code == 303


async def test_nothing_of_another_organisation_is_to_be_found(set_up: Scene) -> None:
    """Their ids lead to the same page as ids that do not exist, for looking and for doing."""
    async with set_up.signed_in(RIVAL) as rival:
        token = csrf(await rival.get("/console"))
        for page in pages_of(set_up):
            answer = await rival.get(page)
            named = re.search(r"/[a-z]+_[0-9A-Z]{26}(/|$)", page)
            assert answer.status_code == (404 if named else 200), page
            assert "Acme" not in answer.text.replace("Acme Ltd", ""), page  # the catalogue's samples name Acme Ltd
        for path in (
            f"/console/invoices/{set_up.invoice.id}/void",
            f"/console/invoices/{set_up.invoice.id}/send",
            f"/console/deliveries/{set_up.failed.id}/again",
            f"/console/webhooks/{set_up.endpoint.endpoint.id}/rotate",
            f"/console/webhooks/{set_up.endpoint.endpoint.id}/remove",
            f"/console/connections/{set_up.stripe.id}/disconnect",
            f"/console/connections/{set_up.stripe.id}/change",
            f"/console/notifications/{set_up.notification.id}/switch",
            f"/console/inbox/{set_up.received.id}/again",
            f"/console/keys/{set_up.key.key.id}/revoke",
        ):
            answer = await rival.post(path, data={"csrf": token, "once": "a" * 20})
            assert answer.status_code == 404, path
    assert (await read(set_up, "invoices", set_up.invoice.id)).state is InvoiceState.OPEN
    assert (await read(set_up, "keys", set_up.key.key.id)).revoked_at is None


async def test_whatever_is_typed_is_shown_as_text(open_hub: Hub) -> None:
    """One canary in every text that a person, an application or a provider can choose, on every page."""
    async with scene(open_hub, mark=CANARY) as made, made.signed_in() as browser:
        seen = 0
        for page in pages_of(made):
            shown = await browser.get(page)
            assert shown.status_code == 200, page
            assert "<img src=x" not in shown.text, page
            assert "<script" not in shown.text, page
            seen += "&lt;script&gt;alert(1)" in shown.text
        assert seen > 15
        for query in (
            "?status=" + CANARY,
            "?type=" + CANARY,
            "?actor=" + CANARY,
            "?done=" + CANARY,
            "?platform=" + CANARY,
        ):
            for page in ("/console/deliveries", "/console/audit", "/console/events", "/console/notifications/preview"):
                shown = await browser.get(page + query)
                assert "<script" not in shown.text, page
                assert shown.status_code in (200, 404, 422), page
        refused = await press(browser, "/console/webhooks", on="/console/webhooks/new", url=CANARY, events=CANARY)
        assert refused.status_code == 422
        assert "<script" not in refused.text
    async with made.visitor() as browser:
        assert "<script" not in (await sign_in(browser, CANARY, CANARY, next=CANARY)).text


async def test_no_page_runs_anything_and_every_link_leads_somewhere(set_up: Scene, owner: AsyncClient) -> None:
    """Starting from the first page, over every link and every form's address, to every page."""
    waiting, seen, forms = ["/console"], set[str](), set[str]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        page = await owner.get(path)
        assert page.status_code == 200, path
        if not page.headers["content-type"].startswith("text/html"):
            continue
        links = Links(page)
        assert links.active == [], path
        forms |= links.forms
        for address in links.addresses:
            target = urljoin(path, address)
            assert not urlsplit(target).scheme, f"{path} leads out to {target}"
            waiting.append(target.partition("#")[0])
    assert set(pages_of(set_up)) <= seen | {"/console/connections/new/smtp"}
    templates = [re.sub(r"{[^}]*}", "[^/]+", route.path) for route in CONSOLE.routes]
    for form in forms:
        assert any(re.fullmatch(template, form) for template in templates), form


async def test_a_browser_is_told_to_run_keep_and_frame_nothing(set_up: Scene, owner: AsyncClient) -> None:
    """What slipped through escaping still would not run; nothing stays in a shared computer's cache."""
    for path, status in (("/console", 200), ("/console/nowhere", 404), ("/console/invoices/inv_x", 404)):
        answer = await owner.get(path)
        policy = answer.headers["content-security-policy"]
        assert answer.status_code == status
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"


async def test_the_style_sheet_is_fetched_once_and_again_when_it_changed(owner: AsyncClient) -> None:
    """Its address holds its content's hash, so it may be kept for ever."""
    page = await owner.get("/console")
    url = re.search(r'href="(/console/static/console.css[^"]*)"', page.text)
    assert url is not None
    answer = await owner.get(url.group(1))
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    again = await owner.get(url.group(1), headers={"If-None-Match": f'"other", W/{answer.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    assert (await owner.get("/console/static/console.css")).headers["cache-control"] == "no-cache"
    icon = await owner.get("/console/static/favicon.svg")
    assert icon.headers["content-type"].startswith("image/svg+xml")


# Invoices


async def test_an_invoice_shows_its_lines_payments_links_and_history(set_up: Scene, owner: AsyncClient) -> None:
    """All a person needs to answer a client on the telephone."""
    page = (await owner.get(f"/console/invoices/{set_up.paid.id}")).text
    for text in (
        "INV-0001",
        "Brand identity",
        "$1,250.00",
        "$1,431.00",
        "succeeded",
        "completed",
        "Invoice INV-0001 paid",
    ):
        assert text in page, text
    assert "Payment of 1431.00 USD received" in page
    open_page = (await owner.get(f"/console/invoices/{set_up.invoice.id}")).text
    assert f"/pay/{set_up.link.token}" in open_page
    assert OWNER in open_page  # who wrote it


async def test_amounts_and_days_are_written_as_the_reader_writes_them(set_up: Scene, owner: AsyncClient) -> None:
    """And yen have no decimals, whoever reads."""
    german = {"Accept-Language": "de-DE,de;q=0.9,en;q=0.5"}
    page = (await owner.get("/console/invoices", headers=german)).text
    assert "1.431,00\xa0$" in page
    assert "5.000\xa0¥" in page
    assert 'value="5000 JPY"' in page
    assert re.search(r'<time datetime="\d{4}-\d\d-\d\dT[\d:]+Z" title="[^"]*UTC"', (await owner.get("/console")).text)
    odd = {"Accept-Language": "xx-YY;q=a, *, " + "q" * 2000}
    assert "$1,431.00" in (await owner.get("/console/invoices", headers=odd)).text


async def test_invoices_are_listed_by_status_and_page_by_page(set_up: Scene, owner: AsyncClient) -> None:
    """A filter stays while one pages."""
    for _ in range(4):
        await set_up.new_link(await set_up.new_invoice("10.00"))
    page = await owner.get("/console/invoices?status=open&limit=3")
    assert page.text.count('<tr>\n<td class="title') == 3
    older = re.search(r'rel="next" href="([^"]*)"', page.text)
    assert older is not None
    second = await owner.get(older.group(1).replace("&amp;", "&"))
    assert "INV-0002" in second.text
    assert "INV-0001" not in second.text  # it is paid
    assert (await owner.get("/console/invoices?status=nonsense")).status_code == 200
    assert (await owner.get("/console/invoices?cursor=%FF%FF")).status_code == 422


async def test_a_payment_link_is_made_and_expired_by_a_button(set_up: Scene, owner: AsyncClient) -> None:
    """The same as over the API, and the person is named in the audit trail."""
    invoice = await set_up.new_invoice("75.00")
    path = f"/console/invoices/{invoice.id}"
    answer = await press(owner, f"{path}/link", on=path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done=link-created")
    page = (await owner.get(answer.headers["location"])).text
    assert "The payment link is ready to copy." in page
    assert set_up.hub.settings.public_url + "/pay/" in page
    gone = await press(owner, f"{path}/expire-link", on=path, provider="stripe")
    assert gone.headers["location"].endswith("done=link-expired")
    trail = (await owner.get(f"/console/audit?subject={invoice.id}")).text
    assert OWNER in trail


async def test_an_invoice_goes_out_by_mail_once_however_often_the_button_is_pressed(
    set_up: Scene, owner: AsyncClient
) -> None:
    """A double click must not send a client two mails."""
    path = f"/console/invoices/{set_up.invoice.id}"
    page = await owner.get(path)
    once = page.text.partition('name="once" value="')[2].partition('"')[0]
    form = {"csrf": csrf(page), "once": once, "to": "a@acme.example, b@acme.example", "message": "Hello"}
    for _ in range(2):
        answer = await owner.post(f"{path}/send", data=form)
        assert answer.headers["location"] == f"{path}?done=sent"
    listed = await owner.get("/console/deliveries?type=invoice.sent")
    assert listed.text.count("a@acme.example, b@acme.example") == 1


async def test_a_refused_mail_is_told_in_place_with_what_was_typed(set_up: Scene, owner: AsyncClient) -> None:
    """Nobody types a letter twice."""
    path = f"/console/invoices/{set_up.invoice.id}"
    answer = await press(owner, f"{path}/send", on=path, to="nonsense", message="Dear all, <b>hello</b>")
    assert answer.status_code == 422
    assert "Dear all, &lt;b&gt;hello&lt;/b&gt;" in answer.text
    assert "nonsense" in answer.text
    assert 'role="alert"' in answer.text


async def test_a_refund_goes_out_once_and_a_refused_one_says_why(set_up: Scene, owner: AsyncClient) -> None:
    """Money cannot be taken back as easily as it is sent."""
    path = f"/console/invoices/{set_up.paid.id}"
    for amount, why in (
        ("99999.00", "Only 1431.00 USD"),
        ("1.005", "has 2 decimals"),
        ("-1", "more than nothing"),
        ("ten", "not a decimal"),
    ):
        answer = await press(owner, f"{path}/refund", on=path, payment=set_up.payment.id, amount=amount)
        assert answer.status_code in (409, 422), amount
        assert why in answer.text, amount
    page = await owner.get(path)
    once = page.text.partition('name="once" value="')[2].partition('"')[0]
    form = {"csrf": csrf(page), "once": once, "payment": set_up.payment.id, "amount": "100.00", "reason": "Late"}
    for _ in range(2):
        assert (await owner.post(f"{path}/refund", data=form)).headers["location"] == f"{path}?done=refunded"
    assert len(set_up.payments.refunds) == 1
    page = await owner.get(path)
    assert "$100.00 sent back: Late" in re.sub(r"<[^>]*>", "", page.text)
    assert "partially refunded" in page.text
    other = await press(owner, f"/console/invoices/{set_up.invoice.id}/refund", on=path, payment=set_up.payment.id)
    assert other.status_code == 404


async def test_a_refund_that_the_provider_cannot_do_now_is_kept_and_told(set_up: Scene, owner: AsyncClient) -> None:
    """The scheduler asks again with the same key."""
    set_up.payments.fail_next(RetryLater("overloaded"))
    path = f"/console/invoices/{set_up.paid.id}"
    answer = await press(owner, f"{path}/refund", on=path, payment=set_up.payment.id, amount="5")
    assert answer.status_code == 503
    assert "will be tried again" in answer.text
    assert "requested" in answer.text


async def test_an_invoice_is_made_void_and_a_paid_one_is_not(set_up: Scene, owner: AsyncClient) -> None:
    """The refusal is shown on the invoice's own page."""
    answer = await press(owner, f"/console/invoices/{set_up.invoice.id}/void")
    assert answer.headers["location"].endswith("done=voided")
    assert (await read(set_up, "invoices", set_up.invoice.id)).state is InvoiceState.VOID
    refused = await press(owner, f"/console/invoices/{set_up.paid.id}/void")
    assert refused.status_code == 409
    assert "refund it before" in refused.text
    assert "INV-0001" in refused.text


async def test_a_hosted_page_that_cannot_be_closed_now_is_closed_later(set_up: Scene, owner: AsyncClient) -> None:
    """The invoice is void all the same, and nobody pays it on a page that was left open."""
    async with set_up.visitor() as payer:
        assert (await payer.get(f"/pay/{set_up.link.token}")).status_code == 303
    set_up.payments.fail_next(RetryLater("down"))
    answer = await press(owner, f"/console/invoices/{set_up.invoice.id}/void")
    assert answer.status_code == 303
    assert (await read(set_up, "invoices", set_up.invoice.id)).state is InvoiceState.VOID
    assert await set_up.hub.resolve(ExpireLinks)() == {"links": 0, "pages": 1}


# Deliveries, webhooks, notifications


async def test_a_delivery_shows_each_attempt_and_is_sent_again(set_up: Scene, owner: AsyncClient) -> None:
    """What was sent, what came back, and one button."""
    path = f"/console/deliveries/{set_up.failed.id}"
    page = await owner.get(path)
    for text in ("Attempt 3", "Attempt 1", "status 500", "252 ms", "webhook-id", "Internal Server Error", "for 30 s"):
        assert text in page.text, text
    answer = await press(owner, f"{path}/again", on=path)
    target = answer.headers["location"]
    assert answer.status_code == 303
    assert target.endswith("?done=sent-again")
    again = await read(set_up, "deliveries", urlsplit(target).path.rpartition("/")[2])
    assert (again.replay_of, again.state) == (set_up.failed.id, DeliveryState.PENDING)
    assert "pending" in (await owner.get(target)).text
    assert "a later delivery" in (await owner.get(path)).text


async def test_a_delivery_to_a_paused_endpoint_is_not_sent_again(set_up: Scene, owner: AsyncClient) -> None:
    """The reason is shown on the delivery's page."""
    await press(owner, f"/console/webhooks/{set_up.endpoint.endpoint.id}/pause")
    refused = await press(owner, f"/console/deliveries/{set_up.failed.id}/again")
    assert refused.status_code == 409
    assert "Switch it on first" in refused.text
    assert (await press(owner, f"/console/webhooks/{set_up.endpoint.endpoint.id}/resume")).status_code == 303
    assert (await press(owner, f"/console/deliveries/{set_up.failed.id}/again")).status_code == 303


async def test_deliveries_are_filtered_by_state_type_and_destination(set_up: Scene, owner: AsyncClient) -> None:
    """And a filter that matches nothing says so."""
    rows = re.compile(r'<a class="strong" href="/console/deliveries/')
    failed = await owner.get("/console/deliveries?status=failed")
    assert len(rows.findall(failed.text)) == 1
    slack = await owner.get(f"/console/deliveries?destination={set_up.notification.id}&type=invoice.paid")
    assert len(rows.findall(slack.text)) == 1
    assert "Nothing matches" in (await owner.get("/console/deliveries?type=no.such")).text


async def test_an_endpoint_is_made_and_its_secrets_are_shown_once(set_up: Scene, owner: AsyncClient) -> None:
    """A secret stands on the page that answers the form, and on no other."""
    made = await press(
        owner,
        "/console/webhooks",
        on="/console/webhooks/new",
        url="http://127.0.0.1:1/two",
        events="invoice.*, payment.received",
        headers="X-Token: s3cret\n",
        timeout_s="10",
    )
    assert made.status_code == 200
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", made.text)
    assert secret is not None
    store: Store = set_up.hub.resolve(Store)  # type: ignore[type-abstract]
    async with store.reading(set_up.caller.organisation_id) as work:
        endpoint = (await work.endpoints.all())[-1]
    assert endpoint.events == ("invoice.*", "payment.received")
    path = f"/console/webhooks/{endpoint.id}"
    assert "whsec_" not in (await owner.get(path)).text
    assert "s3cret" not in (await owner.get(path)).text
    rotated = await press(owner, f"{path}/rotate", on=path, grace="7")
    new = re.search(r"whsec_[A-Za-z0-9+/=]+", rotated.text)
    assert new is not None
    assert new.group() != secret.group()
    assert len((await read(set_up, "endpoints", endpoint.id)).secrets) == 2
    gone = await press(owner, f"{path}/remove", on=path)
    assert gone.headers["location"].endswith("endpoint-removed")
    assert (await owner.get(path)).status_code == 404


async def test_a_wrong_endpoint_is_told_at_its_field(set_up: Scene, owner: AsyncClient) -> None:
    """What was typed stays."""
    on = "/console/webhooks/new"
    private = await press(owner, "/console/webhooks", on=on, url="http://10.0.0.1/", events="*", timeout_s="15")
    assert private.status_code == 422
    assert 'aria-invalid="true"' in private.text
    assert 'value="http://10.0.0.1/"' in private.text
    slow = await press(owner, "/console/webhooks", on=on, url="http://127.0.0.1:1/", events="*", timeout_s="99")
    assert "from 1 to 30 seconds" in slow.text
    header = await press(
        owner, "/console/webhooks", on=on, url="http://127.0.0.1:1/", events="*", timeout_s="15", headers="Host: x"
    )
    assert "The hub sets this header itself." in header.text


async def test_an_endpoint_is_changed_and_keeps_what_is_not_shown(set_up: Scene, owner: AsyncClient) -> None:
    """Secrets are not in the form: left empty they stay, ticked they go. A wrong form stays as it was typed."""
    path = f"/console/webhooks/{set_up.endpoint.endpoint.id}"
    fields = {"url": "http://127.0.0.1:1/", "events": "*", "timeout_s": "15", "mode": "push", "envelope": "standard"}
    with_secrets = {
        "headers": "X-Token: s3cret",
        "token_url": "http://127.0.0.1:1/token",
        "client_id": "hub",
        "client_secret": "s3cret",
        "retries": "1 2, 3",
        "retries_by_type": "invoice.*: 5",
        "rate_limit": "7",
        "fifo": "yes",
    }
    on = f"{path}/edit"
    assert (await press(owner, path, on=on, **fields, **with_secrets)).headers["location"].endswith("done=changed")
    shown = (await owner.get(on)).text
    assert "s3cret" not in shown
    for text in ("X-Token", "1 2 3", "invoice.*: 5", 'value="7"', "checked"):
        assert text in shown, text
    without = {**with_secrets, "headers": "", "client_secret": "", "rate_limit": ""}
    await press(owner, path, on=on, **fields, **without)
    kept = await read(set_up, "endpoints", set_up.endpoint.endpoint.id)
    assert kept.sealed_headers is not None
    assert kept.sealed_oauth is not None
    assert (kept.options.rate, kept.options.retries, kept.options.fifo) == (None, (1, 2, 3), True)
    await press(owner, path, on=on, **fields, forget_headers="yes")
    kept = await read(set_up, "endpoints", set_up.endpoint.endpoint.id)
    assert (kept.sealed_headers, kept.sealed_oauth, kept.options.retries) == (None, None, None)
    for wrong, said in (
        ({"retries": "soon"}, "Whole seconds"),
        ({"retries_by_type": "nothing"}, "is not of the form"),
        ({"rate_limit": "many"}, "A whole number."),
        ({"filter": "data.x >"}, "Expected"),
        ({"template": "{{"}, "Expected"),
        ({"token_url": "http://127.0.0.1:1/", "client_id": "x"}, "The secret is needed"),
        ({"certificate": "x", "certificate_key": "y"}, "no certificate in PEM form"),
        ({"mode": "carrier pigeon"}, "One of push, poll."),
    ):
        refused = await press(owner, path, on=on, **{**fields, **wrong})
        assert (refused.status_code, said in refused.text) == (422, True), wrong
    assert await read(set_up, "endpoints", set_up.endpoint.endpoint.id) == kept


async def test_a_preview_shows_what_would_be_sent_and_keeps_what_was_typed(set_up: Scene, owner: AsyncClient) -> None:
    """Nothing is saved; a named template lands in the form, to be changed."""
    fields = {"url": "http://127.0.0.1:1/", "events": "*", "timeout_s": "9", "name": "Typed", "envelope": "standard"}
    sample = {"sample_type": "order.placed", "sample_data": '{"amount": 3}', "filter": "data.amount > 5"}
    on, path = "/console/webhooks/new", "/console/webhooks/preview"
    shown = await press(owner, path, on=on, **fields, **sample)
    for text in (
        "kept back by the filter",
        "data.amount is 3",
        "webhook-signature: v1,",
        "sample secret",
        'value="Typed"',
    ):
        assert text in shown.text, text
    named = await press(owner, path, on=on, **fields, template_name="slack-incoming")
    assert "&#34;type&#34;: &#34;mrkdwn&#34;" in named.text
    own = await press(owner, path, on=on, **fields, id=set_up.endpoint.endpoint.id)
    assert "sample secret" not in own.text
    for wrong, said in (
        ({"sample_data": "{"}, "This is not JSON"),
        ({"sample_data": "[]"}, "a JSON object"),
        ({"template": "{{"}, "Expected"),
        ({"sample_type": "No"}, "not an event type"),
    ):
        refused = await press(owner, path, on=on, **{**fields, **wrong})
        assert (refused.status_code, said in refused.text) == (422, True), wrong
    lost = await press(owner, path, on=on, **fields, sample_event="evt_nobody")
    assert lost.status_code == 404
    store: Store = set_up.hub.resolve(Store)  # type: ignore[type-abstract]
    async with store.reading(set_up.caller.organisation_id) as work:
        assert len(await work.endpoints.all()) == 1


async def test_a_polled_endpoint_is_made_and_says_how_it_is_fetched(set_up: Scene, owner: AsyncClient) -> None:
    """It has no address, and no test send."""
    made = await press(owner, "/console/webhooks", on="/console/webhooks/new", mode="poll", events="*", timeout_s="15")
    assert made.status_code == 200
    assert "/poll?wait_s=30" in made.text
    assert "Send a test" not in made.text
    assert "fetched by its receiver" in (await owner.get("/console/webhooks")).text


async def test_a_test_of_an_endpoint_leads_to_what_came_of_it(set_up: Scene, owner: AsyncClient) -> None:
    """Its port is closed, and the page says so."""
    answer = await press(owner, f"/console/webhooks/{set_up.endpoint.endpoint.id}/test", type="invoice.paid")
    page = await owner.get(answer.headers["location"])
    assert "refused the connection" in page.text
    assert "The test was sent" in page.text


async def test_a_notification_is_made_previewed_tried_out_switched_and_removed(
    set_up: Scene, owner: AsyncClient
) -> None:
    """The whole life of one."""
    made = await press(
        owner,
        "/console/notifications",
        on="/console/notifications/new",
        name="Owners",
        platform="smtp",
        events="invoice.paid",
        to="one@studio.example two@studio.example",
    )
    path = urlsplit(made.headers["location"]).path
    assert "one@studio.example, two@studio.example" in (await owner.get(path)).text
    tried = await press(owner, f"/console/notifications/{set_up.notification.id}/test")
    assert "delivered" in (await owner.get(tried.headers["location"])).text
    assert set_up.channel.sent[-1].message.title
    off = await press(owner, f"{path}/switch", on=path, active="no")
    assert off.headers["location"].endswith("paused")
    assert not (await read(set_up, "notifications", path.rpartition("/")[2])).is_active
    assert (await press(owner, f"{path}/switch", on=path, active="yes")).headers["location"].endswith("resumed")
    assert (await press(owner, f"{path}/remove", on=path)).status_code == 303
    assert (await owner.get(path)).status_code == 404
    refused = await press(owner, "/console/notifications", on="/console/notifications/new", platform="smtp", events="x")
    assert refused.status_code == 422


@pytest.mark.parametrize("platform", ["slack", "discord", "smtp"])
async def test_a_preview_shows_the_limits_of_the_channel(set_up: Scene, owner: AsyncClient, platform: str) -> None:
    """Nothing is sent."""
    page = await owner.get(f"/console/notifications/preview?platform={platform}&type=invoice.overdue")
    assert page.status_code == 200
    assert "What would be sent" in page.text
    if platform != "smtp":
        assert "<meter" in page.text
    assert set_up.channel.sent == [one for one in set_up.channel.sent if not one.message.title.endswith("overdue")]
    assert (await owner.get("/console/notifications/preview?platform=nothing")).status_code == 404
    assert (await owner.get("/console/notifications/preview?type=Not%20a%20type")).status_code == 422


# Connections, inbox, keys, jobs


async def test_a_provider_is_connected_by_the_form_of_its_manifest(set_up: Scene, owner: AsyncClient) -> None:
    """Secrets never come back, not even into the form that was refused."""
    path = "/console/connections/new/stripe"
    refused = await press(owner, path, on=path, secret_key="pk_wrong_kind", publishable_key="nonsense", name="Mine")
    assert refused.status_code == 422
    assert "begins with sk_test_" in refused.text
    assert "pk_wrong_kind" not in refused.text
    assert 'value="Mine"' in refused.text
    made = await press(owner, path, on=path, secret_key="sk_test_secret_1", name="Second")
    assert made.status_code == 303
    page = await owner.get(made.headers["location"])
    assert "sealed" in page.text
    assert "sk_test_secret_1" not in page.text
    assert (await owner.get("/console/connections/new/nothing")).status_code == 404


async def test_a_connection_is_tested_changed_switched_and_disconnected(set_up: Scene, owner: AsyncClient) -> None:
    """What a test shows is said in place."""
    path = f"/console/connections/{set_up.stripe.id}"
    assert "It works: Fake shop." in (await press(owner, f"{path}/test", on=path)).text
    set_up.payments.revoked.add("sk_test_1")
    assert "no longer accepts the key" in (await press(owner, f"{path}/test", on=path)).text
    renamed = await press(owner, f"{path}/change", on=path, name="Renamed", secret_key="", publishable_key="")
    assert renamed.status_code == 303
    untried = await press(owner, f"{path}/change", on=path, name="Renamed", publishable_key="pk_test_1")
    assert (untried.status_code, "does not accept" in untried.text) == (422, True)
    set_up.payments.revoked.clear()
    changed = await press(owner, f"{path}/change", on=path, name="Renamed", publishable_key="pk_test_1")
    assert changed.status_code == 303
    kept = await read(set_up, "connections", set_up.stripe.id)
    assert (kept.name, kept.settings["publishable_key"], "secret_key" in kept.sealed) == ("Renamed", "pk_test_1", True)
    assert (await press(owner, f"{path}/switch", on=path, active="no")).headers["location"].endswith("paused")
    assert (await press(owner, f"{path}/switch", on=path, active="yes")).headers["location"].endswith("resumed")
    assert (await press(owner, f"{path}/disconnect", on=path)).status_code == 303
    assert (await read(set_up, "connections", set_up.stripe.id)).sealed == {}
    assert (await owner.get(path)).status_code == 200


async def test_a_webhook_that_could_not_be_handled_is_handled_again(set_up: Scene, owner: AsyncClient) -> None:
    """Its traceback and its body are there to be read."""
    path = f"/console/inbox/{set_up.received.id}"
    page = await owner.get(path)
    assert "ValueError: Acme" in page.text
    assert "&#34;id&#34;: &#34;evt_1&#34;" in page.text
    assert (await press(owner, f"{path}/again", on=path)).headers["location"].endswith("handled-again")
    assert (await read(set_up, "inbox", set_up.received.id)).state is InboxState.PENDING
    refused = await press(owner, f"{path}/again", on=path)
    assert (refused.status_code, "This webhook is pending." in refused.text) == (409, True)


async def test_a_key_is_issued_shown_once_and_revoked(set_up: Scene, owner: AsyncClient) -> None:
    """It works at once, and no more after it was revoked."""
    page = await owner.get("/console/keys")
    form = {"csrf": csrf(page), "name": "Reports", "scopes": ["billing:read", "events:read"], "life": "30"}
    answer = await owner.post("/console/keys", data=form)
    text = re.search(r"pb_[A-Za-z0-9_-]+", answer.text)
    assert text is not None
    headers = {"Authorization": f"Bearer {text.group()}"}
    async with set_up.visitor() as application_:
        assert (await application_.get("/api/invoices", headers=headers)).status_code == 200
        assert text.group() not in (await owner.get("/console/keys")).text
        store: Store = set_up.hub.resolve(Store)  # type: ignore[type-abstract]
        async with store.reading(set_up.caller.organisation_id) as work:
            key = (await work.keys.all())[-1]
        assert key.expires_at is not None
        await press(owner, f"/console/keys/{key.id}/revoke")
        assert (await application_.get("/api/invoices", headers=headers)).status_code == 401
    refused = await press(owner, "/console/keys", on="/console/keys", name="")
    assert refused.status_code == 422
    assert "Give the key a name" in refused.text


async def test_a_job_is_run_by_hand(set_up: Scene, owner: AsyncClient) -> None:
    """And the page says when it ran last."""
    answer = await press(owner, "/console/jobs/overdue-invoices/run", on="/console/jobs")
    assert "overdue-invoices is done" in answer.text
    assert answer.text.count("not yet") == len(JOBS) - 1
    assert (await press(owner, "/console/jobs/nothing/run", on="/console/jobs")).status_code == 404


# The first page


async def test_the_overview_adds_up_by_currency_and_names_what_waits_for_a_person(
    set_up: Scene, owner: AsyncClient
) -> None:
    """What is open, what came in, what failed."""
    yen = (await set_up.new_invoice("700", currency="JPY"), await set_up.new_invoice("80", currency="JPY"))
    for invoice in yen:
        await set_up.new_link(invoice)
    page = (await owner.get("/console")).text
    for text in (
        "$480.00",
        "¥780",
        "$1,431.00",
        "1 failed",
        "no_service Acme",
        "could not be handled",
        "deal.won did not",
    ):
        assert text in page, text


async def test_an_empty_hub_says_what_to_do_next(open_hub: Hub) -> None:
    """Commands to copy hold the hub's own address."""
    async with scene(open_hub) as made, made.signed_in(RIVAL) as browser:
        page = (await browser.get("/console")).text
        assert "Connect a service" in page
        assert f"curl -X POST {open_hub.settings.public_url}/api/events" in page
        for path in ("invoices", "deliveries", "events", "webhooks"):
            assert "curl -X POST" in (await browser.get(f"/console/{path}")).text, path


async def test_an_unexpected_error_is_a_page_with_the_requests_id(set_up: Scene, owner: AsyncClient) -> None:
    """And nothing of the error itself."""
    set_up.hub.providers._manifests.pop("stripe")
    try:
        transport = owner._transport
        transport.raise_app_exceptions = False  # type: ignore[attr-defined]
        answer = await owner.get(f"/console/invoices/{set_up.invoice.id}")
    finally:
        from adapters.providers.stripe.provider import PROVIDER

        set_up.hub.providers._manifests["stripe"] = PROVIDER
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in answer.text
    assert "KeyError" not in answer.text
