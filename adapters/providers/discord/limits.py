"""What Discord takes in one webhook message, each number once.

Sources: docs.discord.com, developers/resources/message ("Embed Limits") and developers/resources/webhook ("Execute
Webhook"); the lengths are also `maxLength` in Discord's OpenAPI description (RichEmbed, IncomingWebhookRequestPartial).
A character is a Unicode code point: the API counts as Python does (github.com/discord/discord-api-docs#1315).
"""

CONTENT = 2000
"""Characters of the plain text above the embeds."""

EMBEDS = 10
"""Embeds in a message."""

EMBED_TOTAL = 6000
"""Characters of all titles, descriptions, field names, field values, footers and author names of a message."""

TITLE = 256
DESCRIPTION = 4096
FIELDS = 25
FIELD_NAME = 256
FIELD_VALUE = 1024
FOOTER = 2048
URL = 2048

USERNAME = 80
"""Characters of the name that the message is posted under."""

THREAD_NAME = 100
"""Characters of the name of a new post in a forum channel."""

BUCKET = 5
BUCKET_SECONDS = 2
"""A webhook takes five messages in two seconds. Not promised: only the sandbox knows it, the channel obeys headers."""
