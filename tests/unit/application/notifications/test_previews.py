"""A preview is what would be sent, byte for byte, and leaves nothing behind."""

from typing import Any

import pytest

from application.notifications.previews import SAMPLE_SECRET, Previewed, PreviewEndpoint, Sample
from domain.notifications.endpoints import Endpoint
from domain.notifications.envelopes import Envelope
from domain.notifications.signatures import SignatureStyle
from domain.notifications.signing import verify
from domain.refusals import Invalid, NotFound
from tests.fakes.outgoing import FakeOutgoing
from tests.unit.application.bench import PUBLIC, Bench


async def shown(bench: Bench, sample: Sample = Sample(), *, id: str | None = None, **given: Any) -> Previewed:  # noqa: B008
    """The preview."""
    preview = PreviewEndpoint(bench.store, bench.carry, bench.clock, bench.ids, bench.vault, PUBLIC)
    return await preview(bench.caller, sample, id=id, **given)


async def test_a_preview_of_an_endpoint_is_what_it_is_sent(bench: Bench) -> None:
    """The same event, the same secret, the same moment: the same request."""
    endpoint = await bench.endpoint()
    (event,) = await bench.tell_all()
    previewed = await shown(bench, Sample(event_id=event.payload.id), id=endpoint.id)
    await bench.deliver()
    assert isinstance(bench.outgoing, FakeOutgoing)
    (sent,) = bench.outgoing.requests
    assert (previewed.preview.body.encode(), previewed.headers) == (sent.body, sent.headers)
    assert not previewed.sample_secret


async def test_an_endpoint_that_is_not_saved_is_signed_with_a_known_secret(bench: Bench) -> None:
    """A receiver's code can be tried out with it."""
    previewed = await shown(bench, Sample("order.placed", {"amount": 3}))
    body = previewed.preview.body.encode()
    assert verify([SAMPLE_SECRET], previewed.headers, body, bench.clock.now()) == previewed.event_id
    assert previewed.sample_secret
    public = await shown(bench, signature=SignatureStyle.ASYMMETRIC)
    assert public.headers["webhook-signature"].startswith("v1a,")
    assert not public.sample_secret


async def test_what_is_given_comes_before_what_is_saved(bench: Bench) -> None:
    """So a change is seen before it is made; nothing is kept of it."""
    endpoint = await bench.endpoint()
    before = await everything(bench)
    previewed = await shown(
        bench, Sample("order.placed", {"amount": 3}), id=endpoint.id, filter="data.amount > 5", envelope=Envelope.DATA
    )
    assert (previewed.preview.body, previewed.preview.accepted) == ('{"amount":3}', False)
    assert previewed.preview.why[0].values == (("data.amount", "3"),)
    assert await everything(bench) == before


async def test_paths_that_lead_nowhere_are_told(bench: Bench) -> None:
    """A typing mistake is seen before the first event."""
    previewed = await shown(bench, Sample("a.b", {}), template='{"x": "{{data.nmae}}"}')
    assert previewed.preview.missing == ("data.nmae",)


async def test_the_sample_is_the_catalogue_s(bench: Bench) -> None:
    """Of the type that is asked for, or of one that the endpoint wants."""
    assert '"invoice"' in (await shown(bench, Sample(event_type="invoice.paid"))).preview.body
    endpoint = await bench.endpoint("acme.example", "payment.*")
    assert (await shown(bench, id=endpoint.id)).event_type.startswith("payment.")


@pytest.mark.parametrize(
    ("sample", "given", "field"),
    [
        (Sample("Not a type", {}), {}, "event.type"),
        (Sample(event_type="nope"), {}, "event_type"),
        (Sample("a.b", {}, event_type="a.b"), {}, "event"),
        (Sample("a.b", {"x": "y" * 300_000}), {}, "event.data"),
        (Sample(), {"template": "{{"}, "template"),
        (Sample(), {"filter": "("}, "filter"),
        (Sample(), {"template_name": "nope"}, "template_name"),
        (Sample("a.b", {"x": "y" * 200_000}), {"template": "{{data}}{{data}}"}, "template"),
    ],
)
async def test_each_mistake_is_named(bench: Bench, sample: Sample, given: dict[str, Any], field: str) -> None:
    """As the caller named it; what is too large is never built."""
    with pytest.raises(Invalid) as refused:
        await shown(bench, sample, **given)
    assert [fault.field for fault in refused.value.faults] == [field]


async def test_what_is_somebody_else_s_is_not_there(bench: Bench) -> None:
    """Neither an event nor an endpoint."""
    for sample, id_ in ((Sample(event_id="evt_nobody"), None), (Sample(), "wh_nobody")):
        with pytest.raises(NotFound):
            await shown(bench, sample, id=id_)


async def everything(bench: Bench) -> tuple[tuple[Endpoint, ...], int]:
    """What is kept."""
    async with bench.look() as work:
        return await work.endpoints.all(), len(await work.events.all())
