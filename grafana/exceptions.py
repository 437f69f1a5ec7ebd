"""What the checks let pass, each with its reason."""

MAY_BE_EMPTY = {}
METRICS_NOT_SHOWN = {}
