"""Flutterwave: hosted pages, mobile money, charges by token, refunds, transfers, and a sandbox that stands in for it."""
