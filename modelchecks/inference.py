"""THE torch file: turns a declared variant into a model and its answers to a batch."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelchecks import inputs, registry
from modelchecks.allocator import keep_freed_memory
from modelchecks.collect import Answers, OutOfMemoryError
from modelchecks.errors import EvidenceError
from modelchecks.facets import EMBEDDING, INPUTS, LOGITS
from modelchecks.identity import Pace
from modelchecks.penultimate import Penultimate
from modelchecks.pixels import by_shape
from modelchecks.sources import Batch
from modelchecks.suite import Compute, Variant
from modelchecks.weights import first_lines, load_weights

Transform = Callable[[NDArray[Any]], torch.Tensor]


def to_tensor(images: NDArray[Any]) -> torch.Tensor:
    """Return images (n, h, w, c) as float32 (n, c, h, w); integers are scaled to [0, 1]."""
    tensor = torch.from_numpy(np.array(images, copy=True)).permute(0, 3, 1, 2)
    if images.dtype.kind in "ui":
        return tensor.float().div_(float(np.iinfo(images.dtype).max))
    return tensor.float()


def as_tensor(images: NDArray[Any]) -> torch.Tensor:
    """Return what is a model's input already, as it is."""
    return torch.from_numpy(np.array(images, copy=True))


class Model:
    """A variant's model, loaded once, in eval mode, answering batch after batch."""

    def __init__(
        self,
        variant: Variant,
        folder: Path,
        compute: Compute,
        pace: Pace,
        wanted: frozenset[str] = frozenset(),
        sha256: str | None = None,
    ) -> None:
        """Load the variant; `wanted` are prefixes of facets besides the answers.

        Raises EvidenceError that names the file and the remedy, also where the weights are not
        those of the digest `sha256`.
        """
        self._name = variant.name
        self._seed = compute.seed
        self._wanted = wanted
        self._device = _device(compute.device)
        keep_freed_memory()
        if compute.threads is not None:
            torch.set_num_threads(compute.threads)
        self._transform, module = _build(variant, folder)
        if variant.weights is not None:
            load_weights(module, variant, folder / variant.weights, sha256)
        self.module = module.to(self._device).eval()
        self._channels_last = False
        self.set_pace(pace)
        self._outputs: int | None = None
        self._embedding = Penultimate(self.module, variant) if EMBEDDING in wanted else None
        self._inputs: list[NDArray[np.float64]] = []
        self._kinds: Counter[str] = Counter()

    def set_pace(self, pace: Pace) -> None:
        """Answer so many images at once, in that memory format and precision."""
        self._pace = pace
        if pace.channels_last != self._channels_last:
            self._channels_last = pace.channels_last
            self.module = self.module.to(
                memory_format=torch.channels_last if pace.channels_last else torch.contiguous_format
            )

    @property
    def device(self) -> torch.device:
        """Where the module is."""
        return self._device

    @torch.inference_mode()
    def logits(self, images: NDArray[Any]) -> torch.Tensor:
        """Return logits (n, classes) on the CPU for images of one shape, batch after batch."""
        return self._answer(images)[0]

    def inputs(self, images: NDArray[Any]) -> torch.Tensor:
        """Return what the module gets for images of one shape."""
        placed: torch.Tensor = self._placed(self._transform(images.copy()))
        return placed

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> Answers:
        """Return one answer per row; raises EvidenceError where the model cannot answer."""
        groups = by_shape(batch)
        if len(groups) > 1 and self._transform is to_tensor:
            shapes = ", ".join(f"{images.shape[1:]} {images.dtype}" for _, images in groups[:4])
            raise EvidenceError(
                f"variant {self._name!r}: images of different shapes or types ({shapes}) need a "
                "`transform: module:function` that makes one tensor of them"
            )
        size = len(batch)
        predicted = np.full(size, -1, dtype=np.int64)
        confidence = np.full(size, np.nan, dtype=np.float32)
        finite = np.zeros(size, dtype=np.bool_)
        logits: NDArray[np.float32] | None = None
        embedding: NDArray[np.float32] | None = None
        facts: NDArray[np.float64] | None = None
        absent = {} if self._embedding is None else {EMBEDDING: self._embedding.absent}
        self._kinds.clear()
        for where, images in groups:
            answered, vectors = self._answer(images)
            predicted[where] = answered.argmax(dim=1).numpy()
            confidence[where] = answered.softmax(dim=1).amax(dim=1).numpy()
            finite[where] = torch.isfinite(answered).all(dim=1).numpy()
            if LOGITS in self._wanted:
                logits = _filled(logits, size, where, answered)
            if vectors is not None:
                embedding = _filled(embedding, size, where, vectors)
            if len({part.shape[1] for part in self._inputs}) == 1:
                part = np.concatenate(self._inputs)
                facts = np.full((size, part.shape[1]), np.nan) if facts is None else facts
                if part.shape[1] == facts.shape[1] and len(part) == len(where):
                    facts[where] = part
        if facts is None and INPUTS in self._wanted:
            absent[INPUTS] = f"variant {self._name!r}: its transform gives no tensor of one layout"
        outputs = self._outputs or 0
        kinds = dict(self._kinds)
        return Answers(
            predicted, confidence, finite, outputs, logits, embedding, facts, kinds, absent
        )

    def _answer(self, images: NDArray[Any]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return logits (n, classes) and embeddings of images of one shape, chunk by chunk."""
        step = self._pace.batch_size
        logits, vectors = [], []
        self._inputs.clear()
        for start in range(0, len(images), step):
            logits.append(self._forward(images[start : start + step]))
            if self._embedding is not None and self._embedding.found is not None:
                vectors.append(self._embedding.found)
        whole = torch.cat(vectors) if len(vectors) == len(logits) else None
        return torch.cat(logits), whole

    def _forward(self, images: NDArray[Any]) -> torch.Tensor:
        # A model that draws answers each batch as it would alone, in whatever process.
        if self._device.type == "cpu":
            # `torch.manual_seed` also keeps a traceback for CUDA at each call, and never drops it.
            torch.default_generator.manual_seed(self._seed)
        else:
            torch.manual_seed(self._seed)
        try:
            # A copy: what a transform does to its pixels is not for the next variant to see.
            given = self._transform(images if self._transform is to_tensor else images.copy())
            if INPUTS in self._wanted and isinstance(given, torch.Tensor):
                seen = given.detach().cpu().numpy()
                self._inputs.append(inputs.facts(seen))
                self._kinds[inputs.kind(seen)] += len(seen)
            with torch.autocast(
                self._device.type, torch.bfloat16, enabled=self._pace.bfloat16, cache_enabled=False
            ):
                logits = self.module(self._placed(given))
        except (Exception, SystemExit) as error:
            if _is_out_of_memory(error):
                raise OutOfMemoryError(self._name, self._pace.batch_size, str(error)) from error
            raise EvidenceError(
                f"variant {self._name!r} raised {type(error).__name__} on images of shape "
                f"{images.shape}: {first_lines(str(error))}"
            ) from error
        if not isinstance(logits, torch.Tensor) or logits.is_sparse:
            kind = "sparse tensor" if isinstance(logits, torch.Tensor) else type(logits).__name__
            raise EvidenceError(
                f"variant {self._name!r} gave a {kind} instead of a tensor of logits (n, classes)"
            )
        expected = (len(images), self._outputs or logits.shape[-1] if logits.ndim else 0)
        if logits.ndim != 2 or tuple(logits.shape) != expected or logits.shape[1] < 2:
            raise EvidenceError(
                f"variant {self._name!r} gave logits of shape {tuple(logits.shape)} for "
                f"{len(images)} images; expected ({len(images)}, classes) with at least 2 classes"
            )
        if logits.is_complex():
            raise EvidenceError(f"variant {self._name!r} gave complex logits; they must be real")
        self._outputs = int(logits.shape[1])
        if self._embedding is not None:
            self._embedding.settle(logits)
        return logits.float().cpu()

    def _placed(self, given: Any) -> Any:
        given = given.to(self._device)
        if self._pace.channels_last and given.ndim == 4:
            return given.contiguous(memory_format=torch.channels_last)
        return given


def _filled(
    column: NDArray[np.float32] | None, size: int, where: NDArray[np.int64], rows: torch.Tensor
) -> NDArray[np.float32]:
    if column is None:
        column = np.full((size, rows.shape[1]), np.nan, dtype=np.float32)
    column[where] = rows.numpy()
    return column


def _build(variant: Variant, folder: Path) -> tuple[Transform, torch.nn.Module]:
    try:
        transform = registry.load(variant.transform, folder) if variant.transform else to_tensor
        module = registry.load(str(variant.model), folder)()
    except registry.UnknownNameError as error:
        raise EvidenceError(f"variant {variant.name!r}: {error}") from error
    except (Exception, SystemExit) as error:
        raise EvidenceError(
            f"variant {variant.name!r}: `{variant.model}` raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise EvidenceError(
            f"variant {variant.name!r}: `{variant.model}` gave a {type(module).__name__}; it must "
            "return a torch.nn.Module"
        )
    # A factory may hand out one module to all: with the next variant's weights in it, both would
    # be that variant.
    return transform, copy.deepcopy(module)


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in text or "not enough memory" in text or "can't allocate" in text)
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except Exception as error:
        raise EvidenceError(
            f"device {name!r} cannot be used here: {first_lines(str(error))}. Set `compute: "
            "{device: cpu}` in the suite"
        ) from error
    return device
