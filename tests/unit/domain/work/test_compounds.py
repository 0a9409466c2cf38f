"""Money, tags and references inside records."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.refusals import Invalid
from domain.work.compounds import Amount, Reference, Subject, Tags
from domain.work.shapes import Pointer
from tests.unit.domain.work.strategies import amounts, patiently


def faults(shape: Amount | Tags | Reference | Subject, sent: Any) -> list[str]:
    """The paths that are wrong."""
    with pytest.raises(Invalid) as refused:
        shape.read(sent, "value")
    return [fault.field for fault in refused.value.faults]


def test_an_amount_is_kept_in_minor_units_and_shown_with_both() -> None:
    """Machines add minor units, people read decimals."""
    kept = Amount().read({"amount": "12.50", "currency": "usd"}, "value")
    assert kept == {"amount": 1250, "currency": "USD"}
    assert Amount().show(kept) == {"amount": 1250, "currency": "USD", "decimal": "12.50"}


@patiently
@given(amounts(negative=True))
def test_an_amount_that_was_shown_can_be_sent_back(sent: dict[str, Any]) -> None:
    """Read, change another field, write: the usual client loop must not multiply money by a hundred."""
    shape = Amount(negative=True)
    kept = shape.read(sent, "value")
    assert shape.read(shape.show(kept), "value") == kept
    assert shape.read(shape.give(kept), "value") == kept


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        ({"amount": 1250, "currency": "USD"}, ["value.amount"]),
        ({"amount": 12.5, "currency": "USD"}, ["value.amount"]),
        ({"amount": True, "currency": "USD", "decimal": "1.00"}, ["value.amount"]),
        ({"amount": 1250, "currency": "USD", "decimal": "1250"}, ["value.decimal"]),
        ({"amount": "12.50", "currency": "USD", "decimal": "12.51"}, ["value.decimal"]),
        ({"amount": "12.505", "currency": "USD"}, ["value.amount"]),
        ({"amount": "1." + "0" * 19 + "1", "currency": "USD"}, ["value.amount"]),
        ({"amount": "1.5", "currency": "JPY"}, ["value.amount"]),
        ({"amount": "-1", "currency": "USD"}, ["value.amount"]),
        ({"amount": "1_000", "currency": "USD"}, ["value.amount"]),
        ({"amount": "1e3", "currency": "USD"}, ["value.amount"]),
        ({"amount": "１２", "currency": "USD"}, ["value.amount"]),
        ({"amount": "NaN", "currency": "USD"}, ["value.amount"]),
        ({"amount": "999999999999999", "currency": "USD"}, ["value.amount"]),
        ({"amount": "9" * 100_000, "currency": "USD"}, ["value.amount"]),
        ({"amount": "12.50", "currency": "XXX"}, ["value.currency"]),
        ({"amount": "12.50", "currency": 840}, ["value.currency"]),
        ({"amount": "12.50", "currency": "USD", "vat": "20"}, ["value.vat"]),
        ({"curency": "USD"}, ["value.curency", "value.currency", "value.amount"]),
        ("12.50 USD", ["value"]),
        (12.5, ["value"]),
    ],
)
def test_an_amount_that_could_be_misread_is_refused(sent: Any, wrong: list[str]) -> None:
    """Never rounded, never guessed: 1250 without a decimal beside it may be dollars or cents."""
    assert faults(Amount(), sent) == wrong


def test_only_where_it_is_meant_may_an_amount_be_below_zero() -> None:
    """A discount line is below zero; the value of a deal is not."""
    assert Amount(negative=True).read({"amount": "-1.00", "currency": "USD"}, "x") == {
        "amount": -100,
        "currency": "USD",
    }


def test_part_of_an_amount_can_be_patched() -> None:
    """RFC 7396 merges objects name by name; the currency stays, and must still fit."""
    kept = {"amount": 1250, "currency": "USD"}
    assert Amount().merge(kept, {"amount": "20.00"}, "value") == {"amount": 2000, "currency": "USD"}
    with pytest.raises(Invalid):
        Amount().merge(kept, {"currency": "JPY"}, "value")
    with pytest.raises(Invalid):
        Amount().merge(kept, {"currency": None}, "value")


def test_a_tag_is_kept_once_whatever_its_capitals() -> None:
    """In the order given: people put the important one first."""
    assert Tags().read([" VIP", "late payer", "vip", ""], "tags") == ["VIP", "late payer"]


def test_every_bad_tag_is_named() -> None:
    """By its place in the list."""
    assert faults(Tags(), ["ok", 7, "x" * 51]) == ["value.1", "value.2"]
    assert faults(Tags(), "vip") == ["value"]
    assert faults(Tags(), ["t"] * 51) == ["value"]


def test_a_reference_names_a_record_of_the_right_kind() -> None:
    """A project's id in the place of a client's is a mistake that can be seen without looking anything up."""
    assert Reference("client").read(" client_01ABC ", "x") == "client_01ABC"
    assert Reference("invoice").read("inv_01ABC", "x") == "inv_01ABC"
    assert list(Reference("client").pointers("client_1", "client_id")) == [Pointer("client_id", "client", "client_1")]
    for wrong in ("project_01ABC", "client_", "client_a b", "01ABC", 7):
        assert faults(Reference("client"), wrong) == ["value"]


def test_a_subject_names_the_kind_and_the_record() -> None:
    """The two must agree."""
    shape = Subject(("client", "invoice"))
    kept = shape.read({"kind": "invoice", "id": "inv_1"}, "subject")
    assert list(shape.pointers(kept, "subject")) == [Pointer("subject.id", "invoice", "inv_1")]
    assert faults(shape, {"kind": "invoice", "id": "client_1"}) == ["value.id"]
    assert faults(shape, {"kind": "user", "id": "usr_1"}) == ["value.kind"]
    assert faults(shape, {"kind": ["client"], "id": "client_1"}) == ["value.kind"]
    assert faults(shape, {"kind": "client", "id": "client_1", "name": "Acme"}) == ["value"]
    assert faults(shape, "client_1") == ["value"]


@patiently
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(st.text() | st.sampled_from(["amount", "currency", "decimal", "kind", "id"]), x)
        ),
    )
)
def test_no_json_value_crashes_a_shape(value: Any) -> None:
    """Whatever is sent, the answer is a value or a refusal."""
    for shape in (Amount(), Tags(), Reference("client"), Subject(("client",))):
        if value is not None:
            try:
                shape.read(value, "x")
            except Invalid:
                continue
