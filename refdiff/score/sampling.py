r"""Langevin dynamics: unadjusted, Metropolis-adjusted, annealed over noise levels; and beside it the ancestral step.

The convention is one for the whole chapter: a step of size h has drift h s and noise of variance 2 h. Texts that write
(h / 2) s and sqrt(h) z mean twice this h.
"""

import math

import numpy as np

from refdiff import reverse
from refdiff.checks import check_rng, count, one_number, points, real, same_shape, table
from refdiff.gaussian import Gaussian
from refdiff.score.field import call_score, check_score
from refdiff.score.moments import tweedie


def langevin_transition(score, x, h):
    r"""Return k(x' | x), one step of unadjusted Langevin dynamics.

    .. math:: k(x' \mid x) = \mathcal{N}\left(x + h\,s(x),\; 2h I\right), \qquad\text{that is}\qquad
        x' = x + h\,s(x) + \sqrt{2h}\,z

    Euler's step for dx = s(x) dtau + sqrt(2) dW, whose stationary law is q if s = grad log q. A text that writes
    x' = x + (h/2) s + sqrt(h) z means by h twice what is meant here.

    Parameters
    ----------
    score : callable
        ``score(x)``; for a noise level, ``lambda x: score(x, t)``.
    x : array_like, shape (..., d)
    h : float
        The step size, > 0.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        If the score is not callable or returns another shape, or h is not one number > 0.

    Notes
    -----
    Source: Roberts & Tweedie (1996), section 1.4; Song & Ermon (2019), eq. 4. Identities:
    :eq:`eq-score.langevin_transition`, :eq:`eq-score.ancestral_vs_langevin`.

    Examples
    --------
    >>> k = langevin_transition(lambda x: -x, [1.0], 0.25)
    >>> k.mean, k.var
    (array([0.75]), array([0.5]))
    """
    x, h = points(x, "x"), one_number(h, "h")
    return Gaussian(x + h * call_score(score, x), 2 * h)


def langevin_chain(score, x, rng, h, steps):
    r"""Walk n chains of unadjusted Langevin dynamics, as a generator.

    .. math:: x_k = x_{k-1} + h\,s(x_{k-1}) + \sqrt{2h}\,z_k, \qquad z_k \sim \mathcal{N}(0, I)

    Parameters
    ----------
    score : callable
        ``score(x)``.
    x : array_like, shape (n, d)
        Where the chains start.
    rng : numpy.random.Generator
    h : float
        The step size.
    steps : int

    Yields
    ------
    k : int
        From 1 to `steps`.
    x_k : ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`langevin`; at once, not with the first step.

    Notes
    -----
    Source: Song & Ermon (2019), eq. 4. Identity: :eq:`eq-score.langevin`.
    """
    check_score(score)
    x, rng, h, steps = table(x, "x"), check_rng(rng), one_number(h, "h"), count(steps, "steps")

    def walk(x):
        for k in range(1, steps + 1):
            with np.errstate(over="ignore", invalid="ignore"):  # what overflows is an error, here below
                x = langevin_transition(score, x, h).sample(rng)
            if not np.isfinite(x).all():
                raise RuntimeError(f"the chain left the finite numbers at step {k}: h is too large for this score.")
            yield k, x

    return walk(x)


