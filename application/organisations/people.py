"""People: the first owner, signing in and out, a new password."""

import attrs

from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.passwords import Passwords
from application.ports.store import Store
from domain.organisations import SESSION_LIFE, Organisation, Role, Session, Unauthenticated, User
from domain.refusals import Invalid, NotFound

SHORTEST_PASSWORD = 12


@attrs.frozen
class Founded:
    """A new organisation, its owner, and the password made for them, shown this once."""

    organisation: Organisation
    owner: User
    password: str


@attrs.define
class FoundOrganisation:
    """Make an organisation and its owner."""

    _store: Store
    _clock: Clock
    _ids: Ids
    _passwords: Passwords

    async def __call__(self, *, name: str, email: str, password: str | None = None) -> Founded:
        """Without `password` one is made. Raises Invalid, or AlreadyThere when someone signs in with this address."""
        email = email.strip().lower()
        if "@" not in email or len(email) > 320:
            raise Invalid.field("email", f"'{email[:80]}' is not a mail address.")
        if not name.strip() or len(name) > 200:
            raise Invalid.field("name", "A name has 1 to 200 characters.")
        password = checked_password(password) if password is not None else self._ids.token(12)
        now = self._clock.now()
        organisation = Organisation(self._ids.new("organisation"), name.strip(), now, notices_to=email)
        hashed = await self._passwords.hash(password)
        owner = User(self._ids.new("user"), organisation.id, email, hashed, Role.OWNER, now)
        await self._store.found(organisation, owner)
        return Founded(organisation, owner, password)


@attrs.frozen
class SignedIn:
    """A new session and the token for the browser's cookie."""

    session: Session
    token: str


@attrs.define
class SignIn:
    """Check an address and a password; begin a session."""

    _store: Store
    _clock: Clock
    _ids: Ids
    _passwords: Passwords
    decoy: str | None = attrs.field(default=None, init=False, repr=False)
    """What is compared when nobody has the address: a hash that costs what a real one does."""

    async def __call__(self, email: str, password: str) -> SignedIn:
        """Raises Unauthenticated, with the same text and after the same time for a wrong address and a wrong password."""
        user = await self._store.user_by_email(email)
        if self.decoy is None:  # whoever it is, so that the first call does not tell either
            self.decoy = await self._passwords.hash("nobody's password")
        right = await self._passwords.matches(password, user.password_hash if user else self.decoy)
        if user is None or not right:
            raise Unauthenticated("The mail address or the password is wrong.")
        now = self._clock.now()
        token = self._ids.token(32)
        session = Session(
            Session.id_of(token), user.organisation_id, user.id, self._ids.token(24), now, now + SESSION_LIFE
        )
        await self._store.add_session(session)
        return SignedIn(session, token)


@attrs.frozen
class Visitor:
    """Who is signed in."""

    session: Session
    user: User
    organisation: Organisation


@attrs.define
class RecogniseSession:
    """Whose browser is this?"""

    _store: Store
    _clock: Clock

    async def __call__(self, token: str) -> Visitor:
        """Raises Unauthenticated."""
        session = await self._store.find_session(Session.id_of(token))
        if session is None or not session.live(self._clock.now()):
            raise Unauthenticated("Please sign in.")
        async with self._store.reading(session.organisation_id) as work:
            user = await work.users.get(session.user_id)
            organisation = await work.organisation.get(session.organisation_id)
        return Visitor(session, user, organisation)


@attrs.define
class ChangePassword:
    """Give a person a new password (from the command line). Who is signed in with the old one no longer is."""

    _store: Store
    _ids: Ids
    _passwords: Passwords

    async def __call__(self, email: str, password: str | None = None) -> str:
        """Returns the password. Raises NotFound, or Invalid for one of fewer than 12 characters."""
        user = await self._store.user_by_email(email)
        if user is None:
            raise NotFound("user", email)
        password = checked_password(password) if password is not None else self._ids.token(12)
        hashed = await self._passwords.hash(password)
        async with self._store.of(user.organisation_id) as work:
            await work.users.save(attrs.evolve(await work.users.get(user.id), password_hash=hashed))
            await work.commit()
        await self._store.remove_sessions_of(user.id)  # after: with the old password nobody can begin another
        return password


def checked_password(password: str) -> str:
    """The password, if it is long enough. Raises Invalid."""
    if not SHORTEST_PASSWORD <= len(password) <= 200:
        raise Invalid.field("password", f"A password has from {SHORTEST_PASSWORD} to 200 characters.")
    return password
