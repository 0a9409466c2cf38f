"""Every kind of work record, in one tuple. A new kind is a declaration in one of these files and a line here."""

from domain.refusals import NotFound
from domain.work.kinds.jottings import NOTE, TAG
from domain.work.kinds.people import CLIENT, COMPANY, CONTACT, REGISTRATION
from domain.work.kinds.projects import MEETING, MILESTONE, PROJECT, TASK
from domain.work.kinds.sales import CONTRACT, DEAL, LEAD, PROPOSAL
from domain.work.records import Kind

KINDS = (
    CLIENT,
    CONTACT,
    COMPANY,
    LEAD,
    DEAL,
    PROJECT,
    MILESTONE,
    TASK,
    CONTRACT,
    PROPOSAL,
    MEETING,
    REGISTRATION,
    NOTE,
    TAG,
)

_BY_NAME = {kind.name: kind for kind in KINDS}


def kind_named(name: str) -> Kind:
    """The kind called `client`. Raises NotFound."""
    if name not in _BY_NAME:
        raise NotFound("kind of record", name)
    return _BY_NAME[name]
