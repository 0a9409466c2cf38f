"""What a mail may hold, each number once: the protocol's limits, and what mail programs show."""

SUBJECT = 200
"""Characters of the subject. RFC 5322 (2.1.1) would take 998 in a line; programs show some 70."""

HTML_BYTES = 90_000
"""Bytes of the texts in the page, escaped. Gmail cuts a page after about 102 KB; the page around the texts has 6 KB."""

TEXT_BYTES = 50_000
"""Bytes of the message's own text of it, so that facts have room."""

FACTS = 100
FACT_LABEL = 100
FACT_BYTES = 2_000
ACTION_LABEL = 80
URL = 2_000
SOURCE = 200

RECIPIENTS = 100
"""Recipients of a mail: every server must take as many (RFC 5321, 4.5.3.1.8)."""

ADDRESS = 254
"""Characters of an address (RFC 5321, 4.5.3.1.3, less the angle brackets; RFC erratum 1690)."""

LOCAL_PART = 64
"""Characters before the @ (RFC 5321, 4.5.3.1.1)."""
