"""Probes: work that a plain pass cannot do, each in a file of its own, named by a check's needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from modelchecks.check import ProbeRequest
from modelchecks.evidence import Evidence


class Probe(Protocol):
    """A function that answers a request from the evidence of its split."""

    def __call__(
        self, request: ProbeRequest, evidence: Evidence, folder: Path
    ) -> Mapping[str, Any]:
        """Return the outcome as JSON values; raises EvidenceError where there is none."""
        ...
