r"""The reverse process p: a Markov chain of Gaussians that turns noise into data with the help of a denoiser.

A denoiser is any callable ``eps_hat = denoiser(x_t, t)``: a network, the ideal denoiser of mixture data, a lambda.
The variance of a step is a choice: beta_t, beta_tilde_t, what lies between, or the best number for given data. So is
the sampler: ancestral sampling walks every step of the chain, DDIM some of them, with as much noise as wanted.
"""

import functools

import numpy as np

from refdiff import forward
from refdiff.bayes import require_signal
from refdiff.checks import call_denoiser, check_rng, count, points, real, table
from refdiff.gaussian import Gaussian
from refdiff.kernels.streams import Streams, engine_of, threads_to_use
from refdiff.parameterize import mean_from_eps, x_0_from_eps

__all__ = [
    "ancestral",
    "ddim",
    "ddim_path",
    "ddim_transition",
    "ddim_var",
    "decoder_var",
    "eps_loss",
    "interpolated_var",
    "optimal_var",
    "prior",
    "sample",
    "transition",
    "var",
]


def var(schedule, t, variance="posterior"):
    r"""Return sigma_t^2, the variance of the reverse step, by the name of its choice.

    .. math:: \sigma_t^2 = \tilde\beta_t \;\text{("posterior")} \qquad\text{or}\qquad
        \sigma_t^2 = \beta_t \;\text{("beta")} \qquad\text{or as you choose}

    All are variances: the step adds sqrt(sigma_t^2) z. beta_t is the best choice for data N(0, I), beta_tilde_t
    for data at one point. They differ much in the first steps, however many there are, and with few steps everywhere;
    neither is the best for other data: that is :func:`optimal_var`. Between the two lies :func:`interpolated_var`.

    Parameters
    ----------
    schedule : Schedule
    t : int or ndarray of int
        In 1..T.
    variance : {"posterior", "beta"} or array_like, shape (T + 1,)
        A name, or sigma_t^2 itself for all t, entry 0 unused; > 0, but for entry 1, which may be 0.

    Returns
    -------
    ndarray

    Raises
    ------
    TypeError, ValueError
        If the choice has another name, or the array another shape or an entry that is no variance.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), section 3.2. Identity: ``reverse.var``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.5, 0.5])
    >>> round(float(var(schedule, 2, "posterior")), 4), float(var(schedule, 2, "beta"))
    (0.3333, 0.5)
    """
    t = schedule.index(t)
    if not isinstance(variance, str):
        return _variances(schedule, variance)[t]
    choices = {"posterior": schedule.beta_tilde, "beta": schedule.beta}
    if variance not in choices:
        raise ValueError(
            f"variance must be 'posterior' (beta_tilde_t), 'beta' (beta_t) or an array (T + 1,); got {variance!r}."
        )
    return choices[variance][t]


def _variances(schedule, variance):
    """Return an array of sigma_t^2 for t = 0..T, checked."""
    sigma_2 = real(variance, "variance")
    if sigma_2.shape != (schedule.T + 1,):
        raise ValueError(
            f"variance must have shape (T + 1,) = ({schedule.T + 1},), entry 0 unused; got {sigma_2.shape}."
            " One number for all steps? np.full(T + 1, number)."
        )
    wrong = ~(sigma_2[1:] > 0) | ~np.isfinite(sigma_2[1:])
    wrong[0] &= sigma_2[1] != 0  # beta_tilde_1 is 0
    if wrong.any():
        t = 1 + int(np.argmax(wrong))
        raise ValueError(f"variance must be > 0 and finite at each t; got {sigma_2[t]} at t = {t}. A log-variance?")
    return sigma_2


