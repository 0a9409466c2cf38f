"""What is stuck onto other records: notes and tags."""

from domain.work.compounds import Subject, Tags
from domain.work.fields import Field
from domain.work.records import Kind
from domain.work.scalars import Flag
from domain.work.texts import Email, LongText, Text

NOTE = Kind(
    "note",
    "notes",
    "A remark on a record.",
    (
        Field("text", LongText("Called; will decide on Friday."), required=True),
        Field(
            "subject",
            Subject(
                (
                    "client", "contact", "company", "lead", "deal", "project", "milestone", "task", "contract",
                    "proposal", "meeting", "registration", "invoice",
                )
            ),
            "The record it is about.",
        ),
        Field("author", Email("grace@studio.example")),
        Field("pinned", Flag(), default=False),
        Field("tags", Tags()),
        Field("external_id", Text(200, "4711"), "The record's id in the host application."),
    ),
    title=("text",),
)  # fmt: skip

TAG = Kind(
    "tag",
    "tags",
    "A word that records are tagged with, its colour and its meaning.",
    (
        Field("name", Text(50, "vip"), required=True),
        Field("color", Text(7, "#8a5cf6", "#[0-9a-f]{6}", "a colour such as #8a5cf6", str.lower)),
        Field("description", Text(500, "Answer within the hour.")),
        Field("external_id", Text(200, "4711"), "The record's id in the host application."),
    ),
)
