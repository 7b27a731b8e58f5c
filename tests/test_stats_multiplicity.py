"""Holm, and Benjamini and Hochberg: against statsmodels, and what must hold of any such rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from modelchecks.stats import benjamini_hochberg, holm

# The same examples in every run, at whatever speed: scipy and statsmodels load late.
FIXED = settings(derandomize=True, deadline=None)
# Round numbers make ties and equality with alpha / k likely; floats do not.
PS = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0, 0.01, 0.0125, 0.025, 0.05, 1])))
ALPHAS = st.sampled_from([0.01, 0.05, 0.1, 0.5])


@settings(FIXED, max_examples=40)  # statsmodels takes 50 ms for one list
@given(PS.filter(bool), ALPHAS)
def test_equals_statsmodels(p: list[float], alpha: float) -> None:
    expected = multipletests(p, alpha=alpha, method="holm")[0]
    assert holm(p, alpha).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("p", "rejected"),
    [
        # Holm's steps at .05 over four: .0125, .0167, .025, .05.
        ([0.0125, 0.016, 0.025, 0.05], [True, True, True, True]),
        ([0.013, 0.013, 0.013, 0.013], [False, False, False, False]),
        # The second stops the procedure, though the third is under its own step.
        ([0.01, 0.02, 0.021, 0.03], [True, False, False, False]),
        ([0.05], [True]),
        ([], []),
    ],
)
def test_steps_by_hand(p: list[float], rejected: list[bool]) -> None:
    assert holm(p).tolist() == rejected


@FIXED
@given(PS, ALPHAS, st.randoms(use_true_random=False))
def test_the_order_of_the_questions_does_not_matter(
    p: list[float], alpha: float, random: object
) -> None:
    order = list(range(len(p)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert holm([p[i] for i in order], alpha).tolist() == holm(p, alpha)[order].tolist()


@FIXED
@given(PS.filter(bool), ALPHAS, st.data())
def test_stronger_evidence_for_one_never_acquits_any(
    p: list[float], alpha: float, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(p) - 1))
    stronger = [*p]
    stronger[at] = data.draw(st.floats(0, p[at]))
    assert (holm(stronger, alpha) >= holm(p, alpha)).all()


@FIXED
@given(PS, ALPHAS, ALPHAS)
def test_a_larger_alpha_rejects_no_fewer(p: list[float], one: float, other: float) -> None:
    assert (holm(p, min(one, other)) <= holm(p, max(one, other))).all()


@FIXED
@given(PS.filter(bool), ALPHAS)
def test_lies_between_bonferroni_and_no_correction(p: list[float], alpha: float) -> None:
    rejected, values = holm(p, alpha), np.array(p)
    assert (rejected >= (values <= alpha / len(p))).all()
    assert (rejected <= (values <= alpha)).all()


@settings(FIXED, max_examples=40)
@given(PS.filter(bool), ALPHAS)
def test_benjamini_hochberg_equals_statsmodels(p: list[float], alpha: float) -> None:
    expected = multipletests(p, alpha=alpha, method="fdr_bh")[0]
    assert benjamini_hochberg(p, alpha).tolist() == expected.tolist()


@FIXED
@given(PS, ALPHAS)
def test_benjamini_hochberg_rejects_all_that_holm_does(p: list[float], alpha: float) -> None:
    assert (benjamini_hochberg(p, alpha) >= holm(p, alpha)).all()


def test_benjamini_hochberg_by_hand() -> None:
    # Steps at .05 over four: .0125, .025, .0375, .05. The third carries the second over its own.
    assert benjamini_hochberg([0.03, 0.012, 0.9, 0.031]).tolist() == [True, True, False, True]
    assert benjamini_hochberg([]).tolist() == []


@pytest.mark.parametrize(
    "p", [[math.nan], [0.01, math.nan], [-0.01], [1.01], [math.inf], [[0.01]], 0.01]
)
def test_refuses_what_is_no_list_of_probabilities(p: object) -> None:
    with pytest.raises(ValueError, match=r"^p_values: "):
        holm(p)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^p_values: "):
        benjamini_hochberg(p)  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", [math.nan, 0, 1, -0.05])
def test_refuses_an_alpha_out_of_range(alpha: float) -> None:
    with pytest.raises(ValueError, match=r"^alpha: "):
        holm([0.01], alpha)
    with pytest.raises(ValueError, match=r"^alpha: "):
        benjamini_hochberg([0.01], alpha)
