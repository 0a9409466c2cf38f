"""The events of work records: everything about them is derived from the declarations of the kinds."""

from domain.catalogue.event_type import event_type
from domain.work.kinds import KINDS

_GROUPS = {
    "transcript": "Meetings",
    "summary": "Meetings",
    "action_items": "Meetings",
}
"""The events that are not named after the kind of their record."""

WORK = tuple(
    event_type(
        cause.type,
        _GROUPS.get(cause.type.partition(".")[0], kind.plural.capitalize()),
        cause.about,
        kind.data_schema,
        kind.sample(cause.shows).data(),
    )
    for kind in KINDS
    for cause in kind.causes
)
