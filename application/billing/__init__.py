"""Invoices, payment links, payments and refunds."""
