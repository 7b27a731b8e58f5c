"""For tests of one's own: changes of the environment as Hypothesis strategies, in plain pytest.

    from hypothesis import given
    from modelchecks.testing import Change, changed, changes

    @given(changes(Change(rotation=10, noise=0.02)))
    def test_small_changes_keep_the_answer(change):
        assert (predict(changed(IMAGES, change)) == predict(IMAGES)).mean() > 0.98

A failing test shows the smallest change that breaks it. `changed` takes images (n, height, width,
channels), grey or RGB, and gives them back in their type.
"""

from __future__ import annotations

from modelchecks.change import COMMON, Change
from modelchecks.probes.environment import changed
from modelchecks.probes.strategies import changes

__all__ = ["COMMON", "Change", "changed", "changes"]