def langevin(score, x, rng, h, steps, *, progress=None):
    r"""Return where n chains of unadjusted Langevin dynamics are after some steps.

    .. math:: x_k = x_{k-1} + h\,s(x_{k-1}) + \sqrt{2h}\,z_k, \qquad z_k \sim \mathcal{N}(0, I)

    **It is not MALA**, and its law is not q: nothing accepts or rejects, so for each h > 0 there is a bias that no
    number of steps removes. For N(m, v) it is known exactly: the mean is right, the variance is :func:`langevin_var`,
    v / (1 - h / (2 v)), and from h = 2 v on there is no stationary law. And it is local: modes further apart than
    their widths are not visited in proportion to their weights within any run that ends; see
    :func:`annealed_langevin`.

    Parameters
    ----------
    score : callable
        ``score(x)``; for a noise level, ``lambda x: score(x, t)``.
    x : array_like, shape (n, d)
        Where the chains start.
    rng : numpy.random.Generator
    h : float
        The step size. Where others write (h/2) s and sqrt(h) z, this is half of theirs.
    steps : int
    progress : callable, optional
        Called as ``progress(k)`` after each step.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        If the score is not callable or returns another shape, x is not (n, d) and finite, h not one number > 0, steps
        not a positive integer, or `rng` not a Generator.
    RuntimeError
        If the chain diverges beyond the finite numbers.

    Notes
    -----
    Source: Roberts & Tweedie (1996), section 1.4; Song & Ermon (2019), eq. 4. Identity: :eq:`eq-score.langevin`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = langevin(lambda x: -x, rng.standard_normal((20_000, 1)), rng, 0.5, 20)
    >>> round(float(x.var()), 1)  # of N(0, 1): 1 / (1 - h / 2) = 1.33
    1.3
    """
    for k, x_k in langevin_chain(score, x, rng, h, steps):  # noqa: B007 the last x_k is the result
        if progress is not None:
            progress(k)
    return x_k


def langevin_var(h, var=1.0):
    r"""Return the variance to which unadjusted Langevin dynamics settles on N(m, v): an AR(1) process.

    .. math:: x' - m = \left(1 - \frac hv\right)(x - m) + \sqrt{2h}\,z \quad\Longrightarrow\quad
        \operatorname{Var} = \frac{2h}{1 - (1 - h/v)^2} = \frac{v}{1 - h/(2v)}

    Too large by the factor 1 / (1 - h/(2v)), whatever the number of steps; first order in h. In the convention
    x' = x + (h/2) s + sqrt(h) z it reads v / (1 - h/(4v)).

    Parameters
    ----------
    h : float
        The step size, in (0, 2 v).
    var : array_like
        v, > 0.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If v is not > 0, or h >= 2 v, where the chain does not settle.

    Notes
    -----
    Source: Roberts & Tweedie (1996) for the algorithm; the geometric series of an AR(1) process.
    Identity: :eq:`eq-score.langevin_var`.

    Examples
    --------
    >>> float(langevin_var(0.5).round(4))
    1.3333
    """
    h, var = one_number(h, "h"), real(var, "var")
    if not (var > 0).all():
        raise ValueError(f"var must be > 0; got {var.min()}.")
    if not (h < 2 * var).all():
        raise ValueError(f"h must be < 2 var = {2 * var.min()}; got {h}: such a chain does not settle.")
    return var / (1 - h / (2 * var))


def _log_density_at(log_density, x):
    """Return log_density(x), checked to have one entry for each point."""
    if not callable(log_density):
        raise TypeError(f"log_density must be a callable log_density(x); got {type(log_density).__name__}.")
    value = real(log_density(x), "log_density(x)")
    if value.shape != x.shape[:-1]:
        raise ValueError(f"log_density(x) must have one entry for each point, {x.shape[:-1]}; got {value.shape}.")
    return value


class _Place:
    """A point with what Metropolis' rule asks of it: its log-density, and the law of the step from it."""

    def __init__(self, log_density, score, x, h):
        self.x, self.log_density = x, _log_density_at(log_density, x)
        self.step = langevin_transition(score, x, h)

    def log_ratio(self, y):
        """Return log of q(y) k(x | y) / (q(x) k(y | x)) for the move to another place."""
        forth, back = self.step.log_density(y.x), y.step.log_density(self.x)
        return y.log_density - self.log_density + back - forth

    def moved(self, y, accepted):
        """Return the place after the moves that are accepted: y there, and this one elsewhere."""
        place = object.__new__(_Place)
        place.x = np.where(accepted[..., None], y.x, self.x)
        place.log_density = np.where(accepted, y.log_density, self.log_density)
        place.step = Gaussian(np.where(accepted[..., None], y.step.mean, self.step.mean), self.step.var)
        return place


