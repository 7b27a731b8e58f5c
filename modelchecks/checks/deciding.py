"""How every check decides: at which confidence, on rows drawn how, and what would settle it."""

from __future__ import annotations

from modelchecks.checks.accuracy import (
    check_confidence as check_confidence,
)
from modelchecks.checks.accuracy import (
    hold_if_unsampled as hold_if_unsampled,
)
from modelchecks.checks.accuracy import (
    level as level,
)
from modelchecks.checks.accuracy import (
    settle as settle,
)
