r"""Wrong versions of samplers: signs, roots and halves, slopes at another time, and noise out of proportion."""

import math
from itertools import pairwise

import numpy as np

from refdiff import continuous
from refdiff.gaussian import Gaussian
from refdiff.reverse.walks import last
from refdiff.verify.errata.shapes import on_points
from refdiff.verify.identity import erratum


def walked(step, x, times):
    """Walk down the times by x_s = step(x_u, u, s)."""
    for u, s in pairwise(np.asarray(times, dtype=float).tolist()):
        x = step(x, u, s)
        yield s, x


def stepped(sde, score, x, u, s, *, drift=continuous.reverse_drift, at=None, way=-1, var=None):
    """Return an Euler-Maruyama step with its drift, the time of that, its direction or its variance changed."""
    right = continuous.euler_maruyama_transition(sde, score, x, u, s)
    h = on_points(np.asarray(u) - np.asarray(s))
    mean = x + way * h * drift(sde, score, x, u if at is None else at)
    return Gaussian(mean, right.var if var is None else var(h, on_points(sde.diffusion(u))))


@erratum(
    "euler-maruyama-with-half-the-score",
    source="a common slip: the drift of the flow, with the noise of the reverse equation",
    says=r"x_s = x_u - (u - s)\left[f x_u - \tfrac12 g^2\,\nabla\log q_u\right] + \sqrt{u - s}\;g\,z",
    correct=r"x_s = x_u - (u - s)\left[f x_u - g^2\,\nabla\log q_u\right] + \sqrt{u - s}\;g\,z",
    replaces="continuous.euler_maruyama_transition",
    rejected_by="continuous.euler_maruyama_transition",
    coincides="where the score is 0",
)
def step_with_half_the_score(sde, score, x, u, s):
    return stepped(sde, score, x, u, s, drift=continuous.probability_flow_drift)


@erratum(
    "euler-maruyama-forwards",
    source="a common slip: ds counted as positive; jsboige/CoursIA#16132 finds the sign by trying all combinations",
    says=r"x_s = x_u + (u - s)\left[f x_u - g^2\,\nabla\log q_u\right] + \sqrt{u - s}\;g\,z",
    correct=r"x_s = x_u - (u - s)\left[f x_u - g^2\,\nabla\log q_u\right] + \sqrt{u - s}\;g\,z",
    replaces="continuous.euler_maruyama_transition",
    rejected_by="continuous.euler_maruyama_transition",
    coincides="where the drift is 0",
)
def step_forwards(sde, score, x, u, s):
    return stepped(sde, score, x, u, s, way=1)


@erratum(
    "euler-maruyama-noise-by-h",
    source="a common slip: noise multiplied by the step, not by its root",
    says=r"x_s = x_u - (u - s)\left[f x_u - g^2\,\nabla\log q_u\right] + (u - s)\,g\,z",
    correct=r"x_s = x_u - (u - s)\left[f x_u - g^2\,\nabla\log q_u\right] + \sqrt{u - s}\;g\,z",
    replaces="continuous.euler_maruyama_transition",
    rejected_by="continuous.euler_maruyama_transition",
    coincides="u - s = 1; with short steps it hardly has noise",
)
def step_with_noise_by_h(sde, score, x, u, s):
    return stepped(sde, score, x, u, s, var=lambda h, g: h**2 * g**2)


@erratum(
    "euler-maruyama-noise-by-g-squared",
    source="a common slip: beta for its root, g^2 for g",
    says=r"x_s = x_u - (u - s)\left[f x_u - g^2\,\nabla\log q_u\right] + \sqrt{u - s}\;g^2\,z",
    correct=r"x_s = x_u - (u - s)\left[f x_u - g^2\,\nabla\log q_u\right] + \sqrt{u - s}\;g\,z",
    replaces="continuous.euler_maruyama_transition",
    rejected_by="continuous.euler_maruyama_transition",
    coincides="g = 1",
)
def step_with_noise_by_g_squared(sde, score, x, u, s):
    return stepped(sde, score, x, u, s, var=lambda h, g: h * g**4)