def interpolated_var(schedule, v):
    r"""Return sigma_t^2 between beta_tilde_t and beta_t, as networks with a learnt variance parameterise it.

    .. math:: \log\sigma_t^2 = v_t \log\beta_t + (1 - v_t) \log\tilde\beta_t

    v = 1 is the variance "beta", v = 0 "posterior". At t = 1 it is beta_1^v * 0^(1 - v): 0 for each v < 1. A network
    that puts out values in [-1, 1] means v = (output + 1) / 2.

    Parameters
    ----------
    schedule : Schedule
    v : float or array_like, shape (T + 1,)
        In [0, 1]; entry 0 is not used.

    Returns
    -------
    ndarray, shape (T + 1,)
        To be passed on as ``variance``; entry 0 is 0.

    Raises
    ------
    ValueError
        If v has another shape or is not in [0, 1].

    Notes
    -----
    Source: Nichol & Dhariwal (2021), eq. 15; there beta_tilde_1 is replaced by beta_tilde_2, so that the decoder has
    ``decoder_var=beta_1**v_1 * beta_tilde_2**(1 - v_1)``. Identity: ``reverse.interpolated_var``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> interpolated_var(Schedule.from_betas([0.5, 0.5]), 0.5).round(4)
    array([0.    , 0.    , 0.4082])
    """
    v = real(v, "v")
    if v.shape not in ((), (schedule.T + 1,)):
        raise ValueError(f"v must be one number or (T + 1,) = ({schedule.T + 1},); got {v.shape}.")
    if not ((v >= 0) & (v <= 1)).all():
        raise ValueError(f"v must lie in [0, 1]; got {v.min()} to {v.max()}. An output in [-1, 1]? (output + 1) / 2.")
    sigma_2 = schedule.beta**v * schedule.beta_tilde ** (1 - v)
    sigma_2[0] = 0.0
    return sigma_2


def eps_loss(schedule, denoiser, x_0, rng):
    r"""Estimate the mean squared error of a denoiser, per coordinate, at each t.

    .. math:: \ell_t = \frac1d\,\mathbb{E}_{q(x_0),\,\epsilon} \Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2, \qquad
        x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon

    d times its mean over t is L_simple. It is what :func:`optimal_var` asks for. For mixture data and their ideal
    denoiser it is exact: :meth:`refdiff.mixture.GaussianMixture.eps_loss`.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    x_0 : array_like, shape (n, d)
        Points of the data.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (T + 1,)
        Entry 0 is 0.

    Raises
    ------
    TypeError, ValueError
        If x_0 is not (n, d) or the denoiser returns another shape.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 14, not averaged over t. Identity: ``reverse.eps_loss``.
    """
    x_0, rng, losses = table(x_0, "x_0"), check_rng(rng), np.zeros(schedule.T + 1)
    for t in range(1, schedule.T + 1):
        eps = rng.standard_normal(x_0.shape)
        eps_hat = call_denoiser(denoiser, forward.diffuse(schedule, x_0, eps, t), t)
        losses[t] = np.mean((eps - eps_hat) ** 2)
    return losses


