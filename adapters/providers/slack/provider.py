"""Slack's manifest."""

from domain.connections.provider import AuthKind, Capability, Category, Field, Provider

PROVIDER = Provider(
    slug="slack",
    name="Slack",
    category=Category.NOTICES,
    auth=AuthKind.WEBHOOK_URL,
    offers=frozenset({Capability.MESSAGES}),
    fields=(
        Field(
            "webhook_url",
            "Webhook URL",
            secret=True,
            url=True,
            help="The address of an incoming webhook, such as https://hooks.slack.com/services/T…/B…/…",
        ),
    ),
    docs="providers/slack.md",
)
