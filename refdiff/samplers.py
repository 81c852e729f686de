r"""Every sampler under one signature, so that they can be measured beside each other: what each costs and declares.

A :class:`Process` is what a sampler walks back: a chain with its denoiser, and the same process in continuous time with
its score. A :class:`Sampler` walks it down a grid of steps or of times, as a generator of (t, x_t) or (s, x_s), and
says how many calls of the denoiser that takes and with which power of the step its error falls.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from refdiff import continuous, reverse
from refdiff.checks import check_denoiser, check_rng, count, table
from refdiff.distance import energy_to_mixture
from refdiff.mixture import GaussianMixture
from refdiff.reverse.walks import last
from refdiff.schedule import Schedule

__all__ = ["SAMPLERS", "SPACINGS", "Process", "Sampler", "Score", "draw", "error", "race"]

CHURN = 10.0  # of EDM; Karras et al. use 30 to 80 for images
CORRECTION = 1.0  # K times h, the step of the corrector, which has to shrink with the steps to cost no order


@dataclass(frozen=True)
class Process:
    """A diffusion to be walked back: as a chain, and in continuous time, where t = s T.

    Attributes
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    sde : VP or None
        Of which the schedule is what one sees at s = t / T; None for another schedule, which only the samplers of a
        chain can walk.
    score : callable or None
        ``score(x, s)``.
    """

    schedule: Schedule
    denoiser: Callable
    sde: continuous.VP | None = None
    score: Callable | None = None

    @classmethod
    def of_mixture(cls, mixture, T=1000, sde=None):
        """Return the process of mixture data, with its exact denoiser and its exact score.

        Parameters
        ----------
        mixture : GaussianMixture
        T : int
            The steps of the chain.
        sde : VP, optional
            The equation; by default ``VP()``.

        Raises
        ------
        TypeError
            If the law is no GaussianMixture or the equation no VP.

        Examples
        --------
        >>> process = Process.of_mixture(GaussianMixture([1.0], [[0.0]], 1.0), T=10)
        >>> process.schedule.T
        10
        """
        if not isinstance(mixture, GaussianMixture):
            raise TypeError(f"mixture must be a GaussianMixture; got {type(mixture).__name__}.")
        schedule, sde = _chain_of(sde, T)
        return cls(schedule, mixture.denoiser(schedule), sde, continuous.ideal_score(sde, mixture))

    @classmethod
    def of_denoiser(cls, denoiser, T, sde=None):
        """Return the process that a denoiser was trained for on ``Schedule.vp(T)``.

        Between two steps its answers are interpolated: see :func:`refdiff.continuous.denoiser_between_steps`.

        Parameters
        ----------
        denoiser : callable
            ``eps_hat = denoiser(x_t, t)``.
        T : int
        sde : VP, optional

        Raises
        ------
        TypeError
            If the denoiser cannot be called or the equation is no VP.
        """
        check_denoiser(denoiser)
        schedule, sde = _chain_of(sde, T)
        between = continuous.denoiser_between_steps(denoiser, T)
        return cls(schedule, denoiser, sde, continuous.score_from_denoiser(sde, between))


def _chain_of(sde, T):
    """Return the chain that is the equation, looked at in T steps, and the equation."""
    sde = continuous.VP() if sde is None else sde
    if not isinstance(sde, continuous.VP):
        raise TypeError(f"sde must be a VP, whose steps Schedule.vp has exactly; got {type(sde).__name__}.")
    return Schedule.vp(T, sde.beta_min, sde.beta_max), sde


# How the steps are spread: for a chain the steps tau_1 < ... < tau_K = T, in continuous time from 1 down to 0.
SPACINGS = {
    "even": (
        lambda process, K, first: reverse.even_steps(process.schedule, K),
        lambda process, K, first: continuous.even_times(K, 1.0, 0.0),
    ),
    "log_snr": (
        lambda process, K, first: reverse.log_snr_steps(process.schedule, K, first=first),
        lambda process, K, first: _ended(continuous.log_snr_times, process, K, first),
    ),
    "edm": (
        lambda process, K, first: reverse.edm_steps(process.schedule, K, first=first),
        lambda process, K, first: _ended(continuous.edm_times, process, K, first),
    ),
}


def _ended(times, process, K, first):
    """Return K steps from 1 to 0, of which the last begins at first / T."""
    if K == 1:
        return np.array([1.0, 0.0])
    return np.append(times(process.sde, K - 1, 1.0, first / process.schedule.T), 0.0)


def _check_known(name, value, known):
    """Raise ValueError unless the value is one of those known."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}.")


