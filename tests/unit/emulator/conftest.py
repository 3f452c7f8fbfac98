from __future__ import annotations

import pytest

from tests.unit.emulator.emulated_cloud import EmulatedCloud


@pytest.fixture
def cloud() -> EmulatedCloud:
    return EmulatedCloud()
