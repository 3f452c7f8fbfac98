from __future__ import annotations

from datetime import timedelta

import pytest

from cloud_desktop.errors import CredentialsError
from cloud_desktop.tokens import CachedToken, IamToken, StaticToken, is_sendable, utc_now
from tests.unit.cloud_desktop.fakes import FakeTime


class Issuer:
    """Issues numbered tokens of a given life in seconds, or fails while it is broken."""

    def __init__(self, time: FakeTime, life: float | None) -> None:
        self.time = time
        self.life = life
        self.asked = 0
        self.broken = False

    def token(self) -> IamToken:
        self.asked += 1
        if self.broken:
            raise CredentialsError("broken")
        end = None if self.life is None else self.time.now + timedelta(seconds=self.life)
        return IamToken(f"token-{self.asked}", end)


@pytest.mark.parametrize(("life", "kept"), [(43_200, 3600), (3700, 3400), (1000, 800), (60, 48), (0, 0), (-10, 0)])
def test_a_token_is_kept_until_shortly_before_its_end_and_an_hour_at_most(life: float, kept: float) -> None:
    time = FakeTime()
    issuer = Issuer(time, life)
    tokens = CachedToken(issuer, clock=time.clock)
    tokens.token()
    if kept:
        time.advance(kept - 1)
        assert tokens.token().value == "token-1"
    time.advance(1)
    assert tokens.token().value == "token-2"


def test_a_token_without_an_end_is_kept() -> None:
    time = FakeTime()
    issuer = Issuer(time, None)
    tokens = CachedToken(issuer, clock=time.clock)
    first = tokens.token()
    time.advance(10**7)
    assert tokens.token() is first


def test_the_old_token_serves_while_a_new_one_cannot_be_had() -> None:
    time = FakeTime()
    issuer = Issuer(time, 7200)
    tokens = CachedToken(issuer, clock=time.clock)
    tokens.token()
    issuer.broken = True
    time.advance(3600)
    assert tokens.token().value == "token-1"
    assert tokens.token().value == "token-1"
    assert issuer.asked == 2
    time.advance(60)
    assert tokens.token().value == "token-1"
    assert issuer.asked == 3
    time.advance(3600)
    with pytest.raises(CredentialsError):
        tokens.token()
    issuer.broken = False
    assert tokens.token().value == "token-5"


def test_a_refused_token_is_not_given_again() -> None:
    time = FakeTime()
    issuer = Issuer(time, 7200)
    tokens = CachedToken(issuer, clock=time.clock)
    first = tokens.token()
    assert tokens.invalidate(first)
    issuer.broken = True
    with pytest.raises(CredentialsError):
        tokens.token()
    issuer.broken = False
    second = tokens.token()
    assert tokens.invalidate(first)
    assert tokens.token() is second


def test_a_token_given_as_it_is_has_no_successor() -> None:
    tokens = CachedToken(StaticToken("t1.x"))
    assert not tokens.invalidate(tokens.token())
    assert tokens.token().value == "t1.x"


def test_no_text_form_shows_a_token() -> None:
    for value in (StaticToken("hunter2"), IamToken("hunter2", utc_now()), CachedToken(StaticToken("hunter2"))):
        assert "hunter2" not in f"{value!r}{value}"


@pytest.mark.parametrize(
    ("value", "sendable"),
    [("t1.x", True), ("", False), ("a b", False), ("a\n", False), ("é", False), (None, False), (5, False)],
)
def test_only_visible_ascii_goes_into_a_header(value: object, sendable: bool) -> None:
    assert is_sendable(value) is sendable
