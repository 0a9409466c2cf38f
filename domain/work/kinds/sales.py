"""From the first word to the signature: leads, deals, proposals, contracts."""

from domain.work.causes import Changes, Created, Reaches
from domain.work.compounds import Amount, Reference
from domain.work.fields import Field, Group, ListOf
from domain.work.kinds.shared import EVERY, OWNER
from domain.work.records import Kind
from domain.work.rules import Follows, OneCurrency, Steps
from domain.work.scalars import Choice, Day, Moment, Whole
from domain.work.texts import CurrencyCode, Email, LongText, Phone, Text, Url

LEAD = Kind(
    "lead",
    "leads",
    "Someone who may become a client.",
    (
        Field("name", Text(200, "Ada Lovelace"), required=True),
        Field("email", Email()),
        Field("phone", Phone()),
        Field("company", Text(200, "Acme Ltd")),
        Field("company_id", Reference("company")),
        Field("source", Text(120, "website"), "Where the lead came from."),
        Field("message", LongText("We need a new booking system by June."), "What they wrote."),
        Field("status", Choice(("new", "contacted", "qualified", "converted", "lost")), default="new"),
        Field("score", Whole(0, 100, 80)),
        Field("value", Amount(value="12000.00"), "What it may be worth."),
        Field("lost_reason", Text(500, "Chose another studio")),
        Field("client_id", Reference("client"), "The client it became."),
        Field("contact_id", Reference("contact"), "The contact it became."),
        Field("deal_id", Reference("deal"), "The deal it became."),
        OWNER,
        *EVERY,
    ),
    causes=(
        Created("lead.created", "A lead came in."),
        Changes("lead.status_changed", "A lead's status changed.", "status"),
        Reaches("lead.converted", "A lead became a client or a deal.", "status", "converted"),
    ),
    rules=(
        Steps(
            "status",
            {
                "new": ("contacted", "qualified", "converted", "lost"),
                "contacted": ("new", "qualified", "converted", "lost"),
                "qualified": ("contacted", "converted", "lost"),
                "converted": (),
                "lost": ("new", "contacted", "qualified"),
            },
        ),
    ),
)

DEAL = Kind(
    "deal",
    "deals",
    "A piece of work that may be sold.",
    (
        Field("title", Text(200, "Booking system"), required=True),
        Field("status", Choice(("open", "won", "lost")), default="open"),
        Field("stage", Text(120, "Proposal"), "The column of the pipeline it stands in."),
        Field("value", Amount(value="12000.00")),
        Field("probability", Whole(0, 100, 60), "In per cent."),
        Field("client_id", Reference("client")),
        Field("contact_id", Reference("contact")),
        Field("company_id", Reference("company")),
        Field("lead_id", Reference("lead")),
        Field("expected_close_on", Day("2026-04-30")),
        Field("lost_reason", Text(500, "Budget was cut")),
        OWNER,
        *EVERY,
    ),
    title=("title",),
    causes=(
        Created("deal.created", "A deal was created."),
        Reaches("deal.won", "A deal was won.", "status", "won"),
        Reaches("deal.lost", "A deal was lost.", "status", "lost"),
    ),
    # A closed deal is opened again before it can close the other way: each closing is told once.
    rules=(Steps("status", {"open": ("won", "lost"), "won": ("open",), "lost": ("open",)}),),
)

PROPOSAL = Kind(
    "proposal",
    "proposals",
    "An offer made to a client.",
    (
        Field("title", Text(200, "Booking system: offer"), required=True),
        Field("number", Text(60, "P-2026-007")),
        Field("client_id", Reference("client")),
        Field("deal_id", Reference("deal")),
        Field("status", Choice(("draft", "sent", "accepted", "rejected", "expired")), default="draft"),
        Field("currency", CurrencyCode(), "The currency of every amount in it."),
        Field(
            "lines",
            ListOf(
                Group(
                    (
                        Field("description", Text(500, "Design and build"), required=True),
                        Field("quantity", Whole(1, 1_000_000, 1), default=1),
                        Field(
                            "unit_price",
                            Amount(negative=True, value="12000.00"),
                            "Below zero for a discount.",
                            required=True,
                        ),
                    )
                )
            ),
        ),
        Field("total", Amount(value="12000.00"), "As the host application works it out, with tax."),
        Field("valid_until", Day("2026-03-31")),
        Field("file_url", Url("https://files.studio.example/proposals/7.pdf")),
        Field("rejected_reason", Text(500, "Too late in the year")),
        OWNER,
        *EVERY,
    ),
    title=("title",),
    causes=(
        Created("proposal.created", "A proposal was written."),
        Reaches("proposal.sent", "A proposal was sent to the client.", "status", "sent"),
        Reaches("proposal.accepted", "A client accepted a proposal.", "status", "accepted"),
        Reaches("proposal.rejected", "A client rejected a proposal.", "status", "rejected"),
    ),
    rules=(
        OneCurrency(("total", "lines"), code="currency"),
        Steps(
            "status",
            {
                "draft": ("sent", "accepted", "rejected", "expired"),
                "sent": ("draft", "accepted", "rejected", "expired"),
                "accepted": (),
                "rejected": ("draft", "sent"),
                "expired": ("draft", "sent"),
            },
        ),
    ),
)

CONTRACT = Kind(
    "contract",
    "contracts",
    "An agreement to be signed by a client.",
    (
        Field("title", Text(200, "Booking system: agreement"), required=True),
        Field("number", Text(60, "C-2026-003")),
        Field("client_id", Reference("client"), required=True),
        Field("project_id", Reference("project")),
        Field("deal_id", Reference("deal")),
        Field("status", Choice(("draft", "sent", "signed", "declined", "expired", "voided")), default="draft"),
        Field("value", Amount(value="12000.00")),
        Field("file_url", Url("https://files.studio.example/contracts/3.pdf")),
        Field("signer_name", Text(200, "Ada Lovelace")),
        Field("signer_email", Email()),
        Field("signed_at", Moment("2026-02-20T14:05:00Z")),
        Field("starts_on", Day("2026-03-01")),
        Field("ends_on", Day("2026-12-31")),
        OWNER,
        *EVERY,
    ),
    title=("title",),
    causes=(
        Created("contract.created", "A contract was written."),
        Reaches("contract.sent", "A contract was sent for signature.", "status", "sent"),
        Reaches("contract.signed", "A client signed a contract.", "status", "signed"),
    ),
    rules=(
        Follows("ends_on", "starts_on"),
        Steps(
            "status",
            {
                "draft": ("sent", "signed", "voided"),
                "sent": ("draft", "signed", "declined", "expired", "voided"),
                "signed": (),
                "declined": ("draft", "sent", "voided"),
                "expired": ("draft", "sent", "voided"),
                "voided": (),
            },
        ),
    ),
)
