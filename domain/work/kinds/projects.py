"""The work itself: projects, their milestones and tasks, and the meetings about them."""

from domain.work.causes import Changes, Created, Deleted, Elsewhere, Fills, Reaches, Updated
from domain.work.compounds import Amount, Reference
from domain.work.fields import Field, Group, ListOf
from domain.work.kinds.shared import EVERY, OWNER
from domain.work.records import Kind
from domain.work.rules import Follows, Needs, Steps
from domain.work.scalars import Choice, Day, Flag, Moment, Number
from domain.work.texts import Email, LongText, Text, Url

PROJECT = Kind(
    "project",
    "projects",
    "A piece of work for a client.",
    (
        Field("name", Text(200, "Booking system"), required=True),
        Field("client_id", Reference("client")),
        Field("status", Choice(("planned", "active", "on_hold", "completed", "cancelled")), default="planned"),
        Field("description", LongText("Design, build and launch.")),
        Field("starts_on", Day("2026-03-01")),
        Field("due_on", Day("2026-06-30")),
        Field("budget", Amount(value="12000.00")),
        Field("url", Url("https://studio.example/projects/booking"), "Its page in the host application."),
        OWNER,
        *EVERY,
    ),
    causes=(
        Created("project.created", "A project was created."),
        Changes("project.status_changed", "A project's status changed.", "status"),
        Reaches("project.started", "Work on a project began.", "status", "active", only_from=("planned",)),
        Reaches("project.completed", "A project was completed.", "status", "completed"),
    ),
    rules=(Follows("due_on", "starts_on"),),
)

MILESTONE = Kind(
    "milestone",
    "milestones",
    "A stage of a project.",
    (
        Field("title", Text(200, "Design approved"), required=True),
        Field("project_id", Reference("project"), required=True),
        Field("status", Choice(("pending", "in_progress", "completed")), default="pending"),
        Field("due_on", Day("2026-04-15")),
        Field("description", LongText("Every page signed off.")),
        Field("amount", Amount(value="4000.00"), "What is invoiced when it is reached."),
        OWNER,
        *EVERY,
    ),
    title=("title",),
    causes=(Reaches("milestone.completed", "A milestone was reached.", "status", "completed"),),
)

TASK = Kind(
    "task",
    "tasks",
    "Something to be done by someone.",
    (
        Field("title", Text(300, "Draw the calendar page"), required=True),
        Field("description", LongText("Week and month views.")),
        Field("project_id", Reference("project")),
        Field("milestone_id", Reference("milestone")),
        Field("client_id", Reference("client")),
        Field("assignee", Email("grace@studio.example")),
        Field("status", Choice(("todo", "in_progress", "completed")), default="todo"),
        Field("priority", Choice(("low", "normal", "high", "urgent")), default="normal"),
        Field("starts_on", Day("2026-03-09")),
        Field("due_on", Day("2026-03-13")),
        Field("estimated_hours", Number(0, 10_000, 6.5)),
        *EVERY,
    ),
    title=("title",),
    causes=(
        Created("task.created", "A task was created."),
        Fills("task.assigned", "A task was given to someone.", "assignee", again=True),
        Elsewhere("task.due_soon", "A task is due soon and not completed."),
        Reaches("task.completed", "A task was completed.", "status", "completed"),
        Elsewhere("task.overdue", "The day a task was due has passed and it is not completed."),
    ),
    rules=(Follows("due_on", "starts_on"), Needs("milestone_id", "project_id")),
)

_PARTICIPANT = Field(
    "participants",
    ListOf(
        Group(
            (
                Field("name", Text(200, "Ada Lovelace")),
                Field("email", Email()),
                Field("contact_id", Reference("contact")),
                Field("attended", Flag()),
            )
        ),
        maximum=500,
    ),
)

_ACTION_ITEM = Field(
    "action_items",
    ListOf(
        Group(
            (
                Field("text", Text(500, "Send the contract"), required=True),
                Field("assignee", Email("grace@studio.example")),
                Field("due_on", Day("2026-03-10")),
                Field("done", Flag(), default=False),
            )
        )
    ),
)

MEETING = Kind(
    "meeting",
    "meetings",
    "A meeting, planned or held.",
    (
        Field("title", Text(300, "Booking system: kick-off"), required=True),
        Field("status", Choice(("scheduled", "started", "ended", "cancelled")), default="scheduled"),
        Field("starts_at", Moment("2026-03-03T10:00:00Z"), required=True),
        Field("ends_at", Moment("2026-03-03T11:00:00Z")),
        Field("location", Text(300, "Room 2")),
        Field("join_url", Url("https://meet.example/kick-off")),
        Field("organiser", Email("grace@studio.example")),
        _PARTICIPANT,
        Field("client_id", Reference("client")),
        Field("project_id", Reference("project")),
        Field("deal_id", Reference("deal")),
        Field("agenda", LongText("Goals, dates, people.")),
        Field("summary", LongText("We begin with the calendar page.")),
        _ACTION_ITEM,
        Field("transcript_url", Url("https://files.studio.example/meetings/kick-off.txt")),
        Field("recording_url", Url("https://files.studio.example/meetings/kick-off.mp4")),
        *EVERY,
    ),
    title=("title",),
    causes=(
        Reaches("meeting.started", "A meeting began.", "status", "started"),
        Reaches("meeting.ended", "A meeting ended.", "status", "ended"),
        Updated("meeting.updated", "A meeting was changed."),
        Deleted("meeting.deleted", "A meeting was deleted."),
        Fills("transcript.ready", "A meeting's transcript is ready.", "transcript_url"),
        Fills("summary.ready", "A meeting's summary is ready.", "summary"),
        Fills("action_items.ready", "A meeting's action items are ready.", "action_items"),
    ),
    rules=(
        Follows("ends_at", "starts_at", strictly=True),
        Steps(
            "status",
            {
                "scheduled": ("started", "ended", "cancelled"),
                "started": ("ended",),
                "ended": (),
                "cancelled": ("scheduled",),
            },
        ),
    ),
)
