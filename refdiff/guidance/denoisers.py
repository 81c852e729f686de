r"""Guided denoisers: each is a denoiser again, which every sampler and every bound takes.

The convention is that of Ho & Salimans (2022): w = 0 is the conditional denoiser as it is, w = -1 the unconditional
one. Imagen, GLIDE and diffusers write s = 1 + w (``guidance_scale``): theirs is 1 without guidance and 0 without a
label, and a scale of 7.5 is w = 6.5 here.
"""

from refdiff.checks import call_denoiser, check_denoiser, points
from refdiff.guidance.labelled import weight
from refdiff.score.field import call_score, check_score

__all__ = ["classifier", "classifier_free"]


def classifier_free(conditional, unconditional, w):
    r"""Return the denoiser of classifier-free guidance: away from what is predicted without the label.

    .. math:: \tilde\epsilon(x_t, t) = (1 + w)\,\hat\epsilon(x_t, t, y) - w\,\hat\epsilon(x_t, t)
        = \hat\epsilon(x_t, t) + s\left[\hat\epsilon(x_t, t, y) - \hat\epsilon(x_t, t)\right], \qquad s = 1 + w

    The weights add up to 1; for w > 0 it extrapolates beyond the conditional denoiser. w = 0 is that denoiser, w = -1
    the unconditional one. Code that writes s, ``guidance_scale`` in diffusers, means w = s - 1.

    Parameters
    ----------
    conditional, unconditional : callable
        ``eps_hat = denoiser(x_t, t)``, with the label and without.
    w : float
        The weight of guidance.

    Returns
    -------
    callable
        ``denoiser(x_t, t) -> eps_hat``.

    Raises
    ------
    TypeError, ValueError
        If a denoiser is not callable or returns another shape, or w is not one finite number.

    Notes
    -----
    Source: Ho & Salimans (2022), eq. 6. Identities: :eq:`eq-guidance.classifier_free`, :eq:`eq-guidance.equivalence`.

    Examples
    --------
    >>> with_label, without = lambda x_t, t: x_t, lambda x_t, t: x_t / 2
    >>> classifier_free(with_label, without, 3.0)([1.0], 1)
    array([2.5])
    """
    check_denoiser(conditional, "conditional")
    check_denoiser(unconditional, "unconditional")
    w = weight(w)

    def denoiser(x_t, t):
        x_t = points(x_t, "x_t")
        with_label = call_denoiser(conditional, x_t, t, "conditional")
        without = call_denoiser(unconditional, x_t, t, "unconditional")
        return (1 + w) * with_label - w * without

    return denoiser


def classifier(schedule, denoiser, classifier_score, w):
    r"""Return the denoiser of classifier guidance: towards where a classifier of noisy points is surer of the label.

    .. math:: \tilde\epsilon(x_t, t) = \hat\epsilon(x_t, t)
        - w\,\sqrt{1 - \bar\alpha_t}\;\nabla_{x_t} \log p(y \mid x_t)

    The weight is that of the classifier, so it depends on the denoiser that is guided. Given the **conditional** one,
    w is the w of :func:`classifier_free`. Given the **unconditional** one, as in Algorithm 2 of Dhariwal & Nichol, the
    weight 1 is the conditional denoiser, by Bayes' rule, and the weight 1 + w is :func:`classifier_free` with w: their
    scale s, and that of diffusers. With exact denoisers and an exact classifier all of these are identities.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    classifier_score : callable
        ``classifier_score(x_t, t)``, the gradient of log p(y | x_t), of a classifier that knows t: one of clean points
        has another gradient.
    w : float
        The weight of the classifier.

    Returns
    -------
    callable
        ``denoiser(x_t, t) -> eps_hat``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not callable or returns another shape, or w is not one finite number.

    Notes
    -----
    Source: Dhariwal & Nichol (2021), eq. 14 and Algorithm 2. Identities: :eq:`eq-guidance.classifier`,
    :eq:`eq-guidance.equivalence`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.75])  # sqrt(1 - alpha_bar_1) = .866
    >>> classifier(schedule, lambda x_t, t: 0 * x_t, lambda x_t, t: x_t, 2.0)([1.0], 1).round(3)
    array([-1.732])
    """
    check_denoiser(denoiser)
    check_score(classifier_score, "classifier_score")
    w = weight(w)

    def guided(x_t, t):
        x_t = points(x_t, "x_t")
        noise_rate = schedule.noise_rate[schedule.index(t, x_t)]
        gradient = call_score(classifier_score, x_t, t, "classifier_score")
        return call_denoiser(denoiser, x_t, t) - w * noise_rate * gradient

    return guided
