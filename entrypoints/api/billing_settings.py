"""How the organisation bills: its name on invoices, number prefixes, reminders, retries, locale."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import Controller, Response, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from application.billing.opening import settings_of
from application.billing.settings import SaveBillingSettings, SettingsAsked
from application.caller import Caller
from application.ports.clock import Clock
from application.ports.store import Store
from domain.billing.settings import BillingSettings, Seller
from domain.organisations import Scope
from entrypoints.api.versions import versioned

ShortLines = Annotated[list[Annotated[str, msgspec.Meta(max_length=120)]], msgspec.Meta(max_length=8)]


class SellerGiven(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Who invoices are from. `name`: empty for the organisation's own. `bank`: where a transfer goes, line by line."""

    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    address: ShortLines = []
    tax_id: Annotated[str, msgspec.Meta(max_length=60)] = ""
    email: Annotated[str, msgspec.Meta(max_length=254)] = ""
    bank: ShortLines = []
    footer: Annotated[str, msgspec.Meta(max_length=300)] = ""


class BillingSettingsGiven(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """All of the settings; what is left out is set to the usual.

    `reminders`: days after the due day, below zero before it. `retries`: days between charges of a renewal that failed.
    """

    seller: SellerGiven = msgspec.field(default_factory=SellerGiven)
    invoice_prefix: Annotated[str, msgspec.Meta(max_length=20, examples=["INV-"])] = "INV-"
    credit_note_prefix: Annotated[str, msgspec.Meta(max_length=20, examples=["CN-"])] = "CN-"
    reminders: Annotated[list[int], msgspec.Meta(max_length=10, examples=[[-3, 7, 14]])] = []
    retries: Annotated[list[int], msgspec.Meta(max_length=10)] = msgspec.field(default_factory=lambda: [2, 5, 7, 7])
    locale: Annotated[str, msgspec.Meta(max_length=20, examples=["en-GB"])] = "en"


class SellerView(msgspec.Struct, frozen=True):
    """Who invoices are from."""

    name: str
    address: list[str]
    tax_id: str
    email: str
    bank: list[str]
    footer: str


class BillingSettingsView(msgspec.Struct, frozen=True):
    """How the organisation bills. `version` is 0 where it never said."""

    seller: SellerView
    invoice_prefix: str
    credit_note_prefix: str
    reminders: list[int]
    retries: list[int]
    locale: str
    version: int

    @classmethod
    def of(cls, settings: BillingSettings) -> "BillingSettingsView":
        seller = settings.seller
        return cls(
            SellerView(
                seller.name, list(seller.address), seller.tax_id, seller.email, list(seller.bank), seller.footer
            ),
            settings.invoice_prefix,
            settings.credit_note_prefix,
            list(settings.reminders),
            list(settings.retries),
            settings.locale,
            settings.version,
        )


class BillingSettingsApi(Controller):
    """One set an organisation."""

    path = "/api/billing/settings"
    tags = ("Invoices",)

    @get("/", scope=Scope.BILLING_READ, summary="How the organisation bills")
    async def get_billing_settings(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], clock: NamedDependency[Clock]
    ) -> Response[BillingSettingsView]:
        """The usual way, at version 0, where it never said."""
        async with store.reading(caller.organisation_id) as work:
            settings = await settings_of(work, clock.now())
        return versioned(BillingSettingsView.of(settings), settings.version)

    @put("/", scope=Scope.BILLING_WRITE, summary="Change how the organisation bills")
    async def put_billing_settings(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[BillingSettingsGiven],
        save_billing_settings: NamedDependency[SaveBillingSettings],
        if_match: NamedDependency[int | None],
    ) -> Response[BillingSettingsView]:
        """All of it at once. Invoices that were opened keep the seller and the number they have."""
        given = data.seller
        texts = (given.name.strip(), _lines(given.address), given.tax_id.strip(), given.email.strip())
        seller = Seller(*texts, _lines(given.bank), given.footer.strip())
        asked = SettingsAsked(
            seller,
            data.invoice_prefix,
            data.credit_note_prefix,
            tuple(data.reminders),
            tuple(data.retries),
            data.locale,
        )
        saved = await save_billing_settings(caller, asked, version=if_match)
        return versioned(BillingSettingsView.of(saved), saved.version)


def _lines(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(line.strip() for line in given if line.strip())