@erratum(
    "euler-maruyama-at-the-new-time",
    source="a common slip: the time counted down before it is used",
    says=r"x_s = x_u - (u - s)\left[f(s)\,x_u - g(s)^2\,\nabla\log q_s(x_u)\right] + \sqrt{u - s}\;g(u)\,z",
    correct=r"x_s = x_u - (u - s)\left[f(u)\,x_u - g(u)^2\,\nabla\log q_u(x_u)\right] + \sqrt{u - s}\;g(u)\,z",
    replaces="continuous.euler_maruyama_transition",
    rejected_by="continuous.euler_maruyama_transition",
    coincides="as s comes near u; x_u is no point of q_s",
)
def step_at_the_new_time(sde, score, x, u, s):
    return stepped(sde, score, x, u, s, at=s)


@erratum(
    "euler-maruyama-by-one-over-K",
    source="yang-song/score_sde_pytorch, sampling.py, EulerMaruyamaPredictor: steps of 1/N between times that are"
    " (1 - eps) / (N - 1) apart, the same for its N = 1000 and eps = 1e-3",
    says=r"x_s = x_u - \frac1K\left[f x_u - g^2\,\nabla\log q_u\right] + \frac{1}{\sqrt K}\,g\,z",
    correct=r"x_s = x_u - (u - s)\left[f x_u - g^2\,\nabla\log q_u\right] + \sqrt{u - s}\;g\,z",
    replaces="continuous.euler_maruyama_path",
    rejected_by="continuous.euler_maruyama",
    coincides="K even steps from 1 to 0",
)
def path_by_one_over_K(sde, score, x, rng, times):
    h = 1 / (len(times) - 1)

    def step(x, u, s):
        z = rng.standard_normal(np.shape(x))
        return x - h * continuous.reverse_drift(sde, score, x, u) + math.sqrt(h) * float(sde.diffusion(u)) * z

    return walked(step, x, times)


@erratum(
    "euler-maruyama-last-step-without-noise",
    source="yang-song/score_sde_pytorch, sampling.py: denoise=True, on purpose and for images",
    says=r"x_{s_K} = x_u - (u - s_K)\left[f x_u - g^2\,\nabla\log q_u\right] \text{ is a sample of } q_{s_K}",
    correct=r"\text{it is a mean; the sample has } \sqrt{u - s_K}\;g\,z \text{ more}",
    replaces="continuous.euler_maruyama",
    rejected_by="continuous.euler_maruyama",
    coincides="all steps but the last; data that are narrow beside it, for which the mean is the better answer",
)
def end_without_noise(sde, score, x, rng, times, *, progress=None):
    x = np.asarray(x, dtype=float)
    if len(times) > 2:
        x = last(continuous.euler_maruyama_path(sde, score, x, rng, times[:-1]), progress)
    if progress is not None:
        progress(len(times) - 1)
    return continuous.euler_maruyama_transition(sde, score, x, times[-2], times[-1]).mean


@erratum(
    "euler-maruyama-with-one-noise",
    source="a common slip: the noise drawn before the loop",
    says=r"x_{s_{k+1}} = x_{s_k} - h\left[f x - g^2\,\nabla\log q\right] + \sqrt h\,g\,z",
    correct=r"x_{s_{k+1}} = x_{s_k} - h\left[f x - g^2\,\nabla\log q\right] + \sqrt h\,g\,z_k,"
    r" \quad z_1, z_2, \ldots \text{ independent}",
    replaces="continuous.euler_maruyama",
    rejected_by="continuous.euler_maruyama",
    coincides="one step",
)
def run_with_one_noise(sde, score, x, rng, times, *, progress=None):
    z = rng.standard_normal(np.shape(x))

    def step(x, u, s):
        law = continuous.euler_maruyama_transition(sde, score, x, u, s)
        return law.mean + law.std * z

    return last(walked(step, x, times), progress)