def optimal_var(schedule, eps_loss):
    r"""Return the sigma_t^2 for which the bound of a denoiser is lowest: the mean squared error of its mean.

    .. math:: \sigma_t^{*2} = \tilde\beta_t + \frac{\beta_t^2}{\alpha_t\,(1 - \bar\alpha_t)}\,\ell_t
        = \tfrac1d\,\mathbb{E}\Vert x_{t-1} - \mu(x_t, t)\Vert^2, \qquad
        \ell_t = \tfrac1d\,\mathbb{E}\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2

    One number per step, the same for all x_t and coordinates. It is what the posterior leaves open, beta_tilde_t, and
    what the denoiser leaves open of x_0. For the ideal denoiser the loss is 1 - E ||eps*||^2 / d, as Analytic-DPM has
    it, and sigma_t^2 the mean variance of x_{t-1} given x_t: beta_tilde_t for data at a point, beta_t for data N(0, I),
    in between for other data of unit variance. Entry 1 is the best variance of the decoder: pass it on as
    ``decoder_var``.

    Parameters
    ----------
    schedule : Schedule
    eps_loss : array_like, shape (T + 1,)
        At each t, entry 0 unused: from :meth:`refdiff.mixture.GaussianMixture.eps_loss` for the ideal denoiser, or
        estimated by :func:`eps_loss` for any.

    Returns
    -------
    ndarray, shape (T + 1,)
        To be passed on as ``variance``; entry 0 is 0.

    Raises
    ------
    ValueError
        If an entry is not >= 0 and finite, and where alpha_bar_t = 0.

    Notes
    -----
    Source: Bao et al. (2022), theorem 1, for the ideal denoiser. Identities: ``reverse.optimal_var``,
    ``reverse.optimal_var_is_optimal``.

    Examples
    --------
    >>> from refdiff import GaussianMixture, Schedule
    >>> schedule, data = Schedule.from_betas([0.5, 0.5]), GaussianMixture([1.0], [[0.0]], 1.0)
    >>> optimal_var(schedule, data.eps_loss(schedule)).round(6)  # N(0, 1): beta_t
    array([0. , 0.5, 0.5])
    """
    loss = real(eps_loss, "eps_loss")
    if loss.shape != (schedule.T + 1,):
        raise ValueError(f"eps_loss must have shape (T + 1,) = ({schedule.T + 1},); got {loss.shape}.")
    if not ((loss[1:] >= 0) & np.isfinite(loss[1:])).all():
        raise ValueError(f"eps_loss must be >= 0 and finite at t = 1..T; got {loss[1:].min()} to {loss[1:].max()}.")
    t = np.arange(1, schedule.T + 1)
    require_signal(schedule, t)
    left_open = schedule.beta[t] ** 2 / (schedule.alpha[t] * schedule.one_minus_alpha_bar[t]) * loss[t]
    return np.concatenate([[0.0], schedule.beta_tilde[t] + left_open])


def decoder_var(schedule, convention="beta_1"):
    r"""Return the variance of the decoder p(x_0 | x_1), by the name of its convention.

    .. math:: \sigma_1^2 = \beta_1 \qquad\text{or}\qquad \sigma_1^2 = \tilde\beta_2
        \qquad\text{or as you choose}

    **Why it is a choice.** The other steps are compared with q(x_{t-1} | x_t, x_0), which has a variance beta_tilde_t.
    At t = 1 that is q(x_0 | x_1, x_0), a point mass: beta_tilde_1 = 0, since alpha_bar_0 = 1. A decoder of variance 0
    gives each x_0 that is not exactly its mean a density of 0, so L_0 would be infinite; there is no divergence to
    compute either, and L_0 is a log-likelihood instead. Its variance does not follow from anything above. It has to be
    chosen, and the bound depends on it.

    **What is published.** Ho et al. choose sigma_t^2, beta_t or beta_tilde_t, for 1 < t <= T (section 3.2); the
    sigma_1^2 of their decoder, eq. 13, is not named there. Their code (diffusion_utils_2.py), and its port by Nichol &
    Dhariwal, puts beta_tilde_2 there with either choice: with beta_tilde_t because the logarithm of 0 would be asked
    for ("clipped"), with beta_t ("fixedlarge") to get a better decoder log-likelihood. Other code, their
    diffusion_utils.py among it, clips at 1e-20: safe for sampling, where the last step adds no noise, but in L_0 a
    squared error would count 5e19 times.

    **How much it matters.** beta_1 and beta_tilde_2 are of one size: beta_tilde_2 = beta_1 beta_2 / (1 - alpha_bar_2).
    For linear-1000 they are 1e-4 and 5.5e-5. The Gaussian decoder pays
    log(2 pi sigma_1^2) / 2 + E|x_0 - mu|^2 / (2 sigma_1^2) per coordinate, and its mean squared error is
    Var(x_0 | x_1) if the denoiser is ideal. Data that are smooth on the scale sqrt(beta_1) have Var(x_0 | x_1) near
    beta_1. On linear-1000 they pay 0.11 nats a coordinate more with beta_tilde_2, and (1 - log 2)/2 = 0.15 where
    beta_2 = beta_1. So does a single value on a fine grid: 8-bit pixels are 2/255 = 0.78 sqrt(beta_1) apart, and one
    alone has Var(x_0 | x_1) = 0.99 beta_1. A smaller variance is better where x_1 tells x_0 nearly exactly: on a grid
    much coarser than sqrt(beta_1), or for pixels that their neighbours give away. On any grid the discretized decoder
    is the right one, since a density there grows without bound. The best number is ``optimal_var(schedule, ...)[1]``.

    **In sampling** it plays no part: the last step returns the mean. See :func:`ancestral`.

    **Index.** beta_1 is ``betas[0]`` of zero-based code, and beta_tilde_2 is ``posterior_variance[1]`` there.

    Parameters
    ----------
    schedule : Schedule
    convention : {"beta_1", "beta_tilde_2"} or float
        A number is the variance itself.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the name is another one, the number not > 0 and finite, or T = 1 has no beta_tilde_2.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), section 3.3; Nichol & Dhariwal (2021), published code; the question is
    openai/guided-diffusion#69. Identity: ``reverse.decoder_var``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> decoder_var(Schedule.from_betas([0.5, 0.5]))
    0.5
    >>> decoder_var(Schedule.linear()), round(decoder_var(Schedule.linear(), "beta_tilde_2"), 7)
    (0.0001, 5.45e-05)
    """
    if isinstance(convention, str):
        if convention == "beta_1":
            return float(schedule.beta[1])
        if convention != "beta_tilde_2":
            raise ValueError(f"decoder_var must be 'beta_1', 'beta_tilde_2' or a number; got {convention!r}.")
        if schedule.T == 1:
            raise ValueError("decoder_var='beta_tilde_2' needs T >= 2; got T = 1. Use 'beta_1' or a number.")
        return float(schedule.beta_tilde[2])
    number = real(convention, "decoder_var")
    if number.ndim:
        raise ValueError(f"decoder_var must be one number; got shape {number.shape}. Variances of all steps? Entry 1.")
    if not 0 < number < np.inf:
        raise ValueError(f"decoder_var must be one number > 0; got {convention!r}.")
    return float(number)


