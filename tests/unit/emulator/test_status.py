from __future__ import annotations

from local.emulator.status import Code


def test_codes_and_their_http_statuses_are_those_of_the_error_page() -> None:
    assert [(int(code), code.http_status) for code in Code] == [
        (1, 499),
        (2, 500),
        (3, 400),
        (4, 504),
        (5, 404),
        (6, 409),
        (7, 403),
        (8, 429),
        (9, 400),
        (10, 409),
        (11, 400),
        (12, 501),
        (13, 500),
        (14, 503),
        (15, 500),
        (16, 401),
    ]
