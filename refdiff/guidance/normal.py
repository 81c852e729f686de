r"""Guidance where class and data are normal: the density that is hoped for, and what two samplers make of it.

A label y = x + noise leaves p(x | y) = N(m, v) of data p(x) = N(mu, V), v < V. Divided by the signal rate, with
u = sigma^2 / a^2 for time, the guided equations are linear and have closed solutions. For each coordinate:

- the tilted density has the weighted *harmonic* mean of v and V for its variance, with weights 1 + w and -w;
- the flow without noise, from infinite noise, the weighted *geometric* mean;
- the equation with noise, which ancestral sampling steps along, a third one.

All three agree at w = 0, where they are p(x | y), and at w = -1, where they are p(x). For w > 0 both samplers are
narrower than the tilted density, and their means go further. As w grows all contract to the point where p(y | x) is
largest, mu + (m - mu) / (1 - v / V); the flow's mean overshoots it on the way.
"""

import numpy as np

from refdiff.gaussian import Gaussian
from refdiff.guidance.labelled import weight

__all__ = ["guided_ancestral_limit", "guided_flow", "guided_flow_limit", "tilted"]


def _laws(conditional, unconditional, w):
    """Return m, v, mu, V and w, checked."""
    for name, law in (("conditional", conditional), ("unconditional", unconditional)):
        if not isinstance(law, Gaussian):
            raise TypeError(f"{name} must be a Gaussian; got {type(law).__name__}.")
        law._require_density("guidance")
    m, mu = conditional.mean, unconditional.mean
    if m.shape[-1] != mu.shape[-1]:
        raise ValueError(f"conditional and unconditional must have the same d; got {m.shape[-1]} and {mu.shape[-1]}.")
    return m, conditional.var, mu, unconditional.var, weight(w)


def tilted(conditional, unconditional, w):
    r"""Return the tilted density of a normal class: what guidance is often said to sample.

    .. math:: p_w(x) \propto p(x \mid y)^{1 + w}\,p(x)^{-w} \propto p(x)\,p(y \mid x)^{1 + w}, \qquad
        \frac1{v_w} = \frac{1 + w}{v} - \frac wV, \qquad
        \mu_w = v_w \left[\frac{1 + w}{v}\,m - \frac wV\,\mu\right]

    Parameters
    ----------
    conditional, unconditional : Gaussian
        p(x | y) = N(m, v) and p(x) = N(mu, V), of one d; leading axes broadcast.
    w : float
        The weight of guidance: 0 is p(x | y), -1 is p(x).

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        If a law is no Gaussian, w not one finite number, or the precision not > 0: nothing can be normalised then.

    Notes
    -----
    Source: Bradley & Nakkiran (2024), section 3, for the density; precisions of a product.
    Identity: :eq:`eq-guidance.tilted`.

    Examples
    --------
    >>> tilted(Gaussian([1.0], 1.0), Gaussian([0.0], 4.0), 1.0)
    Gaussian(mean=array([1.14285714]), var=array([0.57142857]))
    """
    m, v, mu, V, w = _laws(conditional, unconditional, w)
    precision = (1 + w) / v - w / V
    if not (precision > 0).all():
        raise ValueError(f"w must leave a precision (1 + w) / v - w / V > 0; got {precision.min()} for w = {w}.")
    return Gaussian(((1 + w) * m / v - w * mu / V) / precision, 1 / precision)


def _reach(w, r, kappa=1.0):
    """Return the integral of (r + (1 - r) k^2)^(w/2) over k from 0 to kappa."""
    from scipy.special import hyp2f1  # heavy, and only here

    end = r + (1 - r) * kappa**2
    return kappa * end ** (w / 2) * hyp2f1(1.0, -w / 2, 1.5, (1 - r) * kappa**2 / end)


def guided_flow_limit(conditional, unconditional, w):
    r"""Return what the guided probability flow makes of infinite noise, for a normal class: not the tilted density.

    .. math:: \operatorname{Var}[x] = v^{1 + w}\,V^{-w} = v \left(\frac vV\right)^w, \qquad
        \mathbb{E}[x] = \mu + (1 + w)\,(m - \mu) \int_0^1 \left[\frac vV
        + \left(1 - \frac vV\right) \kappa^2\right]^{w/2} d\kappa

    In y = x / a and u = sigma^2 / a^2 the flow is
    dy/du = (1 + w) (y - m) / (2 (v + u)) - w (y - mu) / (2 (V + u)), with the fundamental solution
    (v + u)^((1 + w) / 2) (V + u)^(-w / 2), and its integral over kappa = sqrt(v / (v + u)). Any of the three equations
    gives this law, and DDIM with ever more steps.

    Parameters
    ----------
    conditional, unconditional : Gaussian
        p(x | y) = N(m, v) and p(x) = N(mu, V), of one d; leading axes broadcast.
    w : float
        The weight of guidance.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        If a law is no Gaussian, or w not one finite number.

    Notes
    -----
    Source: the linear equation solved; Bradley & Nakkiran (2024), section 3, for V = 2 v and m = mu.
    Identity: :eq:`eq-guidance.guided_flow_limit`.

    Examples
    --------
    >>> guided_flow_limit(Gaussian([1.0], 1.0), Gaussian([0.0], 4.0), 1.0)
    Gaussian(mean=array([1.380173]), var=array([0.25]))
    """
    m, v, mu, V, w = _laws(conditional, unconditional, w)
    return Gaussian(mu + (1 + w) * (m - mu) * _reach(w, v / V), v * (v / V) ** w, point_mass=True)


