r"""The reverse chain itself: p(x_{t-1} | x_t), and ancestral sampling, which walks every step of it."""

import functools

import numpy as np

from refdiff.checks import call_denoiser, check_rng, points
from refdiff.gaussian import Gaussian
from refdiff.kernels.streams import threads_to_use
from refdiff.parameterize import mean_from_eps
from refdiff.reverse.variance import var
from refdiff.reverse.walks import descend, end, linear, start

__all__ = ["ancestral", "sample", "transition"]


def transition(schedule, denoiser, x_t, t, variance="posterior"):
    r"""Return p(x_{t-1} | x_t), one step of the reverse process.

    .. math:: p(x_{t-1} \mid x_t) = \mathcal{N}\left(\frac{1}{\sqrt{\alpha_t}}
        \left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\hat\epsilon(x_t, t)\right),\; \sigma_t^2 I\right)

    With ``variance="posterior"`` the step from t = 1 is a point mass, since beta_tilde_1 = 0.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    x_t : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.
    variance : {"posterior", "beta"} or array_like, shape (T + 1,)
        sigma_t^2; see :func:`var`.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        If t is not a step for each point, the denoiser returns another shape, the choice of variance has another
        name, or alpha_bar_t = 0, where eps says nothing of x_0.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 1 and 11.
    Identities: :eq:`eq-reverse.transition_mean`, :eq:`eq-reverse.transition_var`.
    """
    x_t = points(x_t, "x_t")
    sigma_2 = var(schedule, t, variance)
    if np.ndim(sigma_2):
        sigma_2 = sigma_2[..., None]
    return Gaussian(mean_from_eps(schedule, x_t, call_denoiser(denoiser, x_t, t), t), sigma_2, point_mass=True)


def ancestral(schedule, denoiser, x_T, rng, variance="posterior"):
    r"""Walk the reverse process from x_T down, as a generator: Algorithm 2.

    .. math:: x_{t-1} = \mu(x_t, t) + \sigma_t z, \qquad z \sim \mathcal{N}(0, I) \;\text{for}\; t > 1, \quad z = 0
        \;\text{for}\; t = 1

    The last step returns the mean of p(x_0 | x_1). With ``variance="beta"`` that is a choice: beta_1 > 0, and
    the model's own x_0 has this much more variance.

    T calls of the denoiser. In the length of a step it is of weak order 1.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
    x_T : array_like, shape (n, d)
    rng : numpy.random.Generator
    variance : {"posterior", "beta"} or array_like, shape (T + 1,)
        See :func:`var`.

    Yields
    ------
    t : int
        From T - 1 down to 0.
    x_t : ndarray, shape (n, d)

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), Algorithm 2. Identity: :eq:`eq-reverse.ancestral`.
    """
    yield from _ancestral(schedule, denoiser, x_T, check_rng(rng).standard_normal, variance)


def _ancestral(schedule, denoiser, x_T, draw, variance):
    """Walk as :func:`ancestral` does, with noise from ``draw(shape)``."""
    steps = range(schedule.T + 1)

    def step(x_t, s, t):
        return transition(schedule, denoiser, x_t, t, variance)

    yield from descend(step, steps, points(x_T, "x_T"), draw)


def ancestral_coefficients(schedule, variance):
    """Return t, a, b, c, each (T,), of the steps of :func:`ancestral` as it walks: t = T, ..., 1."""
    t = np.arange(schedule.T, 0, -1)
    return linear(lambda denoiser, x_t: transition(schedule, denoiser, x_t, t, variance), t, t - 1)


def sample(schedule, denoiser, n, d, rng, variance="posterior", *, threads=1, progress=None):
    r"""Draw n points from the model by ancestral sampling.

    .. math:: x_T \sim \mathcal{N}(0, I), \qquad x_{t-1} \sim p(x_{t-1} \mid x_t), \quad t = T, \ldots, 2,
        \qquad x_0 = \mu(x_1, 1)

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    n, d : int
    rng : numpy.random.Generator
    variance : {"posterior", "beta"} or array_like, shape (T + 1,)
        See :func:`var`.
    threads : int or None
        For a denoiser with compiled walks, as :class:`refdiff.network.MLP` is, if there is much to do: how many blocks
        of points are worked on at a time; None is one for each processor. The result is the same at any number, to the
        bit, and the noise is the same without compiled walks.
    progress : callable, optional
        Called as ``progress(taken)`` now and then, with how many steps have been taken.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`transition`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), Algorithm 2; :func:`ancestral` gives the path. Identity: :eq:`eq-reverse.sample`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> standard = lambda x_t, t: np.sqrt(schedule.one_minus_alpha_bar[t]) * x_t  # ideal for data N(0, I)
    >>> schedule = Schedule.vp(50)
    >>> sample(schedule, standard, 4, 2, np.random.default_rng(0)).shape
    (4, 2)
    """
    threads = threads_to_use(threads)
    path = functools.partial(_ancestral, schedule, denoiser, variance=variance)
    return end(path, ancestral_coefficients(schedule, variance), denoiser, start(n, d, rng), threads, progress)
