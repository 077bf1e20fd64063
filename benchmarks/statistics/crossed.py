"""The interval of a mean gain that covers both seeds and test examples.

All seeds are tested on the same examples, so a gain has three sources of error: the seed, the examples, and their interaction
(which examples this seed gets right). The mean over n seeds and N examples has the variance

    V = s2/n + J - I/(nN)

s2/n is the variance between seeds, J the variance over examples (the jackknife of the seeds' mean). Each contains the interaction
I/(nN) once, so it is subtracted once. Each part gets its own quantile (Banerjee, Biometrika 1960: such an interval covers at least
95 %, whatever the ratio of the parts):

    half-width^2 = t^2 s2/n + z^2 (J - I/(nN))

`z` is the quantile of Student's t with (number of examples - 1) degrees of freedom. `t` is the quantile with the degrees of
freedom of the seeds (see `degrees_of_freedom`). If only seeds or only examples matter, this is the t interval over seeds or the
jackknife interval over examples. Simulated coverage and width: `tests/trust/coverage.md`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from benchmarks.statistics.bootstrap import OUTCOME_SCALE, geometric_mean, score
from benchmarks.statistics.intervals import CONFIDENCE

CREDIT = 0.4
"""Maximum extra degrees of freedom of the seeds' part due to the interaction: see `degrees_of_freedom`."""

CREDIT_FROM = 5
"""Minimum number of seeds for `CREDIT`. With fewer, the quantile of t falls too steeply with its degrees of freedom."""

FLOOR = 0.5
"""Minimum width of an interval, as a share of the interval from the examples alone."""

_SMALLEST_P = 1e-100

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measured:
    """Gains and control metrics of n seeds on the same examples, in points (percent).

    `gains`, `controls`: (n,), one per seed. A positive gain means DSD is better; a control is the metric as printed (for an error
    or WER, lower is better). `gain_parts`, `control_parts`: (n, G), their jackknife pseudo-values for G examples or clusters.
    """

    gains: _Numbers
    controls: _Numbers
    gain_parts: _Numbers
    control_parts: _Numbers


@dataclass(frozen=True)
class Crossed:
    """A mean over seeds and examples in points, and its uncertainty.

    `low` and `high` are the ends of the two-sided 95 % interval, `lower` and `upper` one-sided 95 % bounds. `p` is the two-sided
    p-value of "zero". `between_seeds` (s2/n), `between_examples` (J) and `interaction` (I/(nN)) are variances of the mean in
    points squared. `n` is the number of seeds, `groups` the number of examples or clusters.
    """

    mean: float
    low: float
    high: float
    lower: float
    upper: float
    p: float
    between_seeds: float
    between_examples: float
    interaction: float
    n: int
    groups: int

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the two-sided 95 % interval."""
        return self.low, self.high

    @property
    def variance(self) -> float:
        """The variance of the mean, V. The estimate is unbiased, so it may be negative by chance."""
        return self.between_seeds + self.between_examples - self.interaction


@dataclass(frozen=True)
class Relative:
    """A mean gain as a share of the control's metric (0.04 is 4 %). Ends as in `Crossed`; `error` is a standard error."""

    share: float
    low: float
    high: float
    lower: float
    upper: float
    error: float


def measure(
    dsd: Sequence[ArrayLike],
    control: Sequence[ArrayLike],
    lower_is_better: bool,
    clusters: Sequence[Hashable] | None = None,
) -> Measured:
    """Return the gains of `dsd` over `control` and their jackknife pseudo-values.

    Both have one array of outcomes per seed, with seeds and examples in the same order. Outcomes have the form that
    `statistics.bootstrap.score` takes: (N,) hits, or (N, 2k) counts, k columns of hits and then k of totals. `lower_is_better`
    states whether the printed metric is 100 minus the score. `clusters` (N,) names the cluster of each example; the jackknife
    then leaves out whole clusters.

    Raises:
        ValueError: there is no seed, shapes differ, or there are fewer than two examples or clusters.
    """
    shapes = [np.shape(outcomes) for outcomes in (*dsd, *control)]
    if not dsd or len(dsd) != len(control) or len(set(shapes)) > 1:
        raise ValueError(f"measure needs two arms of the same seeds and examples, got outcomes of shapes {shapes}")
    ours, theirs = (np.array([score(outcomes) for outcomes in arm]) for arm in (dsd, control))
    our_parts, their_parts = (_pseudo_values(np.asarray(arm, dtype=np.float64), clusters) for arm in (dsd, control))
    offset, sign = (OUTCOME_SCALE, -1) if lower_is_better else (0.0, 1)
    return Measured(ours - theirs, offset + sign * theirs, our_parts - their_parts, offset + sign * their_parts)