def mala_log_acceptance(log_density, score, x, y, h):
    r"""Return the log of the probability with which the Metropolis-adjusted Langevin algorithm moves from x to y.

    .. math:: \log a(x, y) = \min\left(0,\; \log\frac{q(y)\,k(x \mid y)}{q(x)\,k(y \mid x)}\right), \qquad
        k(y \mid x) = \mathcal{N}(y;\, x + h\,s(x),\, 2h I)

    The step is not symmetric, so its densities there and back do not cancel: with q(y) / q(x) alone the chain has
    another stationary law. q needs no normaliser, but it needs more than the score: with the score alone
    this cannot be computed.

    Parameters
    ----------
    log_density : callable
        ``log_density(x)`` of shape (...), up to a constant.
    score : callable
        ``score(x)``.
    x, y : array_like, shape (..., d)
    h : float
        The step size, as for :func:`langevin`.

    Returns
    -------
    ndarray, shape (...)
        At most 0.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, or as for :func:`langevin_transition`.

    Notes
    -----
    Source: Besag (1994); Roberts & Tweedie (1996), section 1.4. Identity: :eq:`eq-score.mala_log_acceptance`.

    Examples
    --------
    >>> log_density, score = lambda x: -np.sum(x**2, axis=-1) / 2, lambda x: -x
    >>> float(mala_log_acceptance(log_density, score, [1.0], [3.0], 0.5))  # N(0, 1): (h / 4) (x^2 - y^2)
    -1.0
    """
    x, y = points(x, "x"), points(y, "y")
    same_shape(x=x, y=y)
    here, there = (_Place(log_density, score, one, h) for one in (x, y))
    return np.minimum(0.0, here.log_ratio(there))


def mala_chain(log_density, score, x, rng, h, steps):
    r"""Walk n chains of the Metropolis-adjusted Langevin algorithm, as a generator.

    .. math:: y \sim k(y \mid x_{k-1}), \qquad x_k = y \text{ with probability } a(x_{k-1}, y), \text{ else } x_{k-1}

    Parameters
    ----------
    log_density, score : callable
        As for :func:`mala`.
    x : array_like, shape (n, d)
    rng : numpy.random.Generator
    h : float
    steps : int

    Yields
    ------
    k : int
        From 1 to `steps`.
    x_k : ndarray, shape (n, d)
    accepted : ndarray of bool, shape (n,)
        Its mean is the rate of acceptance of this step.

    Raises
    ------
    TypeError, ValueError
        As for :func:`mala`; at once, not with the first step.

    Notes
    -----
    Source: Roberts & Tweedie (1996), section 1.4. Identity: :eq:`eq-score.mala`.
    """
    check_score(score)
    x, rng, h, steps = table(x, "x"), check_rng(rng), one_number(h, "h"), count(steps, "steps")
    start = _log_density_at(log_density, x)
    if not np.isfinite(start).all():
        raise ValueError(f"a chain must start where log_density is finite; got {start[~np.isfinite(start)][0]}.")

    def walk():
        here = _Place(log_density, score, x, h)
        for k in range(1, steps + 1):
            there = _Place(log_density, score, here.step.sample(rng), h)
            accepted = -rng.standard_exponential(len(x)) < here.log_ratio(there)  # on the left the log of a uniform
            here = here.moved(there, accepted)
            yield k, here.x, accepted

    return walk()


