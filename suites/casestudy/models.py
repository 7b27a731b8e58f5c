"""The one architecture that all three variants share."""

from __future__ import annotations

from torch import Tensor, nn


def small_cnn() -> SmallCNN:
    """Return the untrained network of the case study, for (n, 1, 28, 28) floats in [0, 1]."""
    return SmallCNN()


class SmallCNN(nn.Module):
    """A classifier of 28 x 28 grey images into 10 classes, with 0.39 million parameters.

    `forward` returns logits (n, 10). The module named `embedding` yields the (n, 128) vector that
    the last linear layer sees; `embed` returns it.
    """

    def __init__(self) -> None:
        """Draw the initial weights from torch's global generator."""
        super().__init__()
        self.features = nn.Sequential(
            nn.PixelUnshuffle(2),
            _Block(4, 32),
            _Block(32, 64),
            nn.MaxPool2d(2),
            _Block(64, 128),
            nn.MaxPool2d(2),
            _Residual(128),
        )
        self.embedding = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(128, 10)

    def embed(self, images: Tensor) -> Tensor:
        """Return the (n, 128) embedding."""
        vectors: Tensor = self.embedding(self.features(images))
        return vectors

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (n, 10) for images (n, 1, 28, 28) in [0, 1]."""
        logits: Tensor = self.classifier(self.embed(images))
        return logits


class _Block(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_Block(width, width), _Block(width, width))

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = inputs + self.body(inputs)
        return outputs
