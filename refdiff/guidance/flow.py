r"""Guidance of mixture data: the tilted density, the guided score, and the exact density of the guided flow."""

import numpy as np

from refdiff.checks import table
from refdiff.continuous import ideal_score, ideal_score_divergence
from refdiff.continuous.evolution import score_and_divergence
from refdiff.continuous.flow import carried_log_density
from refdiff.guidance.labelled import check_labelled, log_classes, weight
from refdiff.mixture import log_components

__all__ = ["guided_flow_log_density", "guided_score", "guided_score_divergence", "tilted_log_density"]

SETTLED = 0.1  # a normaliser as large as this has the relative accuracy of the quadrature


def _log_classifier(labelled, y, x):
    """Return log p(y | x) of clean points."""
    mixture = labelled.mixture
    log_joint = log_components(mixture._points(x, "x"), mixture.weights, mixture.means, mixture.variances)
    return log_classes(log_joint, labelled.labels)[..., y]


def _log_normaliser(labelled, y, w):
    """Return log of the integral of p(x) p(y | x)^(1 + w), by quadrature in units of its own size.

    The quadrature is accurate beside 1, so what is integrated is divided by a guess of the result: by the largest value
    at a mean of the class, and by each result that is still small.
    """

    def in_units_of(log_size):
        # against the law of all data: its grid knows how narrow the components of the other classes are
        with np.errstate(under="ignore"):
            return labelled.mixture.expectation(lambda x: np.exp((1 + w) * _log_classifier(labelled, y, x) - log_size))

    log_size = (1 + w) * np.max(_log_classifier(labelled, y, labelled.given(y).means))
    while (value := in_units_of(log_size)) < SETTLED:
        log_size = log_size + np.log(value)
    return float(log_size + np.log(value))


def tilted_log_density(labelled, y, w, x):
    r"""Return the log-density of the tilted law, normalised by quadrature: what guidance is often said to sample.

    .. math:: \log p_w(x) = \log p(x) + (1 + w) \log p(y \mid x) - \log Z
        = (1 + w) \log p(x \mid y) - w \log p(x) - \log Z'

    To draw from it is easy in principle, for w >= 0: keep a draw of p(x | y) with probability p(y | x)^w. Its score is
    the guided score at s = 0, so Langevin dynamics with that and no noise level samples it. The guided flow and
    ancestral sampling do not: :func:`guided_flow_log_density`.

    Parameters
    ----------
    labelled : LabelledMixture
        With d <= 2.
    y : int
        The class, in 0..C-1.
    w : float
        The weight of guidance, at least -1: 0 is p(x | y), -1 is p(x).
    x : array_like, shape (..., d)

    Returns
    -------
    ndarray, shape (...)
        In nats.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, d > 2, or w < -1, where a power of 1 / p(y | x) need not be integrable.
    RuntimeError
        If the quadrature does not settle, see :meth:`refdiff.mixture.GaussianMixture.expectation`.

    Notes
    -----
    Source: Ho & Salimans (2022), section 3.1, for the density. Identities: :eq:`eq-guidance.tilted_log_density`,
    :eq:`eq-guidance.tilted_score`.

    Examples
    --------
    >>> from refdiff import GaussianMixture
    >>> from refdiff.guidance import LabelledMixture
    >>> labelled = LabelledMixture(GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 1.0), [0, 1])
    >>> tilted_log_density(labelled, 1, 1.0, [[0.0], [1.0]]).round(4)
    array([-1.8575, -0.7912])
    """
    check_labelled(labelled)
    y, w, x = labelled._class(y), weight(w), labelled.mixture._points(x, "x")
    if w < -1:
        raise ValueError(f"w must be at least -1; got {w}. It is -1 for p(x), and 0 for p(x | y).")
    log_tilted = labelled.mixture.log_density(x) + (1 + w) * _log_classifier(labelled, y, x)
    return log_tilted - _log_normaliser(labelled, y, w)