@erratum(
    "euler-with-the-full-score",
    source="a common slip: the drift of the reverse equation, its noise left out",
    says=r"x_s = x_u - (u - s)\left[f x_u - g^2\,\nabla\log q_u\right]",
    correct=r"x_s = x_u - (u - s)\left[f x_u - \tfrac12 g^2\,\nabla\log q_u\right]",
    replaces="continuous.euler_path",
    rejected_by="continuous.euler",
    coincides="where the score is 0",
)
def euler_path_with_the_full_score(sde, score, x, times):
    return walked(lambda x, u, s: x - (u - s) * continuous.reverse_drift(sde, score, x, u), x, times)


@erratum(
    "euler-at-the-new-time",
    source="a common slip: the time counted down before it is used",
    says=r"x_s = x_u - (u - s)\,v(x_u, s)",
    correct=r"x_s = x_u - (u - s)\,v(x_u, u)",
    replaces="continuous.euler",
    rejected_by="continuous.euler",
    coincides="a velocity that does not depend on the time; of order 1 too, so that finer steps hide it",
)
def euler_at_the_new_time(sde, score, x, times, *, progress=None):
    def step(x, u, s):
        return x - (u - s) * continuous.probability_flow_drift(sde, score, x, s)

    return last(walked(step, x, times), progress)


def heun_like(then):
    """Return a path of the flow whose steps are what then(x, u, s, guess, first, velocity) says."""

    def path(sde, score, x, times):
        def velocity(x, s):
            return continuous.probability_flow_drift(sde, score, x, s)

        def step(x, u, s):
            first = velocity(x, u)
            return then(x, u, s, x - (u - s) * first, first, velocity)

        return walked(step, x, times)

    return path


@erratum(
    "heun-second-slope-at-the-old-time",
    source="a common slip; huggingface/diffusers#1512 mends another mix-up of the two levels",
    says=r"x_s = x_u - \frac{u - s}{2}\left[v(x_u, u) + v(\tilde x, u)\right]",
    correct=r"x_s = x_u - \frac{u - s}{2}\left[v(x_u, u) + v(\tilde x, s)\right]",
    replaces="continuous.heun_path",
    rejected_by="continuous.heun",
    coincides="a velocity that does not depend on the time; else it is of order 1",
)
def heun_at_the_old_time(sde, score, x, times):
    def then(x, u, s, guess, first, velocity):
        return x - (u - s) * (first + velocity(guess, u)) / 2

    return heun_like(then)(sde, score, x, times)


@erratum(
    "heun-without-half",
    source="a common slip",
    says=r"x_s = x_u - (u - s)\left[v(x_u, u) + v(\tilde x, s)\right]",
    correct=r"x_s = x_u - \frac{u - s}{2}\left[v(x_u, u) + v(\tilde x, s)\right]",
    replaces="continuous.heun_path",
    rejected_by="continuous.heun",
    coincides="where the two velocities cancel",
)
def heun_without_half(sde, score, x, times):
    def then(x, u, s, guess, first, velocity):
        return x - (u - s) * (first + velocity(guess, s))

    return heun_like(then)(sde, score, x, times)


@erratum(
    "heun-from-the-guess",
    source="a common slip: the point overwritten by the guess before it is used again",
    says=r"x_s = \tilde x - \frac{u - s}{2}\left[v(x_u, u) + v(\tilde x, s)\right]",
    correct=r"x_s = x_u - \frac{u - s}{2}\left[v(x_u, u) + v(\tilde x, s)\right]",
    replaces="continuous.heun",
    rejected_by="continuous.heun",
    coincides="where the first velocity is 0",
)
def heun_from_the_guess(sde, score, x, times, *, progress=None):
    def then(x, u, s, guess, first, velocity):
        return guess - (u - s) * (first + velocity(guess, s)) / 2

    return last(heun_like(then)(sde, score, x, times), progress)


