r"""The reverse process p: a Markov chain of Gaussians that turns noise into data with the help of a denoiser.

A denoiser is any callable ``eps_hat = denoiser(x_t, t)``: a network, the ideal denoiser of mixture data, a lambda.
The variance of a step is not learnt; the two choices that are usual, beta_t and beta_tilde_t, are both here.
"""

import numpy as np

from refdiff.checks import call_denoiser, check_rng, count, points, real
from refdiff.gaussian import Gaussian
from refdiff.parameterize import mean_from_eps

__all__ = ["ancestral", "decoder_var", "prior", "sample", "transition", "var"]


def var(schedule, t, variance="posterior"):
    r"""Return sigma_t^2, the variance of the reverse step, by the name of its choice.

    .. math:: \sigma_t^2 = \tilde\beta_t \;\text{("posterior")} \qquad\text{or}\qquad
        \sigma_t^2 = \beta_t \;\text{("beta")}

    Both are variances: the step adds sqrt(sigma_t^2) z. beta_t is the best choice for data N(0, I), beta_tilde_t
    for data at one point; with few steps they differ much, and neither is the best for other data.

    Parameters
    ----------
    schedule : Schedule
    t : int or ndarray of int
        In 1..T.
    variance : {"posterior", "beta"}

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If the choice has another name.

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
    choices = {"posterior": schedule.beta_tilde, "beta": schedule.beta}
    if variance not in choices:
        raise ValueError(f"variance must be 'posterior' (beta_tilde_t) or 'beta' (beta_t); got {variance!r}.")
    return choices[variance][schedule.index(t)]


def decoder_var(schedule, convention="beta_1"):
    r"""Return the variance of the decoder p(x_0 | x_1), by the name of its convention.

    .. math:: \sigma_1^2 = \beta_1 \qquad\text{or}\qquad \sigma_1^2 = \tilde\beta_2

    beta_tilde_1 = 0 would make the decoder a point mass, of infinite cost, so it has to be chosen apart.

    Parameters
    ----------
    schedule : Schedule
    convention : {"beta_1", "beta_tilde_2"} or float
        "beta_tilde_2" is what the published code of Ho et al. and of Nichol & Dhariwal uses with the variance
        beta_tilde; a number is the variance itself.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the name is another one, the number not > 0 and finite, or T = 1 has no beta_tilde_2.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), section 3.3. Identity: ``reverse.decoder_var``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> decoder_var(Schedule.from_betas([0.5, 0.5]))
    0.5
    """
    if convention == "beta_1":
        return float(schedule.beta[1])
    if convention == "beta_tilde_2":
        if schedule.T == 1:
            raise ValueError("decoder_var='beta_tilde_2' needs T >= 2; got T = 1. Use 'beta_1' or a number.")
        return float(schedule.beta_tilde[2])
    if isinstance(convention, str):
        raise ValueError(f"decoder_var must be 'beta_1', 'beta_tilde_2' or a number; got {convention!r}.")
    number = real(convention, "decoder_var")
    if number.ndim or not 0 < number < np.inf:
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
    variance : {"posterior", "beta"}
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
    variance : {"posterior", "beta"}

    Yields
    ------
    t : int
        From T - 1 down to 0.
    x_t : ndarray, shape (n, d)

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), Algorithm 2. Identity: ``reverse.ancestral``.
    """
    check_rng(rng)
    x_t = points(x_T, "x_T")
    for t in range(schedule.T, 0, -1):
        step = transition(schedule, denoiser, x_t, t, variance)
        x_t = step.sample(rng) if t > 1 else step.mean
        yield t - 1, x_t


def sample(schedule, denoiser, n, d, rng, variance="posterior"):
    r"""Draw n points from the model by ancestral sampling.

    .. math:: x_T \sim \mathcal{N}(0, I), \qquad x_{t-1} \sim p(x_{t-1} \mid x_t), \qquad t = T, \ldots, 1

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    n, d : int
    rng : numpy.random.Generator
    variance : {"posterior", "beta"}

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
    x_T = prior(n, d).sample(check_rng(rng))
    for _, x_t in ancestral(schedule, denoiser, x_T, rng, variance):  # noqa: B007 the last x_t is x_0
        pass
    return x_t