def prior(n, d):
    r"""Return p(x_T), where sampling starts.

    .. math:: p(x_T) = \mathcal{N}(0, I)

    Parameters
    ----------
    n, d : int

    Returns
    -------
    Gaussian
        Of shape (n, d).

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 1. Identity: ``reverse.prior``.

    Examples
    --------
    >>> prior(2, 1).var
    array([[1.],
           [1.]])
    """
    return Gaussian(np.zeros((count(n, "n"), count(d, "d"))), 1.0)


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
    Source: Ho, Jain & Abbeel (2020), eq. 1 and 11. Identities: ``reverse.transition_mean``, ``reverse.transition_var``.
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
    Source: Ho, Jain & Abbeel (2020), Algorithm 2. Identity: ``reverse.ancestral``.
    """
    yield from _ancestral(schedule, denoiser, x_T, check_rng(rng).standard_normal, variance)


def _ancestral(schedule, denoiser, x_T, draw, variance):
    """Walk as :func:`ancestral` does, with noise from ``draw(shape)``."""
    steps = range(schedule.T + 1)

    def step(x_t, s, t):
        return transition(schedule, denoiser, x_t, t, variance)

    yield from _descend(step, steps, points(x_T, "x_T"), draw)


def _descend(step, steps, x_t, draw):
    """Walk down `steps`, from the last to 0, by x_s = mean + std z; where nothing is added, nothing is drawn."""
    for s, t in zip(steps[-2::-1], steps[:0:-1]):
        s, t = int(s), int(t)
        law = step(x_t, s, t)
        x_t = _drawn(law, draw) if s > 0 and law.var.any() else law.mean
        yield s, x_t


def _drawn(law, draw):
    """Return one draw from a law, its noise from ``draw(shape)``."""
    return law.mean + law.std * draw(law.mean.shape)


def _linear(step, t, s):
    """Return t, a, b, c of the steps x_s = a x_t + b eps_hat + c z, one entry for each step, in the order given.

    ``step(denoiser, x_t)`` is the law of x_s for one point a step. Its mean is linear in x_t and eps_hat, so that two
    pairs of them tell the coefficients; no formula is written down twice. c is 0 for the step that ends at 0.
    """
    zero, one = np.zeros((t.size, 1)), np.ones((t.size, 1))
    of_x_t, of_eps = step(lambda x_t, t: zero, one), step(lambda x_t, t: one, zero)
    return t, of_x_t.mean[:, 0], of_eps.mean[:, 0], np.where(s > 0, of_x_t.std[:, 0], 0.0)


def _ancestral_coefficients(schedule, variance):
    """Return t, a, b, c, each (T,), of the steps of :func:`ancestral` as it walks: t = T, ..., 1."""
    t = np.arange(schedule.T, 0, -1)
    return _linear(lambda denoiser, x_t: transition(schedule, denoiser, x_t, t, variance), t, t - 1)


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
    Source: Ho, Jain & Abbeel (2020), Algorithm 2; :func:`ancestral` gives the path. Identity: ``reverse.sample``.

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
    return _end(path, _ancestral_coefficients(schedule, variance), denoiser, _start(n, d, rng), threads, progress)


def _start(n, d, rng):
    """Return x_T of n points and the noise of their steps: each block of points has a stream of its own."""
    start = prior(n, d)
    noise = Streams(check_rng(rng), len(start.mean))
    return _drawn(start, noise.standard_normal), noise


def _end(path, coefficients, denoiser, start, threads, progress):
    """Return where a path from x_T to 0 ends, walked by the denoiser itself if it brings compiled walks."""
    x_t, noise = start
    engine = engine_of(denoiser, len(coefficients[0]), len(x_t))
    if engine is not None:
        return engine.reverse_walk(x_t, *coefficients, noise, threads, progress)
    for taken, (_, x_s) in enumerate(path(x_T=x_t, draw=noise.standard_normal), start=1):
        x_t = x_s
        if progress is not None:
            progress(taken)
    return x_t


def ddim_var(schedule, s, t, eta):
    r"""Return sigma^2, the variance of the DDIM step from t to s.

    .. math:: \sigma^2 = \eta^2\,\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}
        \left(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\right) = \eta^2 \operatorname{Var}_q[x_s \mid x_t, x_0]

    eta scales the standard deviation: 0 adds no noise, 1 as much as the posterior has, beta_tilde_t for s = t - 1.

    Parameters
    ----------
    schedule : Schedule
    s, t : int or ndarray of int
        0 <= s < t <= T; they broadcast.
    eta : float
        In [0, 1].

    Returns
    -------
    ndarray
        0 for s = 0.

    Raises
    ------
    TypeError, ValueError
        If s is not below t, one of them is no step, or eta is not one number in [0, 1].

    Notes
    -----
    Source: Song, Meng & Ermon (2021), eq. 16; their alpha is alpha_bar. Identity: ``reverse.ddim_var``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.5, 0.5])
    >>> [round(float(ddim_var(schedule, 1, 2, eta)), 4) for eta in (0.0, 0.5, 1.0)]
    [0.0, 0.0833, 0.3333]
    """
    s, t, eta = schedule.index(s, name="s", least=0), schedule.index(t), _share(eta)
    if not np.all(np.less(s, t)):
        raise ValueError(f"s must be below t; got s = {np.max(s)} and t = {np.min(t)}. Sampling runs down from t to s.")
    one_minus, log_alpha_bar = schedule.one_minus_alpha_bar, schedule.log_alpha_bar
    return eta**2 * one_minus[s] / one_minus[t] * -np.expm1(log_alpha_bar[t] - log_alpha_bar[s])


def _share(eta):
    """Return eta as a float, checked."""
    number = real(eta, "eta")
    if number.ndim or not 0 <= number <= 1:
        raise ValueError(f"eta must be one number in [0, 1]; got {eta!r}. 0 is DDIM, 1 is ancestral sampling.")
    return float(number)


def ddim_transition(schedule, denoiser, x_t, s, t, eta=0.0):
    r"""Return q_sigma(x_s | x_t, x_0) at the x_0 that the denoiser predicts: one step of DDIM.

    .. math:: q_\sigma(x_s \mid x_t, \hat x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_s}\,\hat x_0
        + \sqrt{1 - \bar\alpha_s - \sigma^2}\;\hat\epsilon(x_t, t),\; \sigma^2 I\right), \qquad
        \hat x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\,\hat\epsilon(x_t, t)}{\sqrt{\bar\alpha_t}}

    It goes from any step to any earlier one. Of the noise at s it takes the share sigma^2 anew and keeps the rest: if
    x_t is from q(x_t | x_0) and the denoiser knows x_0, then x_s is from q(x_s | x_0), **for every eta**. That is all
    that training asks for, which is why one network serves them all. eta = 1 is the posterior, and with s = t - 1 the
    ancestral step with ``variance="posterior"``; eta = 0 adds no noise. The step to s = 0 returns x_0_hat.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    x_t : array_like, shape (..., d)
    s : int or array_like of int
        In 0..T - 1, below t; one step, or one per point.
    t : int or array_like of int
        In 1..T.
    eta : float
        In [0, 1]; see :func:`ddim_var`.

    Returns
    -------
    Gaussian
        With eta = 0 or s = 0 a point mass.

    Raises
    ------
    TypeError, ValueError
        If s and t are not steps for each point with s < t, the denoiser returns another shape, eta is not one number
        in [0, 1], or alpha_bar_t = 0, where eps says nothing of x_0.

    Notes
    -----
    Source: Song, Meng & Ermon (2021), eq. 7, 12 and 16; their alpha is alpha_bar. Identities:
    ``reverse.ddim_transition``, ``reverse.ddim_keeps_the_marginals``, ``reverse.ddim_vs_ancestral``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.36, 0.75])  # signal rates .8 and .4
    >>> ddim_transition(schedule, lambda x_t, t: np.zeros_like(x_t), [1.0], 1, 2).mean
    array([2.])
    """
    x_t = points(x_t, "x_t")
    at_s, at_t = schedule.index(s, x_t, name="s", least=0), schedule.index(t, x_t)
    sigma_2 = ddim_var(schedule, at_s, at_t, eta)
    kept = np.sqrt(_kept_var(schedule, at_s, at_t, _share(eta)))
    eps_hat = call_denoiser(denoiser, x_t, t)
    x_0_hat = x_0_from_eps(schedule, x_t, eps_hat, t)
    return Gaussian(schedule.signal_rate[at_s] * x_0_hat + kept * eps_hat, sigma_2, point_mass=True)


def _kept_var(schedule, s, t, eta):
    """Return 1 - alpha_bar_s - sigma^2 as a sum of what is not negative.

    The difference would have no digits left, nor a sign, where eta = 1 and alpha_bar_t is small.
    """
    one_minus, log_alpha_bar = schedule.one_minus_alpha_bar, schedule.log_alpha_bar
    correlated = np.exp(log_alpha_bar[t] - log_alpha_bar[s]) * one_minus[s] / one_minus[t]  # corr(x_s, x_t | x_0)^2
    return one_minus[s] * ((1 - eta) * (1 + eta) + eta**2 * correlated)


def ddim_path(schedule, denoiser, x_T, rng, steps=50, eta=0.0):
    r"""Walk down some of the steps from x_T, as a generator: DDIM.

    .. math:: x_{\tau_{k-1}} \sim q_\sigma(x_{\tau_{k-1}} \mid x_{\tau_k}, \hat x_0), \qquad k = K, \ldots, 1,
        \qquad \tau_0 = 0

    With eta = 0 the path is a function of x_T, and `rng` is not used. Nothing is drawn for the last step in any case.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``; it is asked at tau_K, ..., tau_1.
    x_T : array_like, shape (n, d)
        Where to begin, at step tau_K.
    rng : numpy.random.Generator
    steps : int or array_like of int
        K, at most T: then tau_k is k T / K, rounded down, so that tau_K = T. Or tau_1 < ... < tau_K themselves. As for
        :meth:`refdiff.schedule.Schedule.respace`.
    eta : float
        In [0, 1]; see :func:`ddim_var`.

    Yields
    ------
    t : int
        From tau_{K-1} down to tau_0 = 0.
    x_t : ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`ddim_transition` and :meth:`refdiff.schedule.Schedule.respace`.

    Notes
    -----
    Source: Song, Meng & Ermon (2021), section 4.2 and eq. 12. Identity: ``reverse.ddim_path``.
    """
    yield from _ddim(schedule, denoiser, x_T, check_rng(rng).standard_normal, steps, eta)


def _ddim(schedule, denoiser, x_T, draw, steps, eta):
    """Walk as :func:`ddim_path` does, with noise from ``draw(shape)``."""

    def step(x_t, s, t):
        return ddim_transition(schedule, denoiser, x_t, s, t, eta)

    yield from _descend(step, _kept_steps(schedule, steps), points(x_T, "x_T"), draw)


def _kept_steps(schedule, steps):
    """Return 0 and the steps that :meth:`Schedule.respace` keeps, increasing."""
    schedule.respace(steps)  # which checks them
    if np.ndim(steps) == 0:
        steps = np.arange(1, steps + 1) * schedule.T // steps
    return np.concatenate([[0], np.asarray(steps).astype(np.int64)])


def _ddim_coefficients(schedule, steps, eta):
    """Return t, a, b, c, each (K,), of the steps of :func:`ddim_path` as it walks: t = tau_K, ..., tau_1."""
    kept = _kept_steps(schedule, steps)
    s, t = kept[-2::-1], kept[:0:-1]
    return _linear(lambda denoiser, x_t: ddim_transition(schedule, denoiser, x_t, s, t, eta), t, s)


def ddim(schedule, denoiser, n, d, rng, steps=50, eta=0.0, *, threads=1, progress=None):
    r"""Draw n points by DDIM: few steps, and with eta = 0 no noise but that of x_T.

    .. math:: x_T \sim \mathcal{N}(0, I), \qquad x_{\tau_{k-1}} \sim q_\sigma(x_{\tau_{k-1}} \mid x_{\tau_k},
        \hat x_0), \quad k = K, \ldots, 1, \qquad \tau_K = T, \; \tau_0 = 0

    Its error falls with the number of steps. For data N(0, I) and their ideal denoiser each step with eta = 0
    multiplies x by cos(theta_t - theta_s), where cos^2 theta = alpha_bar, so that K steps draw points of a variance
    that is short of 1 by (pi / 2)^2 / K if the angles are even.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    n, d : int
    rng : numpy.random.Generator
    steps : int or array_like of int
        K, at most T, or the steps themselves; see :func:`ddim_path`.
    eta : float
        In [0, 1]: 0 is DDIM, 1 is ancestral sampling on these steps; see :func:`ddim_var`.
    threads, progress
        As for :func:`sample`.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`ddim_path`.

    Notes
    -----
    Source: Song, Meng & Ermon (2021), eq. 12; :func:`ddim_path` gives the path. Identity: ``reverse.ddim``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> standard = lambda x_t, t: np.sqrt(schedule.one_minus_alpha_bar[t]) * x_t  # ideal for data N(0, I)
    >>> schedule = Schedule.vp(1000)
    >>> ddim(schedule, standard, 4, 2, np.random.default_rng(0), steps=10).shape
    (4, 2)
    """
    threads = threads_to_use(threads)
    path = functools.partial(_ddim, schedule, denoiser, steps=steps, eta=eta)
    return _end(path, _ddim_coefficients(schedule, steps, eta), denoiser, _start(n, d, rng), threads, progress)