def mala(log_density, score, x, rng, h, steps, *, progress=None):
    r"""Return where n chains of the Metropolis-adjusted Langevin algorithm are after some steps.

    .. math:: y = x + h\,s(x) + \sqrt{2h}\,z, \qquad
        x' = y \text{ with probability } \min\left(1, \frac{q(y)\,k(x \mid y)}{q(x)\,k(y \mid x)}\right),
        \text{ else } x' = x

    A rejected proposal leaves the point where it is, and it counts again. In detailed balance with q for every h: a
    sample of q stays one. h decides only how fast it gets there: too large and nearly all is rejected. What is accepted
    on N(0, 1) is known: :func:`mala_acceptance`. Without the second line it is :func:`langevin`, whose law is another.

    Parameters
    ----------
    log_density : callable
        ``log_density(x)``, shape (n,), up to a constant. The score alone does not do.
    score : callable
        ``score(x)``. It need not be exact: another field costs acceptance, not truth.
    x : array_like, shape (n, d)
        Where the chains start.
    rng : numpy.random.Generator
    h : float
        The step size, as for :func:`langevin`.
    steps : int
    progress : callable, optional
        Called as ``progress(k, accepted)`` after each step, with the share of the moves that was accepted.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`langevin`, and if log_density is not callable, does not return (n,), or is not finite at a start.

    Notes
    -----
    Source: Besag (1994); Roberts & Tweedie (1996), section 1.4. Identity: :eq:`eq-score.mala`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> log_density, score = lambda x: -np.sum(x**2, axis=-1) / 2, lambda x: -x
    >>> x = mala(log_density, score, rng.standard_normal((20_000, 1)), rng, 0.5, 20)
    >>> round(float(x.var()), 1)  # of N(0, 1)
    1.0
    """
    for k, x_k, accepted in mala_chain(log_density, score, x, rng, h, steps):  # noqa: B007 the last x_k is the result
        if progress is not None:
            progress(k, float(accepted.mean()))
    return x_k


def mala_acceptance(h, var=1.0):
    r"""Return the share of moves that MALA accepts on N(m, v) in one dimension, once it has settled.

    .. math:: \mathbb{E}\,a(x, y) = 1 - \frac2\pi \arctan\left[\left(\frac{h}{2v}\right)^{3/2}\right]

    The log-ratio is h (x^2 - y^2) / (4 v^2), of points measured from m: a move towards the middle is always accepted.
    By detailed balance the share is twice the probability of such a move, P(|y| < |x|), an angle between two normal
    variables. At h = 2 v, from where on Langevin dynamics does not settle, MALA still accepts one half.

    Parameters
    ----------
    h : float
        The step size.
    var : array_like
        v, > 0.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If h or v is not > 0.

    Notes
    -----
    Source: the definition of Roberts & Tweedie (1996), integrated; the power 3/2 of a small step is that of Roberts &
    Rosenthal (1998). Identity: :eq:`eq-score.mala_acceptance`.

    Examples
    --------
    >>> float(mala_acceptance(2.0)), float(mala_acceptance(0.02).round(5))
    (0.5, 0.99936)
    """
    h, var = one_number(h, "h"), real(var, "var")
    if not (var > 0).all():
        raise ValueError(f"var must be > 0; got {var.min()}.")
    return 1 - 2 / math.pi * np.arctan((h / (2 * var)) ** 1.5)


def annealed_langevin_chain(schedule, score, x_T, rng, h, steps):
    r"""Walk n chains of Langevin dynamics down the noise levels t = T, ..., 1, as a generator.

    .. math:: x \leftarrow x + h_t\,s(x, t) + \sqrt{2h_t}\,z \quad (\text{steps times}), \qquad
        h_t = h\,(1 - \bar\alpha_t), \qquad\text{then}\qquad x \leftarrow x / \sqrt{\alpha_t}

    Parameters
    ----------
    schedule : Schedule
    score : callable
    x_T : array_like, shape (n, d)
    rng : numpy.random.Generator
    h : float
    steps : int
        At each level.

    Yields
    ------
    t : int
        From T down to 1.
    x_t : ndarray, shape (n, d)
        After the steps at level t, not yet rescaled: near q(x_t).

    Raises
    ------
    TypeError, ValueError
        As for :func:`annealed_langevin`; at once, not with the first step.

    Notes
    -----
    Source: Song & Ermon (2019), Algorithm 1. Identity: :eq:`eq-score.annealed_langevin`.
    """
    check_score(score)
    x_T, rng, h, steps = table(x_T, "x_T"), check_rng(rng), one_number(h, "h"), count(steps, "steps")
    if not (schedule.alpha[1:] > 0).all():
        raise ValueError("annealed_langevin needs alpha_t > 0 at each t: the levels are rescaled by it.")

    def walk(x):
        for t in range(schedule.T, 0, -1):
            h_t = h * schedule.one_minus_alpha_bar[t]
            x_t = langevin(lambda x, t=t: score(x, t), x, rng, h_t, steps)
            yield t, x_t
            x = x_t / np.sqrt(schedule.alpha[t])

    return walk(x_T)


