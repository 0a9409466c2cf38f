"""Make the tables, and the endpoint whose secret the benchmark signs with. Prints the endpoint's path."""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.urls import reverse  # noqa: E402
from djstripe.models import Account, APIKey, WebhookEndpoint  # noqa: E402

call_command("migrate", verbosity=0, interactive=False)
account = Account.objects.create(id="acct_bench", livemode=False, stripe_data={})
APIKey.objects.create(
    id="key_bench",
    livemode=False,
    type="secret",
    secret="sk_test_benchbenchbenchbenchbench",
    djstripe_owner_account=account,
)
endpoint = WebhookEndpoint.objects.create(
    id="we_bench",
    livemode=False,
    djstripe_owner_account=account,
    secret=sys.argv[1],
    url="http://127.0.0.1/",
    enabled_events=["*"],
    status="enabled",
    stripe_data={},
)
print(reverse("djstripe:djstripe_webhook_by_uuid", args=[endpoint.djstripe_uuid]))
