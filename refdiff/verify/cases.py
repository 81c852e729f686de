r"""Cases: the numbers that an identity is tried on, small enough to check by hand and coarse enough to hurt.

Power comes from the case. On linear-1000 most wrong formulas are right to four digits; with T <= 8, betas of
any order between .05 and .6 and x_0 far out they are wrong in the first. A case is drawn from a source
of integers and reals: a seeded generator here, Hypothesis in the tests (which then shrinks it).
"""

import sys
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np

from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule

__all__ = ["DESIGNED", "HAND", "Case", "RandomSource", "Watched"]


class RandomSource:
    """A source of numbers backed by a numpy Generator."""

    def __init__(self, rng):
        self.rng = rng

    def integer(self, low, high):
        """Return an integer in low..high."""
        return int(self.rng.integers(low, high + 1))

    def real(self, low, high):
        """Return a number in [low, high]."""
        return float(round(self.rng.uniform(low, high), 3))


@dataclass(frozen=True)
class Case:
    """One case: a short schedule, steps s < t of it, and points and parameters in general position.

    Attributes
    ----------
    beta : tuple of float
        beta_1..beta_T, 2 <= T <= 8, each in [.05, .6].
    t, s : int
        1 <= s < t <= T.
    x_0, x_t, eps : tuple of float
        Points of one d in 1..3, each coordinate of size .5 to 3.
    var_q, var_p : float
        Two variances that differ by a factor of at least e^0.4.
    slope, intercept : float
        Of a linear denoiser eps_hat = slope x_t + intercept.
    weight : float
        Of the first of the two components of a mixture.
    spread : tuple of float
        The variances of the two components, whose means are -x_0 and +eps / 2.
    """

    beta: tuple
    t: int
    s: int
    x_0: tuple
    x_t: tuple
    eps: tuple
    var_q: float
    var_p: float
    slope: float
    intercept: float
    weight: float
    spread: tuple

    @classmethod
    def draw(cls, source):
        """Draw a case from a source of integers and reals, constructively: nothing is drawn and thrown away."""

        def point(d):
            return tuple(source.real(0.5, 3.0) * (1 - 2 * source.integer(0, 1)) for _ in range(d))

        T = source.integer(2, 8)
        t = source.integer(2, T)
        d = source.integer(1, 3)
        var_q = source.real(0.3, 2.0)
        return cls(
            beta=tuple(source.real(0.05, 0.6) for _ in range(T)),
            t=t,
            s=source.integer(1, t - 1),
            x_0=point(d),
            x_t=point(d),
            eps=point(d),
            var_q=var_q,
            var_p=var_q * float(np.exp(source.real(0.4, 1.2) * (1 - 2 * source.integer(0, 1)))),
            slope=source.real(0.2, 0.9),
            intercept=source.real(0.2, 0.6) * (1 - 2 * source.integer(0, 1)),
            weight=source.real(0.25, 0.75),
            spread=(source.real(0.1, 1.0), source.real(0.1, 1.0)),
        )

    @property
    def T(self):
        """The number of steps."""
        return len(self.beta)

    @property
    def d(self):
        """The number of coordinates."""
        return len(self.x_0)

    @cached_property
    def schedule(self):
        """The schedule to hand to the functions judged."""
        return Schedule.from_betas(self.beta)

    @cached_property
    def mixture(self):
        """Mixture data with two components."""
        means = [[-x for x in self.x_0], [e / 2 for e in self.eps]]
        return GaussianMixture([self.weight, 1 - self.weight], means, list(self.spread))

    def alpha_bar(self, t):
        """Return alpha_bar_t as a plain product, for evidence that does not trust the schedule."""
        return float(np.prod([1 - b for b in self.beta[:t]]))

    def denoiser(self, x_t, t):
        """Return eps_hat of the linear denoiser."""
        return self.slope * np.asarray(x_t) + self.intercept

    def repeat(self, point, n):
        """Return n copies of a point, shape (n, d)."""
        return np.tile(np.asarray(point), (n, 1))

    def spread_out(self, n, rng):
        """Return n starting points around x_0 that differ, so that x_0 has something to be regressed on."""
        return self.repeat(self.x_0, n) + 2.0 * rng.standard_normal((n, self.d))


DESIGNED = (
    Case(
        beta=(0.3, 0.1, 0.5, 0.2, 0.4),
        t=3,
        s=1,
        x_0=(2.5, -1.5),
        x_t=(-1.0, 2.0),
        eps=(1.5, -0.75),
        var_q=0.5,
        var_p=1.25,
        slope=0.6,
        intercept=-0.4,
        weight=0.3,
        spread=(0.15, 0.5),
    ),
    Case(
        beta=(0.5, 0.5),
        t=2,
        s=1,
        x_0=(2.0,),
        x_t=(-1.0,),
        eps=(1.0,),
        var_q=2.0,
        var_p=0.5,
        slope=0.5,
        intercept=0.5,
        weight=0.5,
        spread=(0.25, 0.25),
    ),
)


def _by_hand(beta, t=None):
    """Return a case whose numbers fit on the back of an envelope: one coordinate, rational roots of alpha_bar."""
    return Case(
        beta=beta,
        t=len(beta) if t is None else t,
        s=1,
        x_0=(2.0,),
        x_t=(1.0,),
        eps=(-1.0,),
        var_q=0.5,
        var_p=1.25,
        slope=0.5,
        intercept=0.25,
        weight=0.25,
        spread=(0.25, 0.5),
    )


# alpha_bar = .64, .16 (signal rates .8 and .4); then .25, .16; and a third step to .04
HAND = (_by_hand((0.36, 0.75)), _by_hand((0.75, 0.36)), _by_hand((0.36, 0.75, 0.75)), _by_hand((0.75, 0.36, 0.75), t=2))


@dataclass(frozen=True)
class Watched(Case):
    """A case that remembers which of its numbers were looked at.

    To be copied with another beta, compared or named, as a seed of random numbers, is not to be looked at.
    """

    seen: set = field(default_factory=set, compare=False, repr=False)

    @classmethod
    def of(cls, case):
        """Return a watched copy of a case."""
        return cls(**{one.name: getattr(case, one.name) for one in fields(Case)})

    def __getattribute__(self, name):
        if name in NUMBERS and sys._getframe(1).f_code.co_name not in WHOLE:
            object.__getattribute__(self, "seen").add(name)
        return object.__getattribute__(self, name)

    @property
    def given(self):
        """The numbers that were looked at, by name."""
        return {name: object.__getattribute__(self, name) for name in NUMBERS if name in self.seen}


NUMBERS = tuple(one.name for one in fields(Case))
WHOLE = {"replace", "_replace", "__repr__", "__hash__", "__eq__"}  # what dataclasses do with all fields at once
