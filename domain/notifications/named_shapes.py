"""Shapes with a name, for receivers whose bodies many will want: each a start to be copied and changed.

What a person writes into an event never becomes a mention there: it is escaped, or the receiver is told not to look for
any. Texts are cut to what the receiver takes.
"""

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from domain.notifications.envelopes import Envelope
from domain.notifications.shape import Shape


@attrs.frozen
class NamedShape:
    """description: one sentence for a person. source: where the receiver's maker documents what it takes."""

    description: str
    source: str
    shape: Shape


_SLACK = """{
  "text": "{{type | mrkdwn}}",
  "blocks": [
    {"type": "header", "text": {"type": "plain_text", "text": "{{type | truncate(150)}}"}},
    {"type": "section", "text": {"type": "mrkdwn", "text": "```{{data | json | truncate(500) | mrkdwn}}```"}},
    {"type": "context", "elements": [{"type": "mrkdwn", "text": "{{timestamp}} · {{id | mrkdwn}}"}]}
  ]
}"""

_DISCORD = """{
  "embeds": [
    {
      "title": "{{type | truncate(256)}}",
      "description": "```json\\n{{data | json | truncate(1900)}}\\n```",
      "timestamp": "{{timestamp}}",
      "footer": {"text": "{{id}}"}
    }
  ],
  "allowed_mentions": {"parse": []}
}"""

_TEAMS = """{
  "type": "message",
  "attachments": [
    {
      "contentType": "application/vnd.microsoft.card.adaptive",
      "content": {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
          {"type": "TextBlock", "text": "{{type}}", "weight": "Bolder", "size": "Medium", "wrap": true},
          {
            "type": "FactSet",
            "facts": [{"title": "Time", "value": "{{timestamp}}"}, {"title": "Event", "value": "{{id}}"}]
          },
          {
            "type": "RichTextBlock",
            "inlines": [{"type": "TextRun", "text": "{{data | json | truncate(4000)}}", "fontType": "Monospace"}]
          }
        ]
      }
    }
  ]
}"""

_PAGERDUTY = """{
  "routing_key": "REPLACE-WITH-YOUR-INTEGRATION-KEY",
  "event_action": "trigger",
  "dedup_key": "{{id | truncate(255)}}",
  "payload": {
    "summary": "{{type | truncate(1024)}}",
    "source": "patchbay",
    "severity": "warning",
    "timestamp": "{{timestamp}}",
    "custom_details": "{{data}}"
  }
}"""

NAMED: Mapping[str, NamedShape] = MappingProxyType(
    {
        "zapier": NamedShape(
            "One level of fields, for a Zap that starts with a webhook.",
            "https://docs.zapier.com/platform/build/response-types",
            Shape(Envelope.ZAPIER),
        ),
        "slack-incoming": NamedShape(
            "A message for a Slack incoming webhook.",
            "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
            Shape(template=_SLACK),
        ),
        "discord-incoming": NamedShape(
            "An embed for a Discord webhook.",
            "https://discord.com/developers/docs/resources/webhook#execute-webhook",
            Shape(template=_DISCORD),
        ),
        "teams": NamedShape(
            "An adaptive card for a Teams workflow that starts when a webhook request is received.",
            "https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using",
            Shape(template=_TEAMS),
        ),
        "pagerduty": NamedShape(
            "An alert for PagerDuty's Events API v2; put your integration key into it.",
            "https://developer.pagerduty.com/docs/events-api-v2/trigger-events/",
            Shape(template=_PAGERDUTY),
        ),
    }
)