@dataclass(frozen=True)
class Sampler:
    """A way to walk a process back.

    Attributes
    ----------
    title : str
    order : int
        The power of the step with which the error falls between two levels of noise, if the steps are spread smoothly:
        that of each path where no noise is added, else that of expectations (weak order).
    noisy : bool
        Whether it adds noise.
    per_step, spared : int
        It asks the denoiser `per_step` times a step, and `spared` times less in all.
    in_time : bool
        Whether it walks in continuous time, or on the steps of a chain.
    path : callable
        ``path(process, x, rng, grid)``, a generator of (t, x_t) down to 0.
    """

    title: str
    order: int
    noisy: bool
    per_step: int
    spared: int
    in_time: bool
    path: Callable

    def steps(self, calls):
        """Return how many steps can be made by so many calls of the denoiser.

        Raises
        ------
        TypeError, ValueError
            If `calls` is no integer, or does not suffice for one step.

        Examples
        --------
        >>> SAMPLERS["ddim"].steps(10), SAMPLERS["heun"].steps(10)
        (10, 5)
        """
        steps = (count(calls, "calls") + self.spared) // self.per_step
        if steps < 1:
            raise ValueError(f"calls must be at least {self.per_step - self.spared} for {self.title}; got {calls}.")
        return steps

    def calls(self, steps):
        """Return how many times so many steps ask the denoiser.

        Examples
        --------
        >>> SAMPLERS["heun"].calls(5)
        9
        """
        return self.per_step * count(steps, "steps") - self.spared

    def grid(self, process, steps, spacing="even", first=1):
        """Return the steps of a chain, increasing, or the times, decreasing, that the sampler is to visit.

        Parameters
        ----------
        process : Process
        steps : int
        spacing : {"even", "log_snr", "edm"}
            Even in t, in the logarithm of the signal-to-noise ratio, or as Karras et al. (2022) have it.
        first : int
            The t of least noise, from which the last step leads to clean data; what is even in t has its own. The
            steps that are spared below it serve better above, as long as the noise at it is small beside the detail of
            the data.

        Raises
        ------
        TypeError, ValueError
            If there is no such spacing, or there are not so many steps from `first` on.
        """
        _check_known("spacing", spacing, SPACINGS)
        of_chain, of_time = SPACINGS[spacing]
        steps, first, T = count(steps, "steps"), count(first, "first"), process.schedule.T
        if self.in_time and first + (steps > 1) > T:
            raise ValueError(f"first must be below T = {T}; got {first}.")
        return (of_time if self.in_time else of_chain)(process, steps, first)


def _ancestral(process, x, rng, steps):
    """Walk the chain that is looked at only at some of its steps, with the variance beta of that chain."""

    def denoiser(x_t, k):
        return process.denoiser(x_t, int(steps[k - 1]))

    for k, x_t in reverse.ancestral(process.schedule.respace(steps), denoiser, x, rng, "beta"):
        yield int(steps[k - 1]) if k else 0, x_t


