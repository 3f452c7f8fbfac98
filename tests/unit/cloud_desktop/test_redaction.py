from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_desktop.redaction import redact
from tests.unit.cloud_desktop.fakes import TOKEN, pem


@pytest.mark.parametrize("secret", [TOKEN, "eyJhbGciOiJQUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln", pem(), pem()[:200]])
def test_what_looks_like_a_credential_is_hidden(secret: str) -> None:
    assert redact(f"before {secret}") == "before [hidden]" + ("\n" if secret.endswith("-----\n") else "")


def test_an_empty_secret_hides_nothing() -> None:
    assert redact("some text", ["", "text"]) == "some [hidden]"


@given(st.text(st.characters(categories=["L", "N"]), min_size=8), st.text(), st.text())
def test_a_known_secret_is_never_left(secret: str, before: str, after: str) -> None:
    assert secret in "[hidden]" or secret not in redact(before + secret + after, [secret]).replace("[hidden]", " ")
