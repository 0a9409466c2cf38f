"""The fields that several kinds have."""

from domain.work.compounds import Tags
from domain.work.fields import Field
from domain.work.texts import Email, LongText, Text

COUNTRY = Text(2, "GB", "[A-Z]{2}", "a country code such as GB (ISO 3166-1)", str.upper)

OWNER = Field("owner", Email("grace@studio.example"), "Who looks after it.")

ADDRESS = (
    Field("street", Text(300, "1 Analytical Row"), "House and street, in one line."),
    Field("city", Text(120, "London")),
    Field("region", Text(120, "Greater London"), "A state, province or county."),
    Field("postal_code", Text(20, "N1 9GU")),
    Field("country", COUNTRY, "ISO 3166-1 alpha-2."),
)

EVERY = (
    Field("tags", Tags()),
    Field("external_id", Text(200, "4711"), "The record's id in the host application."),
    Field("notes", LongText("Prefers mail to calls.")),
)
"""What every kind has, unless it is itself a note or a tag."""
