r"""The score as a field: what it has to do with a denoiser, and its Jacobian."""

import numpy as np

from refdiff.checks import call_denoiser, check_denoiser, one_number, points, real, same_shape
from refdiff.parameterize import eps_from_score, score_from_eps


def check_score(score, name="score"):
    """Raise TypeError unless a score can be called."""
    if not callable(score):
        raise TypeError(
            f"{name} must be a callable {name}(x, t), or {name}(x) for one law; got {type(score).__name__}."
            " A value at given points? parameterize.x_0_from_score takes that."
        )


def call_score(score, x, t=None, name="score"):
    """Return score(x, t), or score(x) without t, as float64, checked to have the shape of x."""
    check_score(score, name)
    value = points(score(x) if t is None else score(x, t), f"{name}(x)")
    if value.shape != x.shape:
        raise ValueError(f"{name}(x) must have the shape of x, {x.shape}; got {value.shape}.")
    return value.copy()  # for a score may use its buffer again


def check_t(t, x):
    """Raise unless t is None, one number, or one for each point; what the numbers mean is the score's own matter."""
    if t is not None and (shape := real(t, "t").shape) not in ((), x.shape[:-1]):
        raise ValueError(f"t must be one number or one per point, {x.shape[:-1]}; got shape {shape}.")


def from_denoiser(schedule, denoiser):
    r"""Return the score that a denoiser stands for, as a callable ``score(x_t, t)``.

    .. math:: s(x_t, t) = -\frac{\hat\epsilon(x_t, t)}{\sqrt{1 - \bar\alpha_t}}

    A network that predicts the noise is not the score: it has the other sign and another scale, and what it is the
    score of is q(x_t), not the data. The exact score of mixture data is
    ``from_denoiser(schedule, mixture.denoiser(schedule))``.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.

    Returns
    -------
    callable
        ``score(x_t, t)``, with x_t of shape (..., d) and t one step or one per point.

    Raises
    ------
    TypeError
        If the denoiser is not callable.

    Notes
    -----
    Source: Vincent (2011), eq. 9; Song et al. (2021), section 3. Identity: :eq:`eq-score.from_denoiser`.

    Examples
    --------
    >>> from refdiff import GaussianMixture, Schedule
    >>> schedule, data = Schedule.vp(10), GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.1)
    >>> score = from_denoiser(schedule, data.denoiser(schedule))
    >>> bool(np.allclose(score([[0.3]], 5), data.diffused(schedule, 5).score([[0.3]])))
    True
    """
    check_denoiser(denoiser)

    def score(x_t, t):
        x_t = points(x_t, "x_t")
        return score_from_eps(schedule, x_t, call_denoiser(denoiser, x_t, t), t)

    return score


def to_denoiser(schedule, score):
    r"""Return the denoiser that a score stands for: the inverse of :func:`from_denoiser`.

    .. math:: \hat\epsilon(x_t, t) = -\sqrt{1 - \bar\alpha_t}\;s(x_t, t)

    Parameters
    ----------
    schedule : Schedule
    score : callable
        ``score(x_t, t)``.

    Returns
    -------
    callable
        ``denoiser(x_t, t) -> eps_hat``, for the reverse process and the bound.

    Raises
    ------
    TypeError
        If the score is not callable.

    Notes
    -----
    Source: Vincent (2011), eq. 9. Identity: :eq:`eq-score.to_denoiser`.
    """
    check_score(score)

    def denoiser(x_t, t):
        x_t = points(x_t, "x_t")
        return eps_from_score(schedule, x_t, call_score(score, x_t, t), t)

    return denoiser


def along(score, x, v, t, step):
    """Return J v, the derivative of the score along v: central differences, extrapolated twice."""
    rough = []
    for h in (step, step / 2, step / 4):
        rough.append((call_score(score, x + h * v, t) - call_score(score, x - h * v, t)) / (2 * h))
    finer = [(4 * rough[1] - rough[0]) / 3, (4 * rough[2] - rough[1]) / 3]
    return (16 * finer[1] - finer[0]) / 15


def jacobian(score, x, t=None, step=1e-3):
    r"""Return the Jacobian of a score, by central differences extrapolated twice.

    .. math:: J_{ij} = \frac{\partial s_i}{\partial x_j}, \qquad J = \nabla^2_x \log q(x) \text{ for a true score}

    For a true score it is symmetric; a network's need not be. Its trace is the divergence. The error grows as the sixth
    power of the step, measured in widths of the narrowest part of the density; what is left is rounding, near 1e-11.

    Parameters
    ----------
    score : callable
        ``score(x, t)``, or ``score(x)`` if t is not given; it is called 6 d times.
    x : array_like, shape (..., d)
    t : int or array_like of int, optional
    step : float
        Of the coarsest difference.

    Returns
    -------
    ndarray, shape (..., d, d)
        Entry [..., i, j] is the derivative of the i-th coordinate of the score along the j-th axis.

    Raises
    ------
    TypeError, ValueError
        If the score is not callable or returns another shape, or the step is not > 0.

    Notes
    -----
    Source: Richardson (1911). Identity: :eq:`eq-score.jacobian`.

    Examples
    --------
    >>> jacobian(lambda x: -x / 2, [1.0, 2.0]).round(9) + 0.0
    array([[-0.5,  0. ],
           [ 0. , -0.5]])
    """
    x, step = points(x, "x"), one_number(step, "step")
    check_score(score)
    check_t(t, x)
    axes = np.eye(x.shape[-1])
    return np.stack([along(score, x, axis, t, step) for axis in axes], axis=-1)


def directions(x, v, t):
    """Return x and v as points, checked to have one shape, and t to fit them."""
    x, v = points(x, "x"), points(v, "v")
    same_shape(x=x, v=v)
    check_t(t, x)
    return x, v