def annealed_langevin(schedule, score, x_T, rng, h, steps, *, denoise=False, progress=None):
    r"""Return samples of the data by Langevin dynamics down the noise levels t = T, ..., 1.

    .. math:: x \leftarrow x + h_t\,s(x, t) + \sqrt{2h_t}\,z \quad (\text{steps times}), \qquad
        h_t = h\,(1 - \bar\alpha_t), \qquad\text{then}\qquad x \leftarrow x / \sqrt{\alpha_t}

    Where much noise joins the modes the chains find their weights, and carry them down. In coordinates
    y = x / sqrt(alpha_bar) it is Algorithm 1 of Song & Ermon: there the noise levels are sigma_t^2 = (1 - alpha_bar_t)
    / alpha_bar_t, the step at each is h sigma_t^2, and nothing is rescaled. The steps have to shrink with the noise
    *variance*; then drift and noise keep their proportions at each level. Song & Ermon write alpha/2 and
    sqrt(alpha), so their epsilon / sigma_L^2 is 2 h.

    What is returned is y at the last level, t = 1: the data plus noise of variance (1 - alpha_bar_1) / alpha_bar_1,
    with the bias of Langevin dynamics; or, with `denoise`, the mean of x_0 given it.

    Parameters
    ----------
    schedule : Schedule
        The ladder of noise levels.
    score : callable
        ``score(x_t, t)``, of q(x_t); from a denoiser by :func:`from_denoiser`.
    x_T : array_like, shape (n, d)
        Where the chains start: N(0, I), or anywhere, if the level T forgets it.
    rng : numpy.random.Generator
    h : float
        The step size in units of the noise variance, in (0, 2) for any data; .05 to .5 is usual.
    steps : int
        At each level.
    denoise : bool
        Whether to return E[x_0 | x_1] instead, by Tweedie's formula.
    progress : callable, optional
        Called as ``progress(t)`` after each level.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`langevin`, and if a beta is 1.
    RuntimeError
        If the chain diverges beyond the finite numbers.

    Notes
    -----
    Source: Song & Ermon (2019), Algorithm 1; the last step of `denoise`, Jolicoeur-Martineau et al. (2020).
    Identity: :eq:`eq-score.annealed_langevin`.

    Examples
    --------
    >>> from refdiff import GaussianMixture, Schedule
    >>> from refdiff.score import from_denoiser
    >>> schedule, data = Schedule.vp(30), GaussianMixture([0.8, 0.2], [[-4.0], [4.0]], 0.1)
    >>> score, rng = from_denoiser(schedule, data.denoiser(schedule)), np.random.default_rng(0)
    >>> x = annealed_langevin(schedule, score, rng.standard_normal((4000, 1)), rng, 0.3, 10)
    >>> bool(abs(np.mean(x < 0) - 0.8) < 0.03)
    True
    """
    for t, x_t in annealed_langevin_chain(schedule, score, x_T, rng, h, steps):  # noqa: B007 the last x_t is x_1
        if progress is not None:
            progress(t)
    return tweedie(schedule, score, x_t, 1) if denoise else x_t / schedule.signal_rate[1]