def contrast(measured: Measured, share: float = 0.0) -> Crossed | None:
    """Return the mean of gain - `share` x control with its interval; None for a single seed, which has no spread.

    With share 0 this is the gain. With a claimed share, it is positive if the gain exceeds that share of the control's metric. The
    interval includes the uncertainty of the control's metric, by seed and example.
    """
    if measured.gains.size < 2:
        return None
    values = measured.gains - share * measured.controls
    parts = measured.gain_parts - share * measured.control_parts
    n, groups = parts.shape
    seeds, examples, interaction = (float(part) for part in components(values, parts))
    mean = math.fsum(values) / n

    def width(tails: float) -> float:
        return float(half_width(seeds, examples, interaction, n, groups, tails))

    two_sided, one_sided = width(1 - CONFIDENCE), width(2 * (1 - CONFIDENCE))
    return Crossed(
        mean=mean,
        low=mean - two_sided,
        high=mean + two_sided,
        lower=mean - one_sided,
        upper=mean + one_sided,
        p=_p_value(width, abs(mean)),
        between_seeds=seeds,
        between_examples=examples,
        interaction=interaction,
        n=n,
        groups=groups,
    )


def relative(measured: Measured) -> Relative | None:
    """Return the gain as a share of the control's metric; None for a single seed, or if the control's metric is not positive.

    The ends are computed by Fieller's method: they are the shares at which an end of `contrast` is zero. An end is infinite if the
    control's metric is too near zero.
    """
    base = float(measured.controls.mean())
    if measured.gains.size < 2 or base <= 0:
        return None
    share = float(measured.gains.mean()) / base
    at = contrast(measured, share)
    assert at is not None
    error = math.sqrt(max(0.0, at.variance, FLOOR**2 * at.between_examples)) / base
    low, lower = (_end(measured, name, share, -(at.high - at.mean) / base) for name in ("low", "lower"))
    high, upper = (_end(measured, name, share, (at.high - at.mean) / base) for name in ("high", "upper"))
    return Relative(share, low, high, lower, upper, error)


def components(values: _Numbers, parts: _Numbers) -> tuple[_Numbers, _Numbers, _Numbers]:
    """Return s2/n, J and I/(nN) of values (..., n) with pseudo-values (..., n, G), each (...).

    The interaction is (mean of the seeds' own jackknife variances - J) / (n - 1). The division by n - 1 is needed because averaging
    over n seeds removes n - 1 of the n parts of the interaction.
    """
    n, groups = parts.shape[-2:]
    seeds = np.where(np.ptp(values, axis=-1) == 0, 0.0, values.var(axis=-1, ddof=1) / n)  # exactly 0 for equal numbers
    examples = parts.mean(axis=-2).var(axis=-1, ddof=1) / groups
    own = parts.var(axis=-1, ddof=1).mean(axis=-1) / groups
    return seeds, examples, np.maximum(0.0, own - examples) / (n - 1)


def degrees_of_freedom(between_seeds: ArrayLike, interaction: ArrayLike, n: int) -> _Numbers:
    """Return the degrees of freedom of s2/n: n - 1, or slightly more if the interaction is a large part of s2/n.

    The interaction is estimated from all examples, not only from n seeds, so only the rest of s2/n is uncertain. Satterthwaite's
    rule then gives (n - 1) / (1 - share of the interaction). Without a limit, the interval would cover 92 % in the worst case.
    With at most `CREDIT` extra degrees of freedom, it covers 94.5 % (normally distributed seeds, many examples).
    """
    if n < CREDIT_FROM:
        return np.full(np.shape(between_seeds), n - 1.0)
    seeds, known = np.asarray(between_seeds, dtype=np.float64), np.asarray(interaction, dtype=np.float64)
    share = np.divide(known, seeds, out=np.zeros_like(seeds), where=seeds > 0)
    return np.asarray(np.minimum((n - 1) / np.maximum(1 - share, 0.5), n - 1 + CREDIT))