def karras_like(
    sde,
    score,
    x,
    rng,
    times,
    churn,
    inflation,
    *,
    least=min,
    noise=lambda high, r: math.sqrt(high**2 - r**2),
    second="next",
    start="raised",
    scaled=True,
):
    """Walk as the sampler of Karras et al. does, with one of its parts changed."""
    ratio = lambda s: float(sde.noise_rate(s) / sde.signal_rate(s))  # noqa: E731
    signal = lambda s: float(sde.signal_rate(s)) if scaled else 1.0  # noqa: E731
    gamma = least(churn / (len(times) - 1), math.sqrt(2) - 1)

    def slope(y, s):
        return -float(sde.noise_rate(s)) * score(signal(s) * y, s)

    def step(x, u, s):
        y, r, r_next, level = x / signal(u), ratio(u), ratio(s), u
        high = min((1 + gamma) * r, ratio(1.0))
        if high > r:
            y = y + noise(high, r) * inflation * rng.standard_normal(y.shape)
            level = float(sde.time(-2 * math.log(high)))
        h = r_next - (high if start == "raised" else r)
        first = slope(y, level)
        if r_next > 0:
            first = (first + slope(y + h * first, s if second == "next" else level)) / 2
        return signal(s) * (y + h * first)

    return walked(step, np.asarray(x, dtype=float), times)


@erratum(
    "edm-noise-by-the-difference",
    source="a common slip: standard deviations subtracted",
    says=r"\hat y = y + (\hat r - r_k)\,S z",
    correct=r"\hat y = y + \sqrt{\hat r^2 - r_k^2}\;S z",
    replaces="continuous.edm_path",
    rejected_by="continuous.edm",
    coincides="no churn",
)
def edm_with_noise_by_the_difference(sde, score, x, rng, times, churn=0.0, inflation=1.0):
    return karras_like(sde, score, x, rng, times, churn, inflation, noise=lambda high, r: high - r)


@erratum(
    "edm-churn-by-the-larger",
    source="Comfy-Org/ComfyUI#13820, found in review; Koishi-Star/Euler-Smea-Dyn-Sampler#11, where it is"
    " suspected of stripes",
    says=r"\gamma = \max\left(\frac{\text{churn}}{K}, \sqrt2 - 1\right)",
    correct=r"\gamma = \min\left(\frac{\text{churn}}{K}, \sqrt2 - 1\right)",
    replaces="continuous.edm_path",
    rejected_by="continuous.edm",
    coincides="churn = K (sqrt(2) - 1)",
)
def edm_with_the_larger(sde, score, x, rng, times, churn=0.0, inflation=1.0):
    return karras_like(sde, score, x, rng, times, churn, inflation, least=max)


@erratum(
    "edm-without-scale",
    source="a common slip: Algorithm 2 taken over as it is, which is right for VE",
    says=r"y = x_s",
    correct=r"y = \frac{x_s}{a_s}",
    replaces="continuous.edm_path",
    rejected_by="continuous.edm",
    coincides="a_s = 1: VE",
)
def edm_without_scale(sde, score, x, rng, times, churn=0.0, inflation=1.0):
    return karras_like(sde, score, x, rng, times, churn, inflation, scaled=False)


@erratum(
    "edm-second-slope-at-the-raised-level",
    source="a common slip; huggingface/diffusers#1512 mends sigma_hat where the next sigma is meant in another place",
    says=r"y \leftarrow \hat y + \frac{r_{k+1} - \hat r}{2}\left[d(\hat y, \hat r) + d(\tilde y, \hat r)\right]",
    correct=r"y \leftarrow \hat y + \frac{r_{k+1} - \hat r}{2}\left[d(\hat y, \hat r) + d(\tilde y, r_{k+1})\right]",
    replaces="continuous.edm_path",
    rejected_by="continuous.edm",
    coincides="the last step, if it ends at r = 0",
)
def edm_at_the_raised_level(sde, score, x, rng, times, churn=0.0, inflation=1.0):
    return karras_like(sde, score, x, rng, times, churn, inflation, second="raised")


@erratum(
    "edm-step-from-the-level-before",
    source="a common slip: the noise added, and its level forgotten",
    says=r"y \leftarrow \hat y + (r_{k+1} - r_k)\,d",
    correct=r"y \leftarrow \hat y + (r_{k+1} - \hat r)\,d",
    replaces="continuous.edm_path",
    rejected_by="continuous.edm",
    coincides="no churn",
)
def edm_from_the_level_before(sde, score, x, rng, times, churn=0.0, inflation=1.0):
    return karras_like(sde, score, x, rng, times, churn, inflation, start="before")


