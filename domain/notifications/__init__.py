"""Telling: neutral messages, webhook endpoints, deliveries and their attempts, the retry schedule, signatures."""