def half_width(
    between_seeds: ArrayLike, between_examples: ArrayLike, interaction: ArrayLike, n: int, groups: int, tails: float
) -> _Numbers:
    """Return half the width of the interval with probability `tails` in both tails together, in points.

    The first three arguments are results of `components` for n seeds and `groups` examples or clusters, as numbers or arrays.
    """
    seeds, examples, shared = (
        np.asarray(part, dtype=np.float64) for part in (between_seeds, between_examples, interaction)
    )
    t = np.asarray(special.stdtrit(degrees_of_freedom(seeds, shared, n), tails / 2), dtype=np.float64)
    z = float(special.stdtrit(groups - 1, tails / 2))
    squared = t**2 * seeds + z**2 * (examples - shared)
    return np.asarray(np.sqrt(np.maximum(squared, (FLOOR * z) ** 2 * examples)))


def _p_value(width: Callable[[float], float], distance: float) -> float:
    """Return the `tails` at which the half-width, `width(tails)`, equals `distance`, the distance of the mean from zero."""
    if distance == 0:
        return 1.0
    if width(_SMALLEST_P) <= distance:
        return 0.0
    return float(math.exp(optimize.brentq(lambda log: width(math.exp(log)) - distance, math.log(_SMALLEST_P), 0.0)))


def _end(measured: Measured, name: str, share: float, step: float) -> float:
    """Return the share at which the end `name` of the contrast is zero. The search starts at `share` with `step`, which doubles."""

    def end(at: float) -> float:
        return float(getattr(contrast(measured, at), name))

    if step == 0 or end(share) == 0:
        return share
    inner = share
    for _ in range(30):
        outer = inner + step
        if end(outer) * step < 0:
            return float(optimize.brentq(end, inner, outer))
        inner, step = outer, 2 * step
    return math.copysign(math.inf, step)


def _pseudo_values(outcomes: _Numbers, clusters: Sequence[Hashable] | None) -> _Numbers:
    """Return the jackknife pseudo-values (n, G) of the scores of outcomes (n, N) or (n, N, 2k)."""
    if clusters is None and outcomes.ndim == 2:
        values = np.asarray(OUTCOME_SCALE * outcomes)  # the pseudo-values of a mean are the outcomes
    else:
        counts = outcomes if outcomes.ndim == 3 else np.stack([outcomes, np.ones_like(outcomes)], axis=-1)
        values = pseudo_values(counts if clusters is None else _sums(counts, clusters))
    if values.shape[1] < 2:
        raise ValueError(f"measure needs at least two test examples or clusters, got {values.shape[1]}")
    return values


def pseudo_values(counts: _Numbers) -> _Numbers:
    """Return the jackknife pseudo-values (..., G) of the scores of counts (..., G, 2k) in points.

    Pseudo-value j is G times the score of all groups, minus G - 1 times the score without group j. The mean of the pseudo-values is
    the score without its bias of order 1/G. Their variance divided by G is the score's variance over examples.
    """
    groups = counts.shape[-2]
    total = counts.sum(axis=-2, keepdims=True)
    whole, without = OUTCOME_SCALE * geometric_mean(total), OUTCOME_SCALE * geometric_mean(total - counts)
    return np.asarray(groups * whole - (groups - 1) * without)


def _sums(counts: _Numbers, clusters: Sequence[Hashable]) -> _Numbers:
    """Return counts (n, N, 2k) summed over clusters, (n, G, 2k), in the order of first appearance."""
    if len(clusters) != counts.shape[1]:
        raise ValueError(f"measure needs a cluster for each of {counts.shape[1]} examples, got {len(clusters)}")
    index = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    sums = np.zeros((counts.shape[0], len(index), counts.shape[2]))
    np.add.at(sums, (slice(None), np.array([index[name] for name in clusters])), counts)  # type: ignore[arg-type]
    return sums