@erratum(
    "edm-inflation-ignored",
    source="AUTOMATIC1111/stable-diffusion-webui#8501, as reported: whatever is set, it is 1",
    says=r"S = 1",
    correct=r"S \text{ as given}",
    replaces="continuous.edm",
    rejected_by="continuous.edm",
    coincides="S = 1, and no churn",
)
def edm_with_plain_noise(sde, score, x, rng, times, churn=0.0, inflation=1.0, *, progress=None):
    return continuous.edm(sde, score, x, rng, times, churn, progress=progress)


def corrected(sde, score, x, rng, times, h, corrections, *, noise=2.0, late=True, scaled=True, first=False):
    """Walk as the predictor-corrector does, with its noise, level, step or order changed."""

    def correct(x, u, s):
        for _ in range(corrections if s > 0 else 0):
            at = s if late else u
            h_s = h * float(sde.var(s)) if scaled else h
            x = x + h_s * score(x, at) + math.sqrt(noise * h_s) * rng.standard_normal(np.shape(x))
        return x

    def predict(x, u, s):
        return continuous.euler_maruyama_transition(sde, score, x, u, s).sample(rng)

    def step(x, u, s):
        return predict(correct(x, u, u), u, s) if first else correct(predict(x, u, s), u, s)

    return walked(step, np.asarray(x, dtype=float), times)


@erratum(
    "corrector-noise-of-variance-h",
    source="a common slip: the drift of one convention with the noise of the other",
    says=r"x \leftarrow x + h_s\,\nabla\log q_s(x) + \sqrt{h_s}\,z",
    correct=r"x \leftarrow x + h_s\,\nabla\log q_s(x) + \sqrt{2h_s}\,z",
    replaces="continuous.predictor_corrector_path",
    rejected_by="continuous.predictor_corrector",
    coincides="no correction",
)
def corrector_with_half_the_noise(sde, score, x, rng, times, h, corrections=1):
    return corrected(sde, score, x, rng, times, h, corrections, noise=1.0)


@erratum(
    "corrector-at-the-old-level",
    source="a common slip: the score of the level that the predictor came from",
    says=r"x \leftarrow x + h_s\,\nabla\log q_u(x) + \sqrt{2h_s}\,z, \quad u > s",
    correct=r"x \leftarrow x + h_s\,\nabla\log q_s(x) + \sqrt{2h_s}\,z",
    replaces="continuous.predictor_corrector_path",
    rejected_by="continuous.predictor_corrector",
    coincides="as s comes near u",
)
def corrector_at_the_old_level(sde, score, x, rng, times, h, corrections=1):
    return corrected(sde, score, x, rng, times, h, corrections, late=False)


@erratum(
    "corrector-before-the-predictor",
    source="yang-song/score_sde_pytorch#50, which asks why code and Algorithm 1 differ; jiaor17/DiffCSP#15",
    says=r"x \leftarrow x + h_u\,\nabla\log q_u(x) + \sqrt{2h_u}\,z, \quad\text{then}\quad x \sim p(x_s \mid x_u)",
    correct=r"x \sim p(x_s \mid x_u), \quad\text{then}\quad x \leftarrow x + h_s\,\nabla\log q_s(x) + \sqrt{2h_s}\,z",
    replaces="continuous.predictor_corrector",
    rejected_by="continuous.predictor_corrector",
    coincides="all but the first correction and the last, which is left out: the result is the predictor's",
)
def corrector_first(sde, score, x, rng, times, h, corrections=1, *, progress=None):
    return last(corrected(sde, score, x, rng, times, h, corrections, first=True), progress)


@erratum(
    "corrector-with-one-step-size",
    source="a common slip",
    says=r"h_s = h \text{ at each level}",
    correct=r"h_s = h\,\sigma_s^2",
    replaces="continuous.predictor_corrector_path",
    rejected_by="continuous.predictor_corrector",
    coincides="sigma_s = 1; at low levels such a step is larger than the density is wide",
)
def corrector_of_one_size(sde, score, x, rng, times, h, corrections=1):
    return corrected(sde, score, x, rng, times, h, corrections, scaled=False)