def ancestral_transition(schedule, score, x_t, t, variance="beta"):
    r"""Return p(x_{t-1} | x_t) in terms of the score: the step of DDPM, to be read beside that of Langevin.

    .. math:: p(x_{t-1} \mid x_t) = \mathcal{N}\left(\frac{x_t + \beta_t\,s(x_t, t)}{\sqrt{\alpha_t}},\;
        \sigma_t^2 I\right)

    Its mean is E[x_{t-1} | x_t], exactly, for any data and beta, if s is the score of q(x_t). **It is no Langevin
    step.** With h = beta_t / 2 the noise is the same, but the means differ already in first order,

    .. math:: \frac{x + \beta s}{\sqrt{1 - \beta}} - \left(x + \frac\beta2 s\right)
        = \frac\beta2\,(x + s) + O(\beta^2)

    by a step of the probability flow. Langevin's step leaves q(x_t) where it is; this one takes it to q(x_{t-1}). For
    data N(0, v_0) and x_t of variance v, exactly: the ancestral step leads to the variance of x_{t-1} plus
    beta_t^2 (1/v - 1) / alpha_t, the Langevin step to v plus beta_t^2 / (4 v). Iterated at one t it does not settle at
    v, but at :func:`ancestral_var`.

    Parameters
    ----------
    schedule : Schedule
    score : callable
        ``score(x_t, t)``.
    x_t : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.
    variance : {"beta", "posterior"} or array_like, shape (T + 1,)
        sigma_t^2; see :func:`refdiff.reverse.var`.

    Returns
    -------
    Gaussian
        The same as :func:`refdiff.reverse.transition` of the denoiser that belongs to s.

    Raises
    ------
    TypeError, ValueError
        If t is not a step for each point, the score is not callable or returns another shape, or alpha_t = 0.

    Notes
    -----
    Source: Song et al. (2021), eq. 4; Ho, Jain & Abbeel (2020), eq. 11, with the score for eps. Identities:
    :eq:`eq-score.ancestral_transition`, :eq:`eq-score.ancestral_vs_langevin`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> ancestral_transition(Schedule.from_betas([0.75]), lambda x_t, t: -x_t, [2.0], 1).mean
    array([1.])
    """
    x_t = points(x_t, "x_t")
    index = schedule.index(t, x_t)
    beta, alpha = schedule.beta[index], schedule.alpha[index]
    if np.any(alpha == 0):
        raise ValueError(f"ancestral_transition needs alpha_t > 0; got t = {np.max(t)} with beta_t = 1.")
    sigma_2 = reverse.var(schedule, t, variance)
    if np.ndim(sigma_2):
        sigma_2 = sigma_2[..., None]
    return Gaussian((x_t + beta * call_score(score, x_t, t)) / np.sqrt(alpha), sigma_2, point_mass=True)


def ancestral_var(beta, var):
    r"""Return the variance to which the ancestral step settles if it is iterated at one t, where x_t is N(m, v).

    .. math:: x' = \frac{x + \beta s(x)}{\sqrt{1 - \beta}} + \sqrt\beta\,z, \quad s(x) = -\frac{x - m}{v}
        \quad\Longrightarrow\quad \operatorname{Var}
        = \frac{\beta}{1 - a^2} = \frac{v}{2 - v} + O(\beta), \qquad a = \frac{1 - \beta/v}{\sqrt{1 - \beta}}

    It is not v, unless v = 1: nothing in the ancestral step preserves q(x_t). Langevin dynamics with the same noise,
    h = beta / 2, settles at v / (1 - beta / (4 v)), which goes to v as beta goes to 0.

    Parameters
    ----------
    beta : float
        In (0, 1).
    var : array_like
        v, > 0.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If beta is not in (0, 1) or v not > 0, and where |a| >= 1, as for v of 2 and more and small beta: then it does
        not settle.

    Notes
    -----
    Source: the step of Ho, Jain & Abbeel (2020), Algorithm 2; the geometric series of an AR(1) process.
    Identity: :eq:`eq-score.ancestral_var`.

    Examples
    --------
    >>> float(ancestral_var(1e-9, 0.5).round(6))  # v / (2 - v)
    0.333333
    """
    beta, var = one_number(beta, "beta"), real(var, "var")
    if not beta < 1:
        raise ValueError(f"beta must be in (0, 1); got {beta}.")
    if not (var > 0).all():
        raise ValueError(f"var must be > 0; got {var.min()}.")
    left = beta * (1 / var * (2 - beta / var) - 1) / (1 - beta)  # 1 - a^2, without a difference of near numbers
    if not (left > 0).all():
        raise ValueError(f"the step does not settle at beta = {beta} and var = {var[~(left > 0)].flat[0]}: |a| >= 1.")
    return beta / left
