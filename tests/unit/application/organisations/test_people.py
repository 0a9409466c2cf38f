"""People: who may sign in, and for how long."""

from typing import final

import pytest

from application.organisations.people import ChangePassword, Founded, FoundOrganisation, RecogniseSession, SignIn
from application.ports.passwords import Passwords
from application.ports.store import AlreadyThere
from domain.organisations import Unauthenticated
from domain.refusals import Invalid, NotFound
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds
from tests.fakes.passwords import QuickPasswords
from tests.fakes.store import MemoryStore


@final
class CountedPasswords(Passwords):
    """Remembers which hashes were compared."""

    def __init__(self) -> None:
        self._quick = QuickPasswords()
        self.hashed = 0
        self.compared: list[str] = []

    async def hash(self, password: str) -> str:
        self.hashed += 1
        return await self._quick.hash(password)

    async def matches(self, password: str, hash: str) -> bool:
        self.compared.append(hash)
        return await self._quick.matches(password, hash)


class People:
    """The use cases over the fakes."""

    def __init__(self) -> None:
        clock, ids = FrozenClock(), CountingIds()
        self.passwords = CountedPasswords()
        self.store = MemoryStore(clock)
        self.found = FoundOrganisation(self.store, clock, ids, self.passwords)
        self.sign_in = SignIn(self.store, clock, ids, self.passwords)
        self.recognise = RecogniseSession(self.store, clock)
        self.change = ChangePassword(self.store, ids, self.passwords)

    async def founded(self, email: str) -> Founded:
        """An organisation of its own for a person."""
        return await self.found(name="Acme", email=email)


@pytest.fixture
def people() -> People:
    """Nobody yet."""
    return People()


async def test_a_new_password_ends_the_sessions_of_the_old_one(people: People) -> None:
    """It is changed because somebody else may know it; other people stay signed in."""
    ada, bob = await people.founded("ada@acme.example"), await people.founded("bob@acme.example")
    mine = [(await people.sign_in("ada@acme.example", ada.password)).token for _ in range(2)]
    theirs = (await people.sign_in("bob@acme.example", bob.password)).token
    new = await people.change("ada@acme.example")
    for token in mine:
        with pytest.raises(Unauthenticated):
            await people.recognise(token)
    assert (await people.recognise(theirs)).user == bob.owner
    with pytest.raises(Unauthenticated):
        await people.sign_in("ada@acme.example", ada.password)
    again = await people.sign_in("ada@acme.example", new)
    assert (await people.recognise(again.token)).user.email == "ada@acme.example"


async def test_a_password_that_is_not_changed_ends_nothing(people: People) -> None:
    """One that is too short, or nobody's."""
    ada = await people.founded("ada@acme.example")
    token = (await people.sign_in("ada@acme.example", ada.password)).token
    with pytest.raises(Invalid):
        await people.change("ada@acme.example", "short")
    with pytest.raises(NotFound):
        await people.change("bob@acme.example")
    assert (await people.recognise(token)).user == ada.owner


async def test_an_unknown_address_costs_what_a_known_one_does(people: People) -> None:
    """One comparison either way, with a hash of the same making; it is made once, whoever comes first."""
    ada = await people.founded("ada@acme.example")
    made = people.passwords.hashed
    for email, password in (("ada@acme.example", "wrong"), ("bob@acme.example", "wrong"), ("bob@acme.example", "x")):
        with pytest.raises(Unauthenticated, match="The mail address or the password is wrong"):
            await people.sign_in(email, password)
    assert people.passwords.hashed == made + 1
    known, *unknown = people.passwords.compared
    assert known == ada.owner.password_hash
    assert len(set(unknown)) == 1
    assert unknown[0].startswith("quick$")


async def test_the_decoys_password_opens_nothing(people: People) -> None:
    """It stands in the source."""
    with pytest.raises(Unauthenticated):
        await people.sign_in("bob@acme.example", "nobody's password")


async def test_an_address_signs_in_to_one_organisation(people: People) -> None:
    """Whatever its case."""
    ada = await people.founded("ada@acme.example")
    with pytest.raises(AlreadyThere):
        await people.founded(" Ada@Acme.example ")
    assert ada.owner == await people.store.user_by_email("ADA@acme.example")
