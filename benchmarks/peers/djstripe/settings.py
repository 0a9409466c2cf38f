"""A Django project with dj-stripe as its documentation sets it up, on PostgreSQL."""

import os

SECRET_KEY = "bench"
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "djstripe"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "project_urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "djstripe",
        "USER": "postgres",
        "HOST": os.environ["BENCH_PG"],
        "CONN_MAX_AGE": 600,
    }
}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING_CONFIG = None
STRIPE_TEST_SECRET_KEY = "sk_test_benchbenchbenchbenchbench"
STRIPE_LIVE_MODE = False
STRIPE_API_HOST = os.environ["BENCH_STRIPE"]
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