def guided_score(sde, labelled, y, w):
    r"""Return the guided score of mixture data as they diffuse.

    .. math:: \tilde s(x, s) = (1 + w)\,\nabla \log p_s(x \mid y) - w\,\nabla \log p_s(x)
        = \nabla \log \left[p_s(x)\,p_s(y \mid x)^{1 + w}\right]

    At s = 0 it is the score of the tilted density, :func:`tilted_log_density`. At s > 0 it is the score of a tilted
    density too, of p_s, but not of what the one at s = 0 diffuses to: to tilt and to diffuse do not commute. So what it
    drives does not arrive at the tilted density.

    Parameters
    ----------
    sde : VP, VE or SubVP
    labelled : LabelledMixture
    y : int
        The class, in 0..C-1.
    w : float
        The weight of guidance.

    Returns
    -------
    callable
        ``score(x, s)``: x of shape (..., d), s one number or one per point.

    Raises
    ------
    TypeError, ValueError
        If `labelled` is no LabelledMixture, there is no such class, or w is not one finite number.

    Notes
    -----
    Source: Ho & Salimans (2022), eq. 6, as a score; Bradley & Nakkiran (2024), section 3, and Chidambaram et al. (2024)
    for what it is not. Identities: :eq:`eq-guidance.guided_score`, :eq:`eq-guidance.tilted_score`.
    """
    check_labelled(labelled)
    of_class, of_all = ideal_score(sde, labelled.given(y)), ideal_score(sde, labelled.mixture)
    w = weight(w)

    def score(x, s):
        return (1 + w) * of_class(x, s) - w * of_all(x, s)

    return score


def guided_score_divergence(sde, labelled, y, w):
    r"""Return the divergence of the guided score.

    .. math:: \nabla\cdot\tilde s(x, s) = (1 + w)\,\Delta \log p_s(x \mid y) - w\,\Delta \log p_s(x)

    Parameters
    ----------
    sde : VP, VE or SubVP
    labelled : LabelledMixture
    y : int
        The class, in 0..C-1.
    w : float
        The weight of guidance.

    Returns
    -------
    callable
        ``divergence(x, s)`` of shape (...).

    Raises
    ------
    TypeError, ValueError
        As for :func:`guided_score`.

    Notes
    -----
    Source: differentiating :func:`guided_score`. Identity: :eq:`eq-guidance.guided_score_divergence`.
    """
    check_labelled(labelled)
    of_class = ideal_score_divergence(sde, labelled.given(y))
    of_all = ideal_score_divergence(sde, labelled.mixture)
    w = weight(w)

    def divergence(x, s):
        return (1 + w) * of_class(x, s) - w * of_all(x, s)

    return divergence


def guided_flow_log_density(sde, labelled, y, w, x, *, prior=None, tolerance=1e-10):
    r"""Return the log-density of what the guided probability flow samples, in nats: exact, for mixture data.

    .. math:: \log p(x) = \log p_1(x_1) + \int_0^1 \left[d f - \tfrac12 g^2\,\nabla\cdot\tilde s(x_s, s)\right] ds,
        \qquad \dot x_s = f x_s - \tfrac12 g^2\,\tilde s(x_s, s), \quad x_0 = x

    At w = 0 it is p(x | y), but for what the prior differs from the law of x_1. At any other w but -1 it is **not** the
    tilted density, :func:`tilted_log_density`, however much noise there is, unless p(y | x) is the same for all x.

    Parameters
    ----------
    sde : VP, VE or SubVP
    labelled : LabelledMixture
    y : int
        The class, in 0..C-1.
    w : float
        The weight of guidance.
    x : array_like, shape (n, d)
    prior : optional
        The law of x_1 that the flow starts from: anything with ``log_density``. By default ``sde.prior(d)``.
    tolerance : float
        As for :func:`refdiff.continuous.probability_flow`.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    TypeError, ValueError
        If x is not (n, d), or as for :func:`guided_score`.
    RuntimeError
        If the solver gives up.

    Notes
    -----
    Source: Song et al. (2021), eq. 39, with the guided score. Identity: :eq:`eq-guidance.guided_flow_log_density`.

    Examples
    --------
    >>> from refdiff import GaussianMixture
    >>> from refdiff.continuous import VP
    >>> from refdiff.guidance import LabelledMixture
    >>> labelled = LabelledMixture(GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 1.0), [0, 1])
    >>> guided_flow_log_density(VP(), labelled, 1, 1.0, [[0.0], [1.0]]).round(2)
    array([-3.24, -0.82])
    """
    check_labelled(labelled)
    x, given, w = table(x, "x"), labelled.given(y), weight(w)

    def both(x, s):
        (of_class, class_bend), (of_all, all_bend) = (
            score_and_divergence(sde, law, x, s) for law in (given, labelled.mixture)
        )
        return (1 + w) * of_class - w * of_all, (1 + w) * class_bend - w * all_bend

    return carried_log_density(sde, both, x, prior, 0.0, 1.0, tolerance)
