"""What is said about each kind of event: the table that `compose` reads.

`{invoice.number}` is a place in the event's data, `{a|b}` the first of two that is there. A part in [brackets] is left
out when something in it is missing; [this {one}|that] then says what stands after the bar. Every sentence must hold
with none of its places known.
"""

from collections.abc import Mapping

import attrs

from domain.notifications.message import Tone

_Facts = tuple[tuple[str, str], ...]


@attrs.frozen
class Story:
    """How one type of event is told.

    kind: the record it is about, a key of the data. facts: (label, place) in the order they matter; with none, the
    data's own flat fields are told. link: the place of a link that the data may bring.
    """

    title: str
    text: str
    kind: str
    facts: _Facts
    tone: Tone = Tone.NEUTRAL
    link: str = "url"
    link_label: str = "Open"


CONSOLE_PAGES: Mapping[str, str] = {
    "invoice": "/invoices",
    "payment": "/payments",
    "endpoint": "/webhooks",
    "connection": "/connections",
}
"""The console's page for a kind of record, to which its id is added; any other kind leads to its event."""

_FACTS: Mapping[str, _Facts] = {
    "invoice": (
        ("Client", "invoice.client.name|invoice.client.email"),
        ("Amount", "invoice.total"),
        ("Still due", "invoice.amount_due"),
        ("Status", "invoice.status"),
        ("Due", "invoice.due_on"),
    ),
    "payment": (
        ("Client", "invoice.client.name|invoice.client.email"),
        ("Amount", "payment.amount"),
        ("Refunded", "refund.amount|payment.refunded"),
        ("Invoice", "invoice.number|payment.invoice_id"),
        ("Status", "refund.status|payment.status"),
        ("Provider", "payment.provider"),
        ("Reference", "payment.reference"),
        ("Reason", "payment.failure|failure|reason"),
    ),
    "payout": (
        ("Amount", "payout.amount"),
        ("Status", "payout.status"),
        ("Arrives", "payout.arrives_on|payout.arrival_date"),
        ("Provider", "payout.provider"),
        ("Reason", "payout.failure|payout.reason"),
    ),
    "subscription": (
        ("Client", "subscription.client.name|subscription.client.email"),
        ("Plan", "subscription.plan.name|subscription.plan"),
        ("Amount", "subscription.amount"),
        ("Status", "subscription.status"),
        ("Renews", "subscription.renews_on|subscription.current_period_end"),
    ),
    "project": (
        ("Project", "project.name|project.title"),
        ("Client", "project.client.name|project.client"),
        ("Status", "project.status"),
        ("Owner", "project.owner.name|project.owner"),
        ("Due", "project.due_on|project.ends_on|project.due_date"),
        ("Budget", "project.budget"),
    ),
    "milestone": (
        ("Milestone", "milestone.name|milestone.title"),
        ("Project", "milestone.project.name|milestone.project|project.name"),
        ("Status", "milestone.status"),
        ("Due", "milestone.due_on|milestone.due_date"),
    ),
    "task": (
        ("Task", "task.title|task.name"),
        ("Project", "task.project.name|task.project|project.name"),
        ("Assigned to", "task.assignee.name|task.assignee|task.assigned_to"),
        ("Priority", "task.priority"),
        ("Status", "task.status"),
        ("Due", "task.due_on|task.due_at|task.due_date"),
    ),
    "contract": (
        ("Contract", "contract.title|contract.name"),
        ("Client", "contract.client.name|contract.client|client.name"),
        ("Value", "contract.value|contract.amount"),
        ("Signed by", "contract.signed_by.name|contract.signed_by"),
        ("Status", "contract.status"),
    ),
    "proposal": (
        ("Proposal", "proposal.title|proposal.name"),
        ("Client", "proposal.client.name|proposal.client|client.name"),
        ("Value", "proposal.value|proposal.amount|proposal.total"),
        ("Valid until", "proposal.valid_until|proposal.expires_on"),
        ("Status", "proposal.status"),
        ("Reason", "proposal.reason"),
    ),
    "client": (
        ("Client", "client.name"),
        ("Company", "client.company.name|client.company"),
        ("Email", "client.email"),
        ("Phone", "client.phone"),
    ),
    "contact": (
        ("Contact", "contact.name"),
        ("Company", "contact.company.name|contact.company"),
        ("Email", "contact.email"),
        ("Phone", "contact.phone"),
    ),
    "lead": (
        ("Lead", "lead.name|lead.title"),
        ("Company", "lead.company.name|lead.company"),
        ("Email", "lead.email"),
        ("Source", "lead.source"),
        ("Value", "lead.value"),
        ("Status", "lead.status"),
    ),
    "deal": (
        ("Deal", "deal.name|deal.title"),
        ("Company", "deal.company.name|deal.company|deal.client.name"),
        ("Value", "deal.value|deal.amount"),
        ("Stage", "deal.stage|deal.status"),
        ("Owner", "deal.owner.name|deal.owner"),
        ("Reason", "deal.reason|deal.lost_reason"),
    ),
    "registration": (
        ("Name", "registration.name|registration.attendee.name"),
        ("Email", "registration.email|registration.attendee.email"),
        ("Event", "registration.event.name|registration.event|event.name"),
        ("Ticket", "registration.ticket"),
        ("Status", "registration.status"),
    ),
    "event": (
        ("Event", "event.name|event.title"),
        ("Starts", "event.starts_at|event.start"),
        ("Place", "event.location|event.place"),
        ("Status", "event.status"),
    ),
    "meeting": (
        ("Meeting", "meeting.title|meeting.name"),
        ("Organiser", "meeting.organiser.name|meeting.organizer.name|meeting.organiser|meeting.organizer"),
        ("Starts", "meeting.starts_at|meeting.start"),
        ("Ends", "meeting.ends_at|meeting.end"),
        ("Place", "meeting.location|meeting.platform"),
    ),
    "transcript": (
        ("Meeting", "meeting.title|transcript.meeting.title"),
        ("Language", "transcript.language"),
        ("Length", "transcript.duration"),
    ),
    "summary": (("Meeting", "meeting.title|summary.meeting.title"), ("Summary", "summary.text|summary.summary")),
    "action_items": (("Meeting", "meeting.title"), ("Items", "action_items.count|count")),
    "bot": (
        ("Meeting", "meeting.title|bot.meeting.title"),
        ("Bot", "bot.name"),
        ("Status", "bot.status"),
        ("Error", "bot.error|error"),
    ),
    "approval": (
        ("Subject", "approval.subject|approval.title|approval.name"),
        ("Asked by", "approval.requested_by.name|approval.requested_by"),
        ("Amount", "approval.amount"),
        ("Due", "approval.due_on"),
    ),
    "budget": (
        ("Project", "budget.project.name|budget.project|project.name|budget.name"),
        ("Budget", "budget.total|budget.budget|budget.limit"),
        ("Spent", "budget.spent|budget.amount"),
        ("Used", "budget.percent|budget.used"),
    ),
    "incident": (
        ("Incident", "incident.title|incident.name"),
        ("Severity", "incident.severity"),
        ("Reported by", "incident.reported_by.name|incident.reported_by"),
        ("Status", "incident.status"),
    ),
    "connection": (
        ("Connection", "connection.name"),
        ("Provider", "connection.provider"),
        ("Status", "connection.status"),
        ("Last error", "connection.last_error"),
    ),
    "endpoint": (("Address", "endpoint.url"), ("Reason", "endpoint.reason")),
}