#: Every sampler by name, with what it costs and the order that it declares.
SAMPLERS = {
    "ancestral": Sampler(
        "ancestral, variance posterior",
        *(1, True, 1, 0, False),
        lambda process, x, rng, steps: reverse.ddim_path(process.schedule, process.denoiser, x, rng, steps, 1.0),
    ),
    "ancestral_beta": Sampler("ancestral, variance beta", 1, True, 1, 0, False, _ancestral),
    "ddim": Sampler(
        "DDIM",
        *(1, False, 1, 0, False),
        lambda process, x, rng, steps: reverse.ddim_path(process.schedule, process.denoiser, x, rng, steps, 0.0),
    ),
    "dpmpp_2m": Sampler(
        "DPM-Solver++(2M)",
        *(2, False, 1, 0, False),
        lambda process, x, rng, steps: reverse.dpmpp_2m_path(process.schedule, process.denoiser, x, steps),
    ),
    "heun": Sampler(
        "Heun (EDM)",
        *(2, False, 2, 1, False),
        lambda process, x, rng, steps: reverse.heun_path(process.schedule, process.denoiser, x, steps),
    ),
    "edm": Sampler(
        "EDM with churn",
        *(2, True, 2, 1, True),
        lambda process, x, rng, times: continuous.edm_path(process.sde, process.score, x, rng, times, CHURN),
    ),
    "euler_maruyama": Sampler(
        "Euler–Maruyama",
        *(1, True, 1, 0, True),
        lambda process, x, rng, times: continuous.euler_maruyama_path(process.sde, process.score, x, rng, times),
    ),
    "predictor_corrector": Sampler(
        "predictor–corrector",
        *(1, True, 2, 1, True),
        lambda process, x, rng, times: continuous.predictor_corrector_path(
            process.sde, process.score, x, rng, times, CORRECTION / (len(times) - 1)
        ),
    ),
}


def draw(sampler, process, x, rng, steps, spacing="even", first=1, *, progress=None):
    """Return where a sampler takes points of noise.

    Parameters
    ----------
    sampler : str
        A key of :data:`SAMPLERS`.
    process : Process
    x : array_like, shape (n, d)
        Points of N(0, I).
    rng : numpy.random.Generator
    steps : int
    spacing : {"even", "log_snr", "edm"}
    first : int
        As for :meth:`Sampler.grid`.
    progress : callable, optional
        Called as ``progress(taken)`` after each step.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        If there is no such sampler or spacing, x is not (n, d), or `steps` no positive integer.

    Examples
    --------
    >>> process = Process.of_mixture(GaussianMixture([1.0], [[2.0]], 0.25))
    >>> x = draw("dpmpp_2m", process, [[1.0]], np.random.default_rng(0), 20, "log_snr")
    >>> bool(abs(x[0, 0] - 2.5) < 0.01)  # one standard deviation above the mean, as it began
    True
    """
    _check_known("sampler", sampler, SAMPLERS)
    one = SAMPLERS[sampler]
    grid = one.grid(process, steps, spacing, first)
    return last(one.path(process, table(x, "x"), check_rng(rng), grid), progress)


def error(sampler, mixture, calls, n, rng, *, process=None, spacing="even", first=1):
    r"""Return how far n points that a sampler draws with the exact score are from the law of the data.

    .. math:: D = 2\,\mathbb{E}|X - Y| - \mathbb{E}|X - X'| - \mathbb{E}|Y - Y'|

    estimated without bias by :func:`refdiff.distance.energy_to_mixture`: independent values may be averaged, and the
    standard error of their mean says what it is worth, if they are many: :meth:`Score.error_beside`.

    Parameters
    ----------
    sampler : str
        A key of :data:`SAMPLERS`.
    mixture : GaussianMixture
    calls : int
        How many times the denoiser may be asked for each point.
    n : int
    rng : numpy.random.Generator
        Draws x_T first, so that samplers given the same seed begin at the same points.
    process : Process, optional
        That of the mixture on 1000 steps, if not given.
    spacing : {"even", "log_snr", "edm"}
    first : int
        As for :meth:`Sampler.grid`.

    Returns
    -------
    float
        In the units of the points; for a perfect sampler 0 in the mean.

    Raises
    ------
    TypeError, ValueError
        As for :func:`draw`, and if the calls do not suffice for a step.

    Examples
    --------
    >>> data, rng = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.1), np.random.default_rng(0)
    >>> few, many = (error("ddim", data, calls, 1000, rng) for calls in (3, 100))
    >>> few > 0.01 > many
    True
    """
    _check_known("sampler", sampler, SAMPLERS)
    process = Process.of_mixture(mixture) if process is None else process
    steps = SAMPLERS[sampler].steps(calls)
    x_T = check_rng(rng).standard_normal((count(n, "n", least=2), mixture.means.shape[1]))
    return energy_to_mixture(draw(sampler, process, x_T, rng, steps, spacing, first), mixture)


