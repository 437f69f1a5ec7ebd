"""The expressions that several pages share.

Every selector carries job and instance, as the variables choose them. Series with a `pid` are put together first, so that
the pages are the same whether or not `processes.show_pid` is on.
"""

HERE = 'job=~"$job",instance=~"$instance"'
AREA = "job, instance, kind, target, area"
HOUR = 3600

# The page about one target.
TARGET = HERE + ',kind="$kind",target="$target"'
TARGET_AREA = TARGET + ',area=~"$area"'
# What is about the target as a whole has no area, and belongs to whichever is chosen.
TARGET_AREA_OR_NONE = TARGET + ',area=~"$area|"'


def select(metric, *matchers, inside=HERE):
    """A selector: `select("up")` is `up` of the chosen exporters."""
    return f"{metric}{{{','.join([inside, *matchers])}}}"


def rate(metric, *matchers, inside=HERE):
    """A counter's pace, a second."""
    return f"rate({select(metric, *matchers, inside=inside)}[$__rate_interval])"


def per_area(metric, how="max", inside=HERE, *matchers):
    """One value for each area, whatever else its series carry."""
    return f"{how} by ({AREA}) ({select(metric, *matchers, inside=inside)})"


def leaking(inside=HERE, least=1):
    """Areas under suspicion (or confirmed, with 2) that nothing inside of them explains: one leak counts once."""
    state = select("memleak_area_leak_state", inside=inside)
    explained = select("memleak_area_leak_explained", inside=inside)
    return f"({state} >= {least} unless {explained} == 1)"


def of_leaks(metric, how="max", inside=HERE, least=1):
    """A metric of the leaking areas alone."""
    return f"{per_area(metric, how, inside)} and on ({AREA}) {leaking(inside, least)}"


def quantile(share, histogram, by, inside=HERE):
    """A quantile of a histogram over the rate interval."""
    return f"histogram_quantile({share}, sum by ({by}, le) ({rate(histogram + '_bucket', inside=inside)}))"


def buckets(histogram, inside=HERE):
    """How often each bucket was hit, for a heat map."""
    return f"sum by (le) (increase({select(histogram + '_bucket', inside=inside)}[$__rate_interval]))"