_GOOD, _PLAIN, _CARE, _BAD = Tone.GOOD, Tone.NEUTRAL, Tone.WARNING, Tone.BAD
_BY = "[ by {invoice.client.name|invoice.client.email}]"
_FOR = "[ for {invoice.client.name|invoice.client.email}]"
_PAID_FOR = "[ for invoice {invoice.number}]"
_NAMED = "[ “{%s.name|%s.title}”]"


def _named(kind: str) -> str:
    return _NAMED % (kind, kind)


_ROWS: tuple[tuple[str, Tone, str, str], ...] = (
    ("invoice.created", _PLAIN, "Invoice[ {invoice.number}] created", f"A new invoice{_FOR}[ over {{invoice.total}}]."),
    ("invoice.sent", _PLAIN, "Invoice[ {invoice.number}] sent",
     "The invoice[ over {invoice.total}] went out[ to {invoice.client.name|invoice.client.email}]."),
    ("invoice.paid", _GOOD, "Invoice[ {invoice.number}] paid",
     f"The invoice was paid in full{_BY}[: {{invoice.total}}]."),
    ("invoice.overdue", _BAD, "Invoice[ {invoice.number}] overdue",
     f"The invoice{_FOR} is past its due date[; {{invoice.amount_due|invoice.total}} is still open]."),
    ("invoice.payment_failed", _BAD, "Payment of invoice[ {invoice.number}] failed",
     f"A payment of the invoice{_FOR} did not go through[; {{invoice.amount_due|invoice.total}} is still open]."),
    ("invoice.refunded", _CARE, "Invoice[ {invoice.number}] refunded",
     f"Money of the invoice{_FOR} was sent back[: {{refund.amount}}]."),
    ("invoice.voided", _CARE, "Invoice[ {invoice.number}] voided", f"The invoice{_FOR} is void and need not be paid."),
    ("invoice.reminded", _PLAIN, "Reminder of invoice[ {invoice.number}] sent",
     "The client[ {invoice.client.name|invoice.client.email}] was reminded[; {invoice.amount_due} is still open]."),
    ("invoice.credited", _CARE, "Invoice[ {invoice.number}] credited",
     f"A credit note took back some or all of the invoice{_FOR}[: {{invoice.credited}} so far]."),
    ("invoice.uncollectible", _BAD, "Invoice[ {invoice.number}] written off",
     f"The invoice{_FOR} was given up[; {{invoice.amount_due}} is still owed]."),
    ("payment.received", _GOOD, "Payment[ of {payment.amount}] received",
     f"A payment came in{_BY}{_PAID_FOR}."),
    ("payment.failed", _BAD, "Payment[ of {payment.amount}] failed",
     f"A payment{_BY}{_PAID_FOR} did not go through."),
    ("payment.refunded", _CARE, "Payment refunded[: {refund.amount|payment.refunded}]",
     f"A payment{_BY}{_PAID_FOR} was sent back."),
    ("payment.refund_failed", _BAD, "Refund failed[: {refund.amount}]",
     f"Money that was sent back{_PAID_FOR} did not arrive."),
    ("payment.conflicted", _BAD, "Payment[ of {payment.amount}] set aside",
     f"A payment{_BY}{_PAID_FOR} is not what was asked for; somebody has to look at it."),
    ("payment.disputed", _BAD, "Payment[ of {payment.amount}] disputed",
     f"A payment{_BY}{_PAID_FOR} is disputed by the payer's bank."),
    ("payout.created", _PLAIN, "Payout[ of {payout.amount}] asked for", "Money was sent out of the provider's balance."),
    ("payout.paid", _GOOD, "Payout[ of {payout.amount}] paid", "A payout is on its way to the bank account."),
    ("payout.failed", _BAD, "Payout[ of {payout.amount}] failed", "A payout did not reach the bank account."),
    ("subscription.created", _GOOD, "Subscription created",
     "A subscription began[ for {subscription.client.name|subscription.client.email}]."),
    ("subscription.updated", _PLAIN, "Subscription updated",
     "The subscription[ of {subscription.client.name|subscription.client.email}] was changed."),
    ("subscription.trial_ending", _CARE, "Trial ends soon",
     "The trial[ of {subscription.client.name|subscription.client.email}] ends in three days."),
    ("subscription.past_due", _BAD, "Subscription past due",
     "A renewal[ of {subscription.client.name|subscription.client.email}] could not be charged."),
    ("subscription.canceled", _CARE, "Subscription canceled",
     "The subscription[ of {subscription.client.name|subscription.client.email}] was canceled."),
    ("project.created", _PLAIN, f"Project{_named('project')} created", "A new project was set up."),
    ("project.started", _GOOD, f"Project{_named('project')} started", "Work on the project has begun."),
    ("project.completed", _GOOD, f"Project{_named('project')} completed", "The project is done."),
    ("project.status_changed", _PLAIN, f"Project{_named('project')} changed status",
     "The project[ went from {project.previous_status|previous_status} to {project.status}| has a new status]."),
    ("milestone.completed", _GOOD, f"Milestone{_named('milestone')} completed", "A milestone was reached."),
    ("task.created", _PLAIN, f"Task{_named('task')} created", "There is a new task."),
    ("task.assigned", _PLAIN, f"Task{_named('task')} assigned",
     "The task was given to[ {task.assignee.name|task.assignee|task.assigned_to}| someone]."),
    ("task.due_soon", _CARE, f"Task{_named('task')} is due soon",
     "The task is due[ on {task.due_on|task.due_at|task.due_date}| soon]."),
    ("task.completed", _GOOD, f"Task{_named('task')} completed", "The task is done."),
    ("task.overdue", _BAD, f"Task{_named('task')} overdue",
     "The task was due[ on {task.due_on|task.due_at|task.due_date}| before now] and is not done."),
    ("contract.created", _PLAIN, f"Contract{_named('contract')} created", "A new contract was drawn up."),
    ("contract.sent", _PLAIN, f"Contract{_named('contract')} sent", "The contract went out for signature."),
    ("contract.signed", _GOOD, f"Contract{_named('contract')} signed",
     "The contract was signed[ by {contract.signed_by.name|contract.signed_by|contract.client.name|client.name}]."),
    ("proposal.created", _PLAIN, f"Proposal{_named('proposal')} created", "A new proposal was written."),
    ("proposal.sent", _PLAIN, f"Proposal{_named('proposal')} sent", "The proposal went out to the client."),
    ("proposal.accepted", _GOOD, f"Proposal{_named('proposal')} accepted", "The client said yes."),
    ("proposal.rejected", _BAD, f"Proposal{_named('proposal')} rejected", "The client said no."),
    ("client.created", _PLAIN, "New client[: {client.name|client.email}]", "A client was added."),
    ("contact.created", _PLAIN, "New contact[: {contact.name|contact.email}]", "A contact was added."),
    ("contact.updated", _PLAIN, "Contact updated[: {contact.name|contact.email}]", "A contact's details changed."),
    ("lead.created", _PLAIN, "New lead[: {lead.name|lead.title|lead.email}]",
     "A lead came in[ through {lead.source}]."),
    ("lead.status_changed", _PLAIN, "Lead changed status[: {lead.name|lead.title|lead.email}]",
     "The lead[ went from {lead.previous_status|previous_status} to {lead.status}| has a new status]."),
    ("lead.converted", _GOOD, "Lead converted[: {lead.name|lead.title|lead.email}]", "A lead became a client."),
    ("deal.created", _PLAIN, f"Deal{_named('deal')} created", "There is a new deal."),
    ("deal.won", _GOOD, f"Deal{_named('deal')} won", "The deal was won[: {deal.value|deal.amount}]."),
    ("deal.lost", _BAD, f"Deal{_named('deal')} lost", "The deal was lost[: {deal.value|deal.amount}]."),
    ("registration.created", _PLAIN, "New registration[: {registration.name|registration.email}]",
     "Someone registered[ for {registration.event.name|registration.event|event.name}]."),
    ("registration.confirmed", _GOOD, "Registration confirmed[: {registration.name|registration.email}]",
     "A place[ at {registration.event.name|registration.event|event.name}] was confirmed."),
    ("registration.cancelled", _CARE, "Registration cancelled[: {registration.name|registration.email}]",
     "A place[ at {registration.event.name|registration.event|event.name}] is free again."),
    ("event.created", _PLAIN, f"Event{_named('event')} created", "A new event was planned."),
    ("event.published", _GOOD, f"Event{_named('event')} published", "The event can now be seen and booked."),
    ("event.reminder", _CARE, f"Event{_named('event')} is near",
     "The event begins[ on {event.starts_at|event.start}| soon]."),
    ("meeting.started", _PLAIN, f"Meeting{_named('meeting')} started", "The meeting has begun."),
    ("meeting.ended", _PLAIN, f"Meeting{_named('meeting')} ended", "The meeting is over."),
    ("meeting.updated", _PLAIN, f"Meeting{_named('meeting')} changed", "The meeting's details changed."),
    ("meeting.deleted", _CARE, f"Meeting{_named('meeting')} deleted", "The meeting will not take place."),
    ("transcript.ready", _GOOD, "Transcript ready[: {meeting.title|transcript.meeting.title}]",
     "The meeting can be read word for word."),
    ("summary.ready", _GOOD, "Summary ready[: {meeting.title|summary.meeting.title}]",
     "The meeting has been summed up."),
    ("action_items.ready", _GOOD, "Action items ready[: {meeting.title}]", "What the meeting decided has been listed."),
    ("bot.joined", _PLAIN, "Bot joined[ “{meeting.title|bot.meeting.title}”]", "The bot is listening to the meeting."),
    ("bot.left", _PLAIN, "Bot left[ “{meeting.title|bot.meeting.title}”]", "The bot is no longer in the meeting."),
    ("bot.error", _BAD, "Bot failed[ in “{meeting.title|bot.meeting.title}”]", "The bot could not do its work."),
    ("approval.required", _CARE, "Approval needed[: {approval.subject|approval.title|approval.name}]",
     "A decision is waited for."),
    ("budget.alert", _CARE, "Budget alert[: {budget.project.name|budget.project|project.name|budget.name}]",
     "The budget is nearly or fully used."),
    ("incident.reported", _BAD, "Incident reported[: {incident.title|incident.name}]",
     "An incident[ of severity {incident.severity}] was reported."),
    ("integration.connected", _GOOD, "[{connection.name|connection.provider} |Integration ]connected",
     "The connection works and can be used."),
    ("integration.disconnected", _CARE, "[{connection.name|connection.provider} |Integration ]disconnected",
     "The connection was taken away; nothing more goes through it."),
    ("integration.failing", _BAD, "[{connection.name|connection.provider} |Integration ]is failing",
     "The service no longer accepts the connection. Please connect it again."),
    ("integration.webhooks_missed", _CARE, "[{connection.name|connection.provider}: ]webhooks were missed",
     "[{missed} events had|Some events had] not come by webhook and were taken from the provider's list."),
    ("webhook.disabled", _BAD, "Webhook disabled",
     "The hub stopped sending to this address[ because {endpoint.reason}]. Turn it on again when it is repaired."),
)  # fmt: skip

_KINDS = {"integration": "connection", "webhook": "endpoint"}
"""Where the record's name in the data is not the first word of the type."""

_CALLED = {"connection": "connection", "endpoint": "webhook", "action_items": "action items"}


def _story(type_: str, tone: Tone, title: str, text: str) -> Story:
    family = type_.split(".", maxsplit=1)[0]
    kind = _KINDS.get(family, family)
    link = "" if kind == "endpoint" else f"{kind}.url"  # an endpoint's url is no page to open
    return Story(title, text, kind, _FACTS[kind], tone, link, f"Open {_CALLED.get(kind, kind)}")


STORIES: Mapping[str, Story] = {row[0]: _story(*row) for row in _ROWS}
"""The story of every event type that Patchbay or a host application is known to publish."""
