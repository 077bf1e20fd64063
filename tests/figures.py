from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def without_figures() -> Iterator[None]:
    """Trials draw no figures: drawing takes longer than a short trial."""
    from benchmarks.reporting.figures import files

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "write", lambda out, records: [])
        yield
