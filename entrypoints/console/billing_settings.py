"""How the organisation bills, as a form."""

from litestar import Controller, Response, get, post

from application.billing.opening import settings_of
from application.billing.settings import SaveBillingSettings, SettingsAsked
from application.caller import Caller
from application.ports.leases import Held
from domain.billing.settings import BillingSettings, Seller
from domain.refusals import Fault, Invalid, Refusal
from entrypoints.console.pages import REFUSED, Form, Page


class BillingSettingsPages(Controller):
    """/console/billing"""

    path = "/billing"

    @get("/")
    async def show(self, page: Page) -> Response[str]:
        """As they are."""
        return await _show(page)

    @post("/")
    async def save(
        self, page: Page, form: Form, caller: Caller, save_billing_settings: SaveBillingSettings
    ) -> Response[str]:
        """All of them at once."""
        try:
            await save_billing_settings(caller, _asked(form), version=_version(form))
        except REFUSED as refused:
            return await _show(page, typed=form.typed, refused=refused)
        return page.go("/console/billing", done="changed")


async def _show(
    page: Page, *, typed: dict[str, str] | None = None, refused: Refusal | Held | None = None
) -> Response[str]:
    async with page.reading() as work:
        settings = await settings_of(work, page.reader.now)
        organisation = (await work.organisation.get(page.caller.organisation_id)).name
    return page(
        "billing_settings.html",
        refused=refused,
        typed=typed if typed is not None else _typed(settings),
        organisation=organisation,
        version=settings.version,
    )


def _typed(settings: BillingSettings) -> dict[str, str]:
    """The settings as their form has them."""
    seller = settings.seller
    return {
        "name": seller.name,
        "address": "\n".join(seller.address),
        "tax_id": seller.tax_id,
        "email": seller.email,
        "bank": "\n".join(seller.bank),
        "footer": seller.footer,
        "invoice_prefix": settings.invoice_prefix,
        "credit_note_prefix": settings.credit_note_prefix,
        "reminders": " ".join(str(day) for day in settings.reminders),
        "retries": " ".join(str(days) for days in settings.retries),
        "locale": settings.locale,
    }


def _asked(form: Form) -> SettingsAsked:
    """Raises Invalid naming every list that holds something else than numbers."""
    faults: list[Fault] = []
    reminders, retries = _days(form, "reminders", faults), _days(form, "retries", faults)
    if faults:
        raise Invalid(*faults)
    seller = Seller(
        form.text("name"),
        _lines(form, "address"),
        form.text("tax_id"),
        form.text("email"),
        _lines(form, "bank"),
        form.text("footer"),
    )
    prefixes = (form.text("invoice_prefix"), form.text("credit_note_prefix"))
    return SettingsAsked(seller, *prefixes, reminders, retries, form.text("locale"))


def _version(form: Form) -> int | None:
    text = form.text("version")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _lines(form: Form, name: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in form.text(name).splitlines() if line.strip())


def _days(form: Form, name: str, faults: list[Fault]) -> tuple[int, ...]:
    given = form.lines(name)
    if all(one.removeprefix("-").isascii() and one.removeprefix("-").isdigit() and len(one) < 6 for one in given):
        return tuple(int(one) for one in given)
    faults.append(Fault(name, "These are whole numbers of days with blanks between them."))
    return ()
