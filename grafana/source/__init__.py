"""The pages, one module each. `PAGES` is all that the rest of this directory needs to know."""

from . import exporter, fleet, runtime, target

PAGES = [fleet, target, runtime, exporter]
