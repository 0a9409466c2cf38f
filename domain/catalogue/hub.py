"""The events that the hub says of itself, and those that only the host application can say.

Of the latter the hub asks for little: what is not required may be left out.
"""

import attrs

from domain.catalogue.event_type import Family
from domain.work.compounds import Amount, Reference
from domain.work.fields import Field, Group
from domain.work.scalars import Choice, Day, Moment, Whole
from domain.work.texts import Email, LongText, Text, Url


def _group(*fields: Field) -> Group:
    return Group(fields)


def _said_by_host(name: str, *fields: Field) -> Group:
    group = Group(tuple(attrs.evolve(field, always=field.required) for field in fields))
    return Group((Field(name, group, required=True),))


_ID = Field("id", Text(100, "4711"), "The id in the host application.", required=True)
_URL = Field("url", Url("https://studio.example/4711"), "The page in the host application.")

_CONNECTION = _group(
    Field("id", Reference("connection"), required=True),
    Field("provider", Text(60, "slack"), required=True),
    Field("name", Text(200, "Studio's Slack"), required=True),
    Field("status", Text(40, "connected"), "connected, failing, disconnected …", required=True),
    Field("last_error", Text(2000, "Slack answered invalid_token")),
)

_ENDPOINT = _group(
    Field("id", Reference("endpoint"), required=True),
    Field("url", Url("https://app.studio.example/hooks"), required=True),
    Field("reason", Text(2000, "10 deliveries in a row failed"), required=True),
)

HUB = (
    Family(
        "Integrations",
        _group(Field("connection", _CONNECTION, required=True)),
        (
            ("integration.connected", "A provider was connected.", {"connection": {"last_error": None}}),
            (
                "integration.disconnected",
                "A provider was disconnected, or took its permission back.",
                {"connection": {"status": "disconnected"}},
            ),
            (
                "integration.failing",
                "A connection keeps failing and needs a look.",
                {"connection": {"status": "failing"}},
            ),
        ),
    ),
    Family(
        "Integrations",
        _group(
            Field("connection", _CONNECTION, required=True),
            Field("missed", Whole(sample=2), "How many were taken in from the provider's list.", required=True),
            Field("since", Moment("2026-03-03T09:00:00Z"), "The list was read from here.", required=True),
            Field("until", Moment("2026-03-03T10:15:00Z"), "To here.", required=True),
        ),
        (
            (
                "integration.webhooks_missed",
                "A provider's own list had events that no webhook had brought; they were taken in.",
                {"connection": {"provider": "stripe", "name": "Studio's Stripe", "last_error": None}},
            ),
        ),
    ),
    Family(
        "Webhooks",
        _group(Field("endpoint", _ENDPOINT, required=True)),
        (("webhook.disabled", "A webhook endpoint was switched off because it kept failing or is gone.", {}),),
    ),
)

HOST = (
    Family(
        "Events",
        _said_by_host(
            "event",
            _ID,
            Field("name", Text(200, "Open Studio Day"), required=True),
            Field("status", Text(40, "draft")),
            Field("starts_at", Moment("2026-05-08T17:00:00Z")),
            Field("ends_at", Moment("2026-05-08T21:00:00Z")),
            Field("location", Text(300, "1 Analytical Row, London")),
            Field("capacity", Whole(sample=120)),
            _URL,
        ),
        (
            ("event.created", "An event to which people can come was created.", {}),
            ("event.published", "An event can be found and registered for.", {"event": {"status": "published"}}),
            (
                "event.reminder",
                "An event is near; those registered should hear of it.",
                {"event": {"status": "published"}},
            ),
        ),
    ),
    Family(
        "Meetings",
        _said_by_host(
            "bot",
            _ID,
            Field("name", Text(120, "Note taker")),
            Field("meeting_id", Text(100, "meeting-4711"), "The meeting's id, here or in the host application."),
            Field("at", Moment("2026-03-03T10:00:12Z")),
            Field("status", Text(40, "left")),
            Field("error", Text(500, "Nobody let it in")),
            _URL,
        ),
        (
            ("bot.joined", "The note taker joined a meeting.", {"bot": {"status": "joined", "error": None}}),
            ("bot.left", "The note taker left a meeting.", {"bot": {"error": None}}),
            ("bot.error", "The note taker failed.", {"bot": {"status": "failed"}}),
        ),
    ),
    Family(
        "Alerts",
        _said_by_host(
            "approval",
            _ID,
            Field("title", Text(300, "Travel to the Lisbon workshop"), required=True),
            Field("description", LongText("Two flights and a hotel.")),
            Field("requested_by", Email("grace@studio.example")),
            Field("approver", Email("ada@studio.example")),
            Field("amount", Amount(value="840.00")),
            Field("due_on", Day("2026-03-13")),
            _URL,
        ),
        (("approval.required", "Someone's approval is asked for.", {}),),
    ),
    Family(
        "Alerts",
        _said_by_host(
            "budget",
            _ID,
            Field("name", Text(200, "Booking system"), required=True),
            Field("total", Amount(value="12000.00")),
            Field("spent", Amount(value="10800.00")),
            Field("percent", Whole(0, 100_000, 90), "Spent, in per cent of what was budgeted."),
            Field("project_id", Text(100, "project-4711"), "The project's id, here or in the host application."),
            _URL,
        ),
        (("budget.alert", "A budget is nearly or wholly used up.", {}),),
    ),
    Family(
        "Alerts",
        _said_by_host(
            "incident",
            _ID,
            Field("title", Text(300, "Projector fell from its mount"), required=True),
            Field("severity", Choice(("low", "medium", "high", "critical"))),
            Field("description", LongText("Nobody was hurt.")),
            Field("reported_by", Email("grace@studio.example")),
            Field("at", Moment("2026-05-08T18:20:00Z")),
            Field("location", Text(300, "Hall 2")),
            _URL,
        ),
        (("incident.reported", "Something went wrong that people must know of.", {}),),
    ),
)
