"""Comparing embeddings on torch gives what numpy gives; without torch loaded it is not imported."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from modelchecks.stats import domain_auc, kernel_two_sample, products


@pytest.fixture
def by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device for products is one of torch's, here its CPU."""
    import torch

    monkeypatch.setattr(products, "gpu", lambda: torch.device("cpu"))


def both() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    first = draw.normal(size=(6000, 12)).astype(np.float32)
    second = draw.normal(0.05, 1.02, size=(6000, 12)).astype(np.float32)
    return first, second


def test_waves_and_products_equal_numpys(request: pytest.FixtureRequest) -> None:
    rows, turns = both()[0][:50], both()[1][:12]
    phase = np.linspace(0, 6, 12).astype(np.float32)
    angles = rows.astype(np.float64) @ turns + phase
    for _ in range(2):
        cos, sin = products.waves(rows, turns, phase, "cos", "sin")
        assert cos == pytest.approx(np.cos(angles), abs=1e-5)
        assert sin == pytest.approx(np.sin(angles), abs=1e-5)
        assert cos.dtype == np.float32
        assert products.squared(rows) == pytest.approx(rows.T @ rows, abs=1e-3)
        request.getfixturevalue("by_torch")


def test_both_tests_say_the_same(request: pytest.FixtureRequest) -> None:
    first, second = both()
    kernel, area = kernel_two_sample(first, second), domain_auc(first, second)
    assert kernel.method == "random features"
    request.getfixturevalue("by_torch")
    kernel_again, area_again = kernel_two_sample(first, second), domain_auc(first, second)
    assert kernel_again.p_value == kernel.p_value
    assert kernel_again.statistic == pytest.approx(kernel.statistic, rel=1e-4)
    assert kernel_again.discrepancy == pytest.approx(kernel.discrepancy, rel=1e-3, abs=1e-7)
    for name in ("value", "lower_bound", "upper_bound"):
        assert getattr(area_again, name) == pytest.approx(getattr(area, name), abs=1e-4)


def test_torch_is_not_imported_for_it() -> None:
    script = (
        "import sys; import numpy as np; from modelchecks.stats import domain_auc, products;"
        "domain_auc(np.random.rand(50, 3), np.random.rand(50, 3));"
        "assert products.gpu() is None; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
