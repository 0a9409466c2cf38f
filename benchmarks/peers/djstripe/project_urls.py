"""dj-stripe's webhook view, where its documentation puts it."""

from django.urls import include, path

urlpatterns = [path("stripe/", include("djstripe.urls", namespace="djstripe"))]
