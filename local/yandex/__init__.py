"""A small Yandex Cloud Functions on this machine: the packed functions, and stand-ins for what deploy/yandex makes.

    with YandexHost(code=unpacked, policy=policy, environment=origins, token=issue) as host:
        host.store_object("trail/2026/08/file.json", shapes.trail_file([record]))
        host.fire_timer(CLEANUP).result(timeout=30)

What is like Yandex Cloud: nothing but the unpacked archive and the standard library can be imported; the context with
its token, the names that the runtime reserves, the time limit and one call at a time; the events of every trigger; a
queue trigger that knows whole batches only, visibility and redrive; retries and the dead-letter queue of the other
triggers; calls at a function's own address and behind both formats of the API gateway. What is not: nobody checks
permissions, memory is not limited, `?integration=raw` is not served over HTTP, and timers fire by hand.
"""

from __future__ import annotations

from local.yandex.host import CLEANUP, COPY, POLL, YandexHost, function_id

__all__ = ["CLEANUP", "COPY", "POLL", "YandexHost", "function_id"]
