r"""Weights: what turns the loss that is trained into the terms of the bound, exactly.

A squared error of eps, x_0, v or the mean is L_{t-1} up to a factor and a constant, each with a factor of its own.
L_simple and min-SNR put other factors in their place: objectives, not bounds.
"""

import numpy as np

from refdiff import forward, reverse
from refdiff.checks import call_denoiser, check_rng, real, table


def weight(schedule, t, variance="beta"):
    r"""Return w_t, which turns the squared error of eps into L_{t-1}.

    .. math:: L_{t-1} = w_t\,\mathbb{E}\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2 + d\,c_t, \qquad
        w_t = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}

    with c_t of :func:`kl_constant`. L_simple puts 1 in its place. At t = 1 with ``variance="beta"`` it is the weight
    within L_0 of a Gaussian decoder of variance beta_1.

    Parameters
    ----------
    schedule : Schedule
    t : int or array_like of int
        In 1..T; in 2..T for ``variance="posterior"``, since beta_tilde_1 = 0.
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        Where sigma_t^2 = 0, as beta_tilde_1 is, and where alpha_t = 0.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 12. Identity: :eq:`eq-elbo.weight`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> float(weight(Schedule.linear(), 1).round(5))
    0.50005
    """
    t, sigma_2 = _step_and_var(schedule, t, variance)
    if np.any(schedule.alpha[t] == 0):
        raise ValueError(
            f"weight needs alpha_t > 0; got t = {np.max(t)} with beta_t = 1, where eps says nothing of x_0."
            " Use weight_x_0 there."
        )
    return schedule.beta[t] ** 2 / (2 * sigma_2 * schedule.alpha[t] * schedule.one_minus_alpha_bar[t])


def weight_x_0(schedule, t, variance="beta"):
    r"""Return the factor that turns the squared error of x_0 into L_{t-1}.

    .. math:: L_{t-1} = w_t\,\mathbb{E}\Vert x_0 - \hat x_0(x_t, t)\Vert^2 + d\,c_t, \qquad
        w_t = \frac{\bar\alpha_{t-1}\,\beta_t^2}{2\sigma_t^2\,(1 - \bar\alpha_t)^2}

    With ``variance="posterior"`` it is half the signal-to-noise ratio that the step loses: :func:`weight_from_snr`.

    At t = 1 it is the weight within L_0 of a Gaussian decoder of variance sigma_1^2.

    Parameters
    ----------
    schedule : Schedule
    t : int or array_like of int
        In 1..T; in 2..T for ``variance="posterior"``.
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        Where sigma_t^2 = 0.

    Notes
    -----
    Source: Luo (2022), eq. 99. Identity: :eq:`eq-elbo.weight_x_0`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> float(weight_x_0(Schedule.from_betas([0.5, 0.5]), 2, "posterior").round(4))  # SNR falls from 1 to 1/3
    0.3333
    """
    t, sigma_2 = _step_and_var(schedule, t, variance)
    c_0 = schedule.signal_rate[t - 1] * schedule.beta[t] / schedule.one_minus_alpha_bar[t]
    return c_0**2 / (2 * sigma_2)


def weight_v(schedule, t, variance="beta"):
    r"""Return the factor that turns the squared error of v into L_{t-1}.

    .. math:: L_{t-1} = w_t\,\mathbb{E}\Vert v - \hat v(x_t, t)\Vert^2 + d\,c_t, \qquad
        w_t = \frac{\bar\alpha_{t-1}\,\beta_t^2}{2\sigma_t^2\,(1 - \bar\alpha_t)}

    At t = 1 it is the weight within L_0 of a Gaussian decoder of variance sigma_1^2.

    Parameters
    ----------
    schedule : Schedule
    t : int or array_like of int
        In 1..T; in 2..T for ``variance="posterior"``.
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        Where sigma_t^2 = 0.

    Notes
    -----
    Source: Salimans & Ho (2022), appendix D, whose v this is. Identity: :eq:`eq-elbo.weight_v`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> float(weight_v(Schedule.from_betas([0.5, 0.5]), 2, "posterior").round(4))
    0.25
    """
    t, sigma_2 = _step_and_var(schedule, t, variance)
    return schedule.alpha_bar[t - 1] * schedule.beta[t] ** 2 / (2 * sigma_2 * schedule.one_minus_alpha_bar[t])