@dataclass(frozen=True)
class Score:
    """How far the points of a sampler are from the law, over several seeds.

    Attributes
    ----------
    sampler : str
        A key of :data:`SAMPLERS`, or "exact" for points of the law itself.
    spacing : str
        "" for exact points.
    calls : int
        How many calls of the denoiser were allowed; 0 for exact points.
    values : tuple of float
        :func:`error`, one value for each seed.
    """

    sampler: str
    spacing: str
    calls: int
    values: tuple

    @property
    def mean(self):
        """The mean over the seeds."""
        return float(np.mean(self.values))

    @property
    def standard_error(self):
        """The standard error of the mean; NaN for one seed, and little worth for few: see :meth:`error_beside`."""
        return float(np.std(self.values, ddof=1) / np.sqrt(len(self.values))) if len(self.values) > 1 else float("nan")

    def error_beside(self, exact):
        """Return the standard error of the mean, but no less than that of as many exact points.

        What a sampler does wrong adds to the spread of exact points and takes nothing away; a spread below it is luck.

        Parameters
        ----------
        exact : Score
            Of points of the law itself, with the same n and as many seeds.
        """
        return max(self.standard_error, exact.standard_error)


def race(mixture, calls, seeds, n, *, names=None, spacings=("even",), first=1, T=1000):
    """Measure samplers on mixture data with the exact score, as a generator.

    With the same seed all samplers begin at the same points, so that their errors go together, and they differ by less
    than their errors do.

    Parameters
    ----------
    mixture : GaussianMixture
    calls : sequence of int
        How many calls of the denoiser to allow.
    seeds : sequence of int
    n : int
        Points for each seed.
    names : sequence of str, optional
        Keys of :data:`SAMPLERS`; all of them if not given.
    spacings : sequence of {"even", "log_snr", "edm"}
    first : int
        As for :meth:`Sampler.grid`.
    T : int
        The steps of the chain.

    Yields
    ------
    Score
        First that of exact points, then each sampler's in the order given. What a sampler cannot do with so few calls
        is left out.

    Raises
    ------
    TypeError, ValueError
        As for :func:`error`.

    Examples
    --------
    >>> data = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.1)
    >>> for score in race(data, [10], range(3), 500, names=["ddim", "dpmpp_2m"], spacings=["log_snr"], T=100):
    ...     print(score.sampler, score.calls, len(score.values))
    exact 0 3
    ddim 10 3
    dpmpp_2m 10 3
    """
    process = Process.of_mixture(mixture, T)
    names, seeds = list(SAMPLERS) if names is None else list(names), list(seeds)
    for name in names:
        _check_known("names", name, SAMPLERS)
    for spacing in spacings:
        _check_known("spacings", spacing, SPACINGS)

    def exact(seed):
        return energy_to_mixture(mixture.sample(n, np.random.default_rng(seed)), mixture)

    yield Score("exact", "", 0, tuple(exact(seed) for seed in seeds))
    for name, spacing, number in itertools.product(names, spacings, calls):
        if number >= SAMPLERS[name].calls(1):
            how = {"process": process, "spacing": spacing, "first": first}
            values = [error(name, mixture, number, n, np.random.default_rng(seed), **how) for seed in seeds]
            yield Score(name, spacing, number, tuple(values))
