"""Discord's manifest."""

from domain.connections.provider import AuthKind, Capability, Category, Field, Provider

PROVIDER = Provider(
    slug="discord",
    name="Discord",
    category=Category.NOTICES,
    auth=AuthKind.WEBHOOK_URL,
    offers=frozenset({Capability.MESSAGES}),
    fields=(
        Field(
            "webhook_url",
            "Webhook URL",
            secret=True,
            url=True,
            help="The address of a channel's webhook, such as https://discord.com/api/webhooks/…/…",
        ),
    ),
    targets=("thread_id", "thread_name"),
    docs="providers/discord.md",
)