def weight_mean(schedule, t, variance="beta"):
    r"""Return the factor that turns the squared error of the mean into L_{t-1}.

    .. math:: L_{t-1} = w_t\,\mathbb{E}\Vert\tilde\mu_t - \mu(x_t, t)\Vert^2 + d\,c_t, \qquad
        w_t = \frac{1}{2\sigma_t^2}

    At t = 1 it is the weight within L_0 of a Gaussian decoder of variance sigma_1^2.

    Parameters
    ----------
    schedule : Schedule
    t : int or array_like of int
        In 1..T; in 2..T for ``variance="posterior"``.
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        Where sigma_t^2 = 0.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 8. Identity: :eq:`eq-elbo.weight_mean`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> float(weight_mean(Schedule.from_betas([0.5, 0.5]), 2))
    1.0
    """
    _, sigma_2 = _step_and_var(schedule, t, variance)
    return 1 / (2 * sigma_2)


def _step_and_var(schedule, t, variance):
    """Return t, checked, and sigma_t^2 > 0."""
    t, sigma_2 = schedule.index(t), reverse.var(schedule, t, variance)
    if np.any(sigma_2 == 0):
        raise ValueError(
            "a weight needs sigma_t^2 > 0; got 0 at t = 1, where beta_tilde_1 = 0: that step is the decoder's."
        )
    return t, sigma_2


def weight_from_snr(schedule, t):
    r"""Return half the signal-to-noise ratio that step t loses: the weight of x_0 with the variance beta_tilde.

    .. math:: L_{t-1} = \tfrac12\left[\mathrm{SNR}(t-1) - \mathrm{SNR}(t)\right]
        \mathbb{E}\Vert x_0 - \hat x_0(x_t, t)\Vert^2, \qquad
        \mathrm{SNR}(t-1) - \mathrm{SNR}(t)
        = \frac{\bar\alpha_{t-1}\,\beta_t}{(1 - \bar\alpha_{t-1})(1 - \bar\alpha_t)}

    For small betas the two ratios agree in their first digits. Often the difference is taken as
    SNR(t) expm1(log SNR(t-1) - log SNR(t)), which loses the same digits before expm1 sees them; the product has no
    difference in it.

    Parameters
    ----------
    schedule : Schedule
    t : int or array_like of int
        In 2..T: SNR(0) is infinite.

    Returns
    -------
    ndarray

    Raises
    ------
    TypeError, ValueError
        At t = 1.

    Notes
    -----
    Source: Kingma et al. (2021), eq. 13. Identity: :eq:`eq-elbo.weight_from_snr`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> float(weight_from_snr(Schedule.from_betas([0.5, 0.5]), 2).round(4))  # SNR falls from 1 to 1/3
    0.3333
    """
    t, one_minus_alpha_bar = schedule.index(t, least=2), schedule.one_minus_alpha_bar
    return schedule.alpha_bar[t - 1] * schedule.beta[t] / (2 * one_minus_alpha_bar[t - 1] * one_minus_alpha_bar[t])


