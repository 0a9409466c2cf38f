"""Histories of money that hypothesis invents and shortens: who does what, when the wire fails, and when the hub dies."""

import os
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from application.billing.resolve import Resolution
from tests.simulation.money.shops import NotNow
from tests.simulation.money.wire import TROUBLES
from tests.simulation.money.world import World

HISTORIES = int(os.environ.get("MONEY_HISTORIES", "0"))
"""How many are played for each provider; without it, as many as a run of all tests has time for."""
SEED = int(os.environ.get("MONEY_SEED", "20260301"))

WHICH = st.integers(0, 7)
"""One of what there is, counted round."""
CODE, MAJOR = st.integers(0, 3), st.integers(1, 300)
"""Which of the provider's currencies, and how many whole units of it."""
HOW = st.sampled_from(("exact", "exact", "exact", "over", "under", "other", "not"))
"""What a payer sends, compared with what the page asks for."""
TWICE = st.sampled_from(((60, 60), (20, 100), (20, 20)))
"""Two refunds at once, in hundredths of what was paid."""
DIES = st.none() | st.none() | st.none() | st.integers(0, 60)
"""After how many touches of the world the process dies; mostly it does not."""


class MoneyMachine(RuleBasedStateMachine):
    """One history. A subclass names its provider, and perhaps makes a database."""

    slug: str = ""
    world: World

    def database(self) -> Path | None:
        """Where it keeps its records; None for in memory."""
        return None

    @initialize(
        chance=st.integers(0, 999), bought=st.lists(st.tuples(CODE, MAJOR, HOW, st.booleans()), min_size=1, max_size=3)
    )
    def begin(self, chance: int, bought: list[tuple[int, int, str, bool]]) -> None:
        """A hub, and payers who have paid on a page; what the hub knows of it may be yet to come."""
        self.world = World(self.slug, chance, self.database())
        for code, major, how, returns in bought:
            self.buy(code, major, how, returns, None)

    # People.

    @rule(code=CODE, major=MAJOR, how=HOW, returns=st.booleans(), dies=DIES)
    def buy(self, code: int, major: int, how: str, returns: bool, dies: int | None) -> None:
        """An invoice is opened, its link followed, and its page paid on; perhaps the payer returns."""
        codes = self.world.shop.currencies
        self.world.do(self.world.invoice(major, codes[code % len(codes)]))
        self.world.do(self.world.follow(-1), dies_after=dies)
        self.world.do(self.world.pay(-1, how))
        if returns:
            self.world.do(self.world.back(-1), dies_after=dies)

    @rule(which=WHICH, dies=DIES)
    def follow(self, which: int, dies: int | None) -> None:
        """A link is followed."""
        self.world.do(self.world.follow(which), dies_after=dies)

    @rule(which=WHICH, how=HOW)
    def pay(self, which: int, how: str) -> None:
        """A page is paid on."""
        self.world.do(self.world.pay(which, how))

    @rule(which=WHICH)
    def decline(self, which: int) -> None:
        """A card is declined."""
        self.world.do(self.world.decline(which))

    @rule(which=WHICH, dies=DIES)
    def back(self, which: int, dies: int | None) -> None:
        """A payer is back."""
        self.world.do(self.world.back(which), dies_after=dies)

    @rule(which=WHICH, part=st.sampled_from((20, 60, 100)), dies=DIES)
    def refund(self, which: int, part: int, dies: int | None) -> None:
        """A refund."""
        self.world.do(self.world.refund(which, (part,)), dies_after=dies)

    @rule(which=WHICH, parts=TWICE, dies=DIES)
    def refund_twice(self, which: int, parts: tuple[int, int], dies: int | None) -> None:
        """Two at once."""
        self.world.do(self.world.refund(which, parts), dies_after=dies)

    @rule(which=WHICH, how=st.sampled_from(Resolution), dies=DIES)
    def resolve(self, which: int, how: Resolution, dies: int | None) -> None:
        """A conflict is settled."""
        self.world.do(self.world.resolve(which, how), dies_after=dies)

    @rule(which=WHICH, how=st.sampled_from(("void", "write off")), dies=DIES)
    def give_up(self, which: int, how: str, dies: int | None) -> None:
        """An invoice is given up."""
        self.world.do(self.world.give_up(which, how), dies_after=dies)

    @rule(which=WHICH, dies=DIES)
    def charge(self, which: int, dies: int | None) -> None:
        """A client is charged while they are away."""
        self.world.do(self.world.charge(which), dies_after=dies)

    # Banks, webhooks, the wire and time.

    @rule(code=CODE, parts=TWICE, dies=DIES)
    def buy_and_refund_twice(self, code: int, parts: tuple[int, int], dies: int | None) -> None:
        """A payer regrets at once, and two people see to it."""
        self.buy(code, 100, "exact", returns=True, dies=None)
        self.world.do(self.world.refund(-1, parts), dies_after=dies)

    @rule(which=WHICH)
    def fail_refund(self, which: int) -> None:
        """A refund comes back."""
        self._there(lambda: self.world.shop.fail_refund(which))

    @rule(which=WHICH)
    def dispute(self, which: int) -> None:
        """A payer's bank takes money back."""
        self._there(lambda: self.world.shop.dispute(which))

    @rule(which=WHICH, copies=st.sampled_from((1, 1, 5)), back=st.none() | WHICH, dies=DIES)
    def deliver(self, which: int, copies: int, back: int | None, dies: int | None) -> None:
        """A webhook comes that has not come yet."""
        self.world.do(self.world.deliver(which, copies, back=back), dies_after=dies)

    @rule(which=WHICH, dies=DIES)
    def deliver_again(self, which: int, dies: int | None) -> None:
        """A webhook comes that may have come before."""
        self.world.do(self.world.deliver(which, 1, again=True), dies_after=dies)

    @rule(which=WHICH)
    def lose(self, which: int) -> None:
        """A webhook is lost."""
        self.world.lose(which)

    @rule(dies=DIES)
    def work_off(self, dies: int | None) -> None:
        """What came is handled."""
        self.world.do(self.world.work_off(), dies_after=dies)

    @rule(dies=DIES)
    def jobs(self, dies: int | None) -> None:
        """The scheduler's round."""
        self.world.do(self.world.jobs(), dies_after=dies)

    @rule(kind=st.sampled_from(TROUBLES), after=st.integers(0, 5))
    def trouble(self, kind: str, after: int) -> None:
        """One of the next calls to the provider goes wrong."""
        self.world.wire.trouble(kind, after)

    @rule(minutes=st.sampled_from((1, 6, 65, 300, 1441)))
    def wait(self, minutes: int) -> None:
        """Time passes."""
        self.world.wait(minutes)

    # What must be true.

    @invariant()
    def the_money_agrees(self) -> None:
        """After every step."""
        self.world.check()

    def teardown(self) -> None:
        """In the end: everything that was charged is known, everything that is known was charged."""
        world: World | None = getattr(self, "world", None)
        if world is None:
            return
        try:
            world.rest()
            world.make_up()
            world.check_end()
            world.check_reconciled()
        finally:
            world.close()

    def _there(self, act: Any) -> None:
        try:
            act()
        except NotNow:
            return


def play(kind: type[MoneyMachine], *, histories: int, steps: int) -> None:
    """Play histories. Always the same ones, unless MONEY_HISTORIES asks for so many others: those are twice as long, and
    MONEY_SEED says which. A failure is shortened, and printed as the steps that lead to it."""
    asked = settings(
        max_examples=HISTORIES or histories,
        stateful_step_count=steps * 2 if HISTORIES else steps,
        derandomize=not HISTORIES,
        database=None,
        deadline=None,
        print_blob=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    if HISTORIES:
        kind = seed(SEED)(kind)
    try:
        run_state_machine_as_test(kind, settings=asked)
    except BaseException as failure:
        how = f"MONEY_HISTORIES={HISTORIES} MONEY_SEED={SEED} " if HISTORIES else ""
        failure.add_note(f"again: {how}pytest tests/simulation/money -k {kind.slug}")
        raise
