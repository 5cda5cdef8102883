"""A network that does not fit is not mistaken for one with wrong options."""

import pytest

from ticketsmith.engine.models import vision


def test_running_out_of_memory_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    class Zoo:
        def get_model(self, name: str, **options: object) -> object:
            raise RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            )

    monkeypatch.setattr(vision, "_zoo", Zoo)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        vision._make("vgg11", 10, {})