def min_snr_weight(schedule, t, gamma=5.0):
    r"""Return the min-SNR-gamma weight of the squared error of eps.

    .. math:: w_t = \frac{\min(\mathrm{SNR}(t), \gamma)}{\mathrm{SNR}(t)}

    An objective, not a bound. The same objective in x_0 and in v has other weights: :func:`min_snr_weight_x_0` and
    :func:`min_snr_weight_v`.

    Parameters
    ----------
    schedule : Schedule
    t : int or array_like of int
        In 1..T.
    gamma : float
        Positive.

    Returns
    -------
    ndarray
        In (0, 1]; 1 where the SNR is at most gamma.

    Raises
    ------
    ValueError
        If gamma is not > 0.

    Notes
    -----
    Source: Hang et al. (2023), section 4.2. Identity: :eq:`eq-elbo.min_snr_weight`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> min_snr_weight(Schedule.from_betas([0.1, 0.5]), [1, 2], gamma=3.0).round(4)  # SNR: 9 and .8182
    array([0.3333, 1.    ])
    """
    snr, gamma = _snr_and_gamma(schedule, t, gamma)
    return gamma / np.maximum(snr, gamma)


def min_snr_weight_x_0(schedule, t, gamma=5.0):
    r"""Return the min-SNR-gamma weight of the squared error of x_0.

    .. math:: w_t = \min(\mathrm{SNR}(t), \gamma)

    Parameters
    ----------
    schedule : Schedule
    t : int or array_like of int
        In 1..T.
    gamma : float
        Positive.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If gamma is not > 0.

    Notes
    -----
    Source: Hang et al. (2023), section 3.4. Identity: :eq:`eq-elbo.min_snr_weight_x_0`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> min_snr_weight_x_0(Schedule.from_betas([0.1, 0.5]), [1, 2], gamma=3.0).round(4)
    array([3.    , 0.8182])
    """
    snr, gamma = _snr_and_gamma(schedule, t, gamma)
    return np.minimum(snr, gamma)


def min_snr_weight_v(schedule, t, gamma=5.0):
    r"""Return the min-SNR-gamma weight of the squared error of v.

    .. math:: w_t = \frac{\min(\mathrm{SNR}(t), \gamma)}{\mathrm{SNR}(t) + 1}

    Parameters
    ----------
    schedule : Schedule
    t : int or array_like of int
        In 1..T.
    gamma : float
        Positive.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If gamma is not > 0.

    Notes
    -----
    Source: Hang et al. (2023), section 4.2, with the v of Salimans & Ho (2022).
    Identity: :eq:`eq-elbo.min_snr_weight_v`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> min_snr_weight_v(Schedule.from_betas([0.1, 0.5]), [1, 2], gamma=3.0).round(4)
    array([0.3 , 0.45])
    """
    snr, gamma = _snr_and_gamma(schedule, t, gamma)
    return np.minimum(snr, gamma) / (snr + 1)


def _snr_and_gamma(schedule, t, gamma):
    """Return SNR(t) and gamma > 0."""
    gamma = real(gamma, "gamma")
    if gamma.ndim or not 0 < gamma < np.inf:
        raise ValueError(f"gamma must be one number > 0; got {gamma}.")
    return schedule.snr[schedule.index(t)], gamma


def simple_loss(schedule, denoiser, x_0, rng):
    r"""Estimate L_simple, the objective that is trained, by one random step per point.

    .. math:: L_{\text{simple}} = \mathbb{E}_{t \sim U\{1, \ldots, T\},\, \epsilon}
        \left\Vert\epsilon - \hat\epsilon(x_t, t)\right\Vert^2, \qquad
        x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon

    The norm sums over the d coordinates, as in the paper; code often takes their mean. It is an objective, not
    a bound: L_{t-1} with all weights set to 1, averaged over t rather than summed, without the constants
    d c_t and L_T, and with the squared error in place of L_0.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        Called once, with one t per point.
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n,)
        Its mean estimates L_simple.

    Raises
    ------
    TypeError, ValueError
        If x_0 is not (n, d) or the denoiser returns another shape.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 14. Identity: :eq:`eq-elbo.simple_loss`.
    """
    x_0 = table(x_0, "x_0")
    t = check_rng(rng).integers(1, schedule.T + 1, size=len(x_0))  # the upper end is exclusive
    eps = rng.standard_normal(x_0.shape)
    eps_hat = call_denoiser(denoiser, forward.diffuse(schedule, x_0, eps, t), t)
    return np.sum((eps - eps_hat) ** 2, axis=-1)
