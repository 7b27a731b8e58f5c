"""Folded batch norms: the same answers as torch gives without, and left alone where in doubt."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from modelchecks.facets import EMBEDDING
from modelchecks.folding import folded
from modelchecks.identity import Pace
from modelchecks.inference import Model, fastest
from modelchecks.sources import ArraySamples, Batch
from modelchecks.suite import Compute, Variant


def drawn(module: nn.Module, seed: int = 0) -> nn.Module:
    """Return the module in eval mode with batch norms that have seen something."""
    draw = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            for tensor in (layer.weight, layer.running_var):
                tensor.data = 0.5 + torch.rand(tensor.shape, generator=draw)
            for tensor in (layer.bias, layer.running_mean):
                tensor.data = torch.randn(tensor.shape, generator=draw)
    return module.eval()


def norms(module: nn.Module) -> int:
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return sum(isinstance(layer, kinds) for layer in module.modules())


class Pair(nn.Module):
    def __init__(self, convolution=None, norm=None):
        super().__init__()
        self.convolution = convolution or nn.Conv2d(1, 4, 3)
        self.norm = norm or nn.BatchNorm2d(4)
        self.head = nn.LazyLinear(3)

    def forward(self, x):
        return self.head(self.norm(self.convolution(x)).flatten(1))


class ByInput(Pair):
    def forward(self, x):
        return super().forward(x if x.mean() > 0 else -x)


class Twice(Pair):
    def forward(self, x):
        once = self.norm(self.convolution(x))
        return self.head((once + self.norm(self.convolution(-x))).flatten(1))


class SeenBefore(Pair):
    def forward(self, x):
        raw = self.convolution(x)
        return self.head((self.norm(raw) + raw).flatten(1))


class ReadsWeights(Pair):
    def forward(self, x):
        return super().forward(x) * self.convolution.weight.sum()


class UnderTwoNames(Pair):
    def __init__(self):
        super().__init__()
        self.other = self.convolution

    def forward(self, x):
        return self.head(self.norm(self.other(x)).flatten(1))


class Training(Pair):
    def train(self, mode=True):
        super().train(mode)
        self.norm.training = True
        return self


def prepared(module: nn.Module) -> nn.Module:
    module.eval()(torch.rand(2, 1, 6, 6))
    return drawn(module)


@pytest.mark.parametrize(
    ("convolution", "norm", "shape"),
    [
        (nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), (5, 2, 9)),
        (nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4, affine=False), (5, 2, 9, 9)),
        (nn.Conv2d(4, 4, 3, groups=2, padding_mode="reflect", padding=1), nn.BatchNorm2d(4),
         (5, 4, 9, 9)),
        (nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), (5, 1, 5, 5, 5)),
    ],
)  # fmt: skip
def test_a_folded_norm_gives_what_it_gave(convolution, norm, shape):
    module = nn.Sequential(convolution, nn.Sequential(norm, nn.ReLU()))
    if norm.affine:
        drawn(module)
    module.eval()
    images = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    other = folded(module)
    assert norms(module) == 1
    assert norms(other) == 0
    torch.testing.assert_close(other(images), module(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "left"), [("resnet18", 0), ("mobilenet_v3_small", 0), ("densenet121", 62)]
)
def test_known_architectures_fold(name, left):
    torch.manual_seed(0)
    module = drawn(getattr(torchvision.models, name)(num_classes=5))
    images = torch.rand(2, 3, 64, 64)
    other = folded(module)
    assert norms(other) == left
    with torch.inference_mode():
        expected, found = module(images), other(images)
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-4


@pytest.mark.parametrize(
    "kind", [ByInput, Twice, SeenBefore, ReadsWeights, UnderTwoNames, Training]
)
def test_what_is_in_doubt_is_left_alone(kind):
    assert folded(prepared(kind())) is None


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm2d(4, track_running_stats=False), nn.GroupNorm(2, 4), nn.Identity()]
)
def test_only_norms_with_means_of_their_own_fold(norm):
    assert folded(Pair(norm=norm).eval()) is None


def test_layers_that_somebody_looks_at_are_left_alone():
    module = prepared(Pair())
    assert folded(module) is not None
    assert folded(module, keep="convolution") is None
    assert folded(module, keep="norm") is not None
    module.convolution.register_forward_hook(lambda layer, given, found: found * 2)
    assert folded(module) is None


def test_a_reparametrised_convolution_is_left_alone():
    module = prepared(Pair())
    nn.utils.parametrizations.weight_norm(module.convolution)
    assert folded(module) is None


def test_a_copy_shares_what_it_does_not_fold():
    module = prepared(Pair())
    other = folded(module)
    assert other.head.weight is module.head.weight
    assert norms(module) == 1


NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.Flatten())
        self.head = nn.Linear(8 * 26 * 26, 10)
        for layer in (self.first[1], self.second[1]):
            layer.running_mean = torch.randn(8)
            layer.running_var = 0.5 + torch.rand(8)
    def forward(self, x):
        return self.head(self.second(self.first(x)))
"""


@pytest.fixture
def images(tmp_path):
    (tmp_path / "foldnets.py").write_text(NETS)
    return np.random.default_rng(0).integers(0, 256, (80, 28, 28, 1), dtype=np.uint8)


@pytest.mark.parametrize("embedding", [None, "second", "first.1"])
def test_a_folded_pace_has_the_same_answers_and_embeddings(tmp_path, images, embedding):
    variant = Variant("v", "foldnets:Net", embedding=embedding)
    ids = [str(i) for i in range(len(images))]
    plain, quick = (
        Model(variant, tmp_path, Compute(), pace, frozenset({EMBEDDING}))(Batch(ids, images))
        for pace in (Pace(32), Pace(32, folded=True, channels_last=True))
    )
    assert (plain.predicted == quick.predicted).all()
    np.testing.assert_allclose(quick.embedding, plain.embedding, rtol=1e-3, atol=1e-4)


def test_the_module_that_probes_look_into_stays_as_it_was_given(tmp_path, images):
    model = Model(Variant("v", "foldnets:Net"), tmp_path, Compute(), Pace(32, folded=True))
    assert model.folds
    assert norms(model.module) == 2
    assert norms(model.asked) == 0
    model.set_pace(Pace(32))
    assert model.asked is model.module


@pytest.mark.parametrize("faster", [True, False])
def test_folding_is_taken_where_it_is_measured_faster(tmp_path, images, monkeypatch, faster):
    seconds = (1e-6, 1e-5) if faster else (1e-5, 1e-5)
    monkeypatch.setattr(
        Model, "seconds_per_image", lambda self, pace, images: seconds[not pace.folded]
    )
    samples = ArraySamples([str(i) for i in range(80)], images, np.zeros(80, np.int64))
    found = fastest(Variant("v", "foldnets:Net"), tmp_path, Compute(), samples)
    assert found.folded is faster
