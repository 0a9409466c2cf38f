"""Who one works with: clients, contacts, companies, registrations."""

from domain.work.causes import Created, Reaches, Updated
from domain.work.compounds import Amount, Reference
from domain.work.fields import Field
from domain.work.kinds.shared import ADDRESS, COUNTRY, EVERY, OWNER
from domain.work.records import Kind
from domain.work.rules import AnyOf, Steps
from domain.work.scalars import Choice, Flag, Moment, Whole
from domain.work.texts import CurrencyCode, Email, Phone, Text, Url

CLIENT = Kind(
    "client",
    "clients",
    "Someone who is invoiced.",
    (
        Field("name", Text(200, "Acme Ltd"), "Who the invoice is addressed to.", required=True),
        Field("email", Email("billing@acme.example"), "Where invoices and payment links go."),
        Field("phone", Phone()),
        Field("company", Text(200, "Acme Holdings plc"), "The registered name, where it is another one."),
        Field("company_id", Reference("company")),
        Field("website", Url()),
        *ADDRESS,
        Field("tax_id", Text(50, "GB123456789"), "A VAT, GST or other tax number."),
        Field("currency", CurrencyCode(), "The currency its invoices are in unless they say otherwise."),
        Field(
            "language",
            Text(35, "en-GB", r"[A-Za-z]{2,3}(?:-[0-9A-Za-z]{1,8})*", "a language tag such as en or pt-BR"),
            "The language to write in (BCP 47).",
        ),
        *EVERY,
    ),
    causes=(Created("client.created", "A client was created."),),
)

CONTACT = Kind(
    "contact",
    "contacts",
    "A person.",
    (
        Field("first_name", Text(100, "Ada")),
        Field("last_name", Text(100, "Lovelace")),
        Field("email", Email()),
        Field("phone", Phone()),
        Field("job_title", Text(120, "Head of Finance")),
        Field("company_id", Reference("company")),
        Field("client_id", Reference("client")),
        Field("subscribed", Flag(), "Agreed to receive campaigns.", default=False),
        OWNER,
        *EVERY,
    ),
    title=("first_name", "last_name"),
    causes=(
        Created("contact.created", "A contact was created."),
        Updated("contact.updated", "A contact was changed."),
    ),
    rules=(AnyOf(("email", "phone", "first_name", "last_name")),),
)

COMPANY = Kind(
    "company",
    "companies",
    "An organisation that contacts, leads and deals belong to.",
    (
        Field("name", Text(200, "Acme Holdings plc"), required=True),
        Field(
            "domain",
            Text(
                253, "acme.example", r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}",
                "a domain such as acme.example", str.lower,
            ),
            "What its e-mail addresses end with.",
        ),
        Field("website", Url()),
        Field("email", Email("hello@acme.example")),
        Field("phone", Phone()),
        Field("industry", Text(120, "Manufacturing")),
        Field("employees", Whole(sample=250)),
        *ADDRESS,
        OWNER,
        *EVERY,
    ),
)  # fmt: skip

REGISTRATION = Kind(
    "registration",
    "registrations",
    "A person's place at an event.",
    (
        Field("event_name", Text(200, "Open Studio Day"), required=True),
        Field("event_id", Text(100, "open-studio-2026"), "The event's id in the host application."),
        Field("event_starts_at", Moment("2026-05-08T17:00:00Z")),
        Field("contact_id", Reference("contact")),
        Field("name", Text(200, "Ada Lovelace")),
        Field("email", Email()),
        Field("phone", Phone()),
        Field("country", COUNTRY),
        Field("ticket", Text(120, "Standard"), "The type of the ticket."),
        Field("places", Whole(1, 1000), default=1),
        Field("price", Amount(value="49.00"), "For all places together."),
        Field("status", Choice(("pending", "confirmed", "cancelled")), default="pending"),
        *EVERY,
    ),
    title=("name", "event_name"),
    causes=(
        Created("registration.created", "Someone registered for an event."),
        Reaches("registration.confirmed", "A registration was confirmed.", "status", "confirmed"),
        Reaches("registration.cancelled", "A registration was cancelled.", "status", "cancelled"),
    ),
    rules=(
        AnyOf(("email", "contact_id")),
        Steps(
            "status",
            {
                "pending": ("confirmed", "cancelled"),
                "confirmed": ("cancelled",),
                "cancelled": ("pending", "confirmed"),
            },
        ),
    ),
)
