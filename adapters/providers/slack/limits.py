"""What Slack takes in one message, each number once.

Sources: docs.slack.dev, reference/block-kit (blocks, elements, objects) and messaging/incoming-webhooks; the sum over
all blocks is not documented and was found by users (github.com/slackapi/bolt-js#2509: about 13,200 characters).
Slack does not say what a character is; we count UTF-16 units, which is never less than it can mean.
"""

BLOCKS = 50
"""Blocks in a message (reference/block-kit/blocks)."""

HEADER_TEXT = 150
"""Characters of a header block's plain text (reference/block-kit/blocks/header-block)."""

SECTION_TEXT = 3000
"""Characters of a section's text after escaping (reference/block-kit/blocks/section-block)."""

SECTION_FIELDS = 10
"""Fields of one section (the same page)."""

FIELD_TEXT = 2000
"""Characters of one field after escaping (the same page)."""

CONTEXT_ELEMENTS = 10
"""Elements of a context block (reference/block-kit/blocks/context-block)."""

CONTEXT_TEXT = 3000
"""Characters of a text object, as which a context element is one (reference/block-kit/composition-objects/text)."""

ACTIONS = 25
"""Elements of an actions block (reference/block-kit/blocks/actions-block)."""

BUTTON_TEXT = 75
"""Characters of a button's text (reference/block-kit/block-elements/button-element)."""

BUTTON_URL = 3000
"""Characters of a button's link (the same page)."""

ALL_BLOCKS_TEXT = 13_000
"""Characters of all texts of all blocks: a little under what was seen to be refused as msg_blocks_too_long."""

TEXT = 4000
"""Characters of the top-level text, the advised most (reference/methods/chat.postMessage); 40,000 are cut by Slack."""

MESSAGES_PER_SECOND = 1
"""How many messages a webhook takes, with short bursts allowed (apis/web-api/rate-limits)."""
