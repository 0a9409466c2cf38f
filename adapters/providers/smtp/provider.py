"""SMTP's manifest."""

from domain.connections.provider import AuthKind, Capability, Category, Field, Provider

SECURITIES = ("none", "starttls", "tls")
"""`none`: unencrypted, for a server on the same machine. `starttls`: usual on 587. `tls`: from the start, on 465."""

PROVIDER = Provider(
    slug="smtp",
    name="Mail (SMTP)",
    category=Category.MAIL,
    auth=AuthKind.SERVER,
    offers=frozenset({Capability.MESSAGES, Capability.MAIL}),
    fields=(
        Field("host", "Server", help="The name of the outgoing mail server, such as smtp.example.com"),
        Field("port", "Port", default="587", help="587 with starttls, 465 with tls"),
        Field("security", "Security", prefixes=SECURITIES, default="starttls", help="starttls, tls or none"),
        Field("username", "User name", required=False),
        Field("password", "Password", secret=True, required=False),
        Field("sender", "From address", help="The address that mails come from, such as billing@example.com"),
        Field("sender_name", "From name", required=False),
    ),
    targets=("to", "subject"),
    docs="providers/smtp.md",
)
