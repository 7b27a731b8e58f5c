"""modelchecks.testing: strategies for metamorphic tests of one's own, in plain pytest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from modelchecks.testing import COMMON, Change, changed, changes

SMALL = Change(rotation=10, right=0.1, noise=0.02)
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)

TEST = """
import numpy as np
from hypothesis import given, settings
from modelchecks.testing import Change, changed, changes

IMAGES = np.zeros((4, 16, 16, 1), np.uint8)
IMAGES[:, :, :8] = 200

def predict(images):
    return images[:, 8, 7, 0] > 100

@settings(database=None, derandomize=True)
@given(changes(Change(right=0.2, exposure=0.2)))
def test_small_changes_keep_the_answer(change):
    assert (predict(changed(IMAGES, change)) == predict(IMAGES)).all()
"""


@settings(max_examples=50, deadline=None)
@given(changes(SMALL))
def test_changes_lie_within_and_what_is_not_named_stays(change: Change) -> None:
    assert change.share_of(SMALL) <= 1 + 1e-9
    assert {name for name, amount in change.amounts().items() if amount} <= {
        "rotation",
        "right",
        "noise",
    }
    seen = changed(IMAGES, change)
    assert seen.shape == IMAGES.shape
    assert seen.dtype == IMAGES.dtype


def test_common_is_a_change_of_most_kinds() -> None:
    assert sum(amount != 0 for amount in COMMON.amounts().values()) >= 8


def test_a_failing_test_of_ones_own_shows_the_smallest_change(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(TEST)
    done = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["change = Change(rotation=0.0, right=-0.0[345],*exposure=0.0,*"])
