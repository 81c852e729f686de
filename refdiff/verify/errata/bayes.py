r"""Wrong versions of the posterior, as found in print."""

import numpy as np

from refdiff.gaussian import Gaussian
from refdiff.verify.identity import erratum


@erratum(
    "posterior-var-beta",
    source="diffusion course notes and code, see huggingface/diffusion-models-class#18",
    says=r"\operatorname{Var}[x_{t-1} \mid x_t, x_0] = \beta_t",
    correct=r"\tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t",
    replaces="bayes.posterior",
    rejected_by="bayes.posterior_var",
    coincides="never exactly; nearly for late t of long schedules",
)
def posterior_with_beta(schedule, x_0, x_t, t):
    t = schedule.index(t, x_t)
    one_minus = schedule.one_minus_alpha_bar
    c_0 = schedule.signal_rate[t - 1] * schedule.beta[t] / one_minus[t]
    c_t = np.sqrt(schedule.alpha[t]) * one_minus[t - 1] / one_minus[t]
    return Gaussian(c_0 * x_0 + c_t * x_t, schedule.beta[t])
