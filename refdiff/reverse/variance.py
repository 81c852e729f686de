r"""The variance of a reverse step is a choice: beta_t, beta_tilde_t, what lies between, or the best for given data."""

import numpy as np

from refdiff import forward
from refdiff.bayes import require_signal
from refdiff.checks import call_denoiser, check_rng, real, table

__all__ = ["decoder_var", "eps_loss", "interpolated_var", "optimal_var", "var"]


def var(schedule, t, variance="posterior"):
    r"""Return sigma_t^2, the variance of the reverse step, by the name of its choice.

    .. math:: \sigma_t^2 = \tilde\beta_t \;\text{("posterior")} \qquad\text{or}\qquad
        \sigma_t^2 = \beta_t \;\text{("beta")} \qquad\text{or as you choose}

    All are variances: the step adds sqrt(sigma_t^2) z. beta_t is the best choice for data N(0, I), beta_tilde_t
    for data at one point. They differ much in the first steps, however many there are, and over much of the way if
    steps are few. Neither is the best for other data: that is :func:`optimal_var`, which may lie above beta_t for data
    of variance above 1, as it does for normal ones. Between the two lies :func:`interpolated_var`.

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
    Source: Ho, Jain & Abbeel (2020), section 3.2. Identity: :eq:`eq-reverse.var`.

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
    ``decoder_var=beta_1**v_1 * beta_tilde_2**(1 - v_1)``. Identity: :eq:`eq-reverse.interpolated_var`.

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
    Source: Ho, Jain & Abbeel (2020), eq. 14, not averaged over t. Identity: :eq:`eq-reverse.eps_loss`.
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
    Source: Bao et al. (2022), theorem 1, for the ideal denoiser. Identities: :eq:`eq-reverse.optimal_var`,
    :eq:`eq-reverse.optimal_var_is_optimal`.

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
    openai/guided-diffusion#69. Identity: :eq:`eq-reverse.decoder_var`.

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