def guided_flow(sde, conditional, unconditional, w, *, prior=None):
    r"""Return the law at s = 0 of the guided probability flow that starts from a prior at s = 1, for a normal class.

    .. math:: \operatorname{Var}[x_0] = \rho^2\,\frac{\operatorname{Var}[x_1]}{a_1^2}, \qquad
        \rho^2 = \left(\frac{v}{v + u_1}\right)^{1 + w} \left(\frac{V + u_1}{V}\right)^w, \qquad
        u_1 = \frac{\sigma_1^2}{a_1^2}

    .. math:: \mathbb{E}[x_0] = \mu + \rho\left(\frac{\mathbb{E}[x_1]}{a_1} - \mu\right)
        + (1 + w)\,(m - \mu) \int_{\kappa_1}^1 \left[\frac vV + \left(1 - \frac vV\right) \kappa^2\right]^{w/2} d\kappa,
        \qquad \kappa_1 = \sqrt{\frac{v}{v + u_1}}

    As the noise grows it tends to :func:`guided_flow_limit`. At w = 0 it is p(x | y), but for what the prior differs
    from the law of x_1.

    Parameters
    ----------
    sde : VP, VE or SubVP
    conditional, unconditional : Gaussian
        p(x | y) = N(m, v) and p(x) = N(mu, V) at s = 0, of one d; leading axes broadcast.
    w : float
        The weight of guidance.
    prior : Gaussian, optional
        The law of x_1. By default ``sde.prior(d)``.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        If a law is no Gaussian, or w not one finite number.

    Notes
    -----
    Source: the linear equation solved, see :func:`guided_flow_limit`. Identity: :eq:`eq-guidance.guided_flow`.

    Examples
    --------
    >>> from refdiff.continuous import VP
    >>> guided_flow(VP(), Gaussian([1.0], 1.0), Gaussian([0.0], 4.0), 1.0).var.round(4)  # in the limit .25
    array([0.25])
    """
    m, v, mu, V, w = _laws(conditional, unconditional, w)
    if prior is not None and not isinstance(prior, Gaussian):
        raise TypeError(f"prior must be a Gaussian; got {type(prior).__name__}.")
    prior = sde.prior(m.shape[-1]) if prior is None else prior
    signal, r = sde.signal_rate(1.0), v / V
    u = sde.var(1.0) / signal**2
    kappa, rho = np.sqrt(v / (v + u)), np.sqrt(v / (v + u)) * np.sqrt((V + u) * v / ((v + u) * V)) ** w
    driven = (1 + w) * (m - mu) * (_reach(w, r) - _reach(w, r, kappa))
    return Gaussian(mu + rho * (prior.mean / signal - mu) + driven, rho**2 * prior.var / signal**2, point_mass=True)


def _mean_decay(z):
    """Return the mean of exp(-z s) over s in [0, 1]: (1 - exp(-z)) / z, and 1 at 0."""
    at_zero = z == 0
    z = np.where(at_zero, 1.0, z)
    return np.where(at_zero, 1.0, -np.expm1(-z) / z)


def guided_ancestral_limit(conditional, unconditional, w):
    r"""Return what the guided equation with noise makes of infinite noise, for a normal class: a third law.

    .. math:: \operatorname{Var}[x] = \frac{v}{1 + 2w}\,\frac{1 - (v/V)^{1 + 2w}}{1 - v/V}, \qquad
        \mathbb{E}[x] = \mu + (m - \mu)\,\frac{1 - (v/V)^{1 + w}}{1 - v/V}

    In y = x / a and u = sigma^2 / a^2 the reverse equation has twice the drift of the flow, so its fundamental solution
    is the square, (v + u)^(1 + w) (V + u)^(-w), and noise of variance du comes in all the way. Ancestral sampling with
    ever more steps gives this law. As V grows it tends to N(m, v / (1 + 2w)), where the tilted density has
    v / (1 + w) and the flow 0.

    Parameters
    ----------
    conditional, unconditional : Gaussian
        p(x | y) = N(m, v) and p(x) = N(mu, V), of one d; leading axes broadcast.
    w : float
        The weight of guidance.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        If a law is no Gaussian, or w not one finite number.

    Notes
    -----
    Source: the linear equation solved; Bradley & Nakkiran (2024), section 3, for V = 2 v and m = mu.
    Identity: :eq:`eq-guidance.guided_ancestral_limit`.

    Examples
    --------
    >>> guided_ancestral_limit(Gaussian([1.0], 1.0), Gaussian([0.0], 4.0), 1.0)
    Gaussian(mean=array([1.25]), var=array([0.4375]))
    """
    m, v, mu, V, w = _laws(conditional, unconditional, w)
    narrower = np.log(V / v)
    whole = _mean_decay(narrower)
    mean = mu + (1 + w) * (m - mu) * _mean_decay((1 + w) * narrower) / whole
    return Gaussian(mean, v * _mean_decay((1 + 2 * w) * narrower) / whole)
