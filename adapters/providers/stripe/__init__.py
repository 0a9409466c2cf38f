"""Stripe: hosted pages, payments, refunds and webhooks, and a sandbox that stands in for it."""
