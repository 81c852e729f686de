r"""The five published texts whose equations are catalogued and whose errors are among the errata, S0 to S4.

``SOURCES`` says what they are. ``EQUATIONS`` lists every equation that they state, and those that their derivations
need and leave out, each with what holds it here: identities of the catalogue, or tests. ``CLAIMS`` lists every wrong
statement found in them, each with its errata; ``BEYOND`` explains what else cites them.
"""

import re
from dataclasses import dataclass

__all__ = ["BEYOND", "CLAIMS", "EQUATIONS", "SOURCES", "Claim", "Equation", "Source", "references"]


@dataclass(frozen=True)
class Source:
    """A published text: what it is, how many lines it has (to which citations refer), and where it can be read."""

    title: str
    language: str
    lines: int
    author: str = "author unknown"
    year: str = "year unknown"
    about: str = ""
    url: str = ""

    def __str__(self):
        named = f"{self.author}, “{self.title}”" if self.author != "author unknown" else f"“{self.title}”"
        unknown = "author and year unknown" if named.startswith("“") else ""
        return "; ".join(part for part in (f"{named}{self.about}", unknown or self.year, self.language) if part)


@dataclass(frozen=True)
class Equation:
    """An equation of the texts, and what holds it here.

    `states` is a line of text with LaTeX in dollars. `stands` says where; it is empty for an equation that the texts
    lack, and `near` says which passage wants it. `held_by` are keys of identities, `tested_by` are tests.
    """

    part: str
    states: str
    stands: str = ""
    near: str = ""
    held_by: tuple = ()
    tested_by: tuple = ()


@dataclass(frozen=True)
class Claim:
    """A wrong statement of the texts: how wrong, where it stands, and the errata that say so.

    Grade A is false as it stands, B misleads or lacks a condition, C is a slip of the pen that still changes a number.
    The first erratum is the statement itself, the others are what follows from it under other functions.
    """

    grade: str
    stands: str
    errata: tuple


def references(text):
    """Return the lines that a citation names: a list of (source, first, last)."""
    found = []
    for name, numbers in re.findall(r"(S[0-4]), lines? (\d+(?:-\d+)?(?:(?:, | and )\d+(?:-\d+)?)*)", text):
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", numbers):
            found.append((name, int(first), int(last or first)))
    return found


SOURCES = {
    "S0": Source(
        "Diffusion",
        "Chinese",
        157,
        about=", notes on diffusion as a Markovian hierarchical variational autoencoder",
    ),
    "S1": Source(
        "DDPM: Denoising Diffusion Probabilistic Models",
        "Chinese",
        605,
        about=", a derivation step by step, which links to the paper by way of Zhihu",
    ),
    "S2": Source("Diffusiion-based Generative Model", "Chinese", 93, about=", lecture notes"),
    "S3": Source(
        "Diffusion models explained", "English", 840, author="Gabriel Raya", year="2022", url="https://gabrielraya.com/"
    ),
    "S4": Source(
        "Understanding Denoising Diffusion Probabilistic Models",
        "English",
        299,
        author="Lao Qi",
        year="2024",
        url="https://blog.laoqi.cc/en/posts/2024-04-02-ddpm/",
    ),
}

EQUATIONS = {
    "gaussian-density-expansion": Equation(
        "Gaussian facts",
        r"$\mathcal{N}(x;\mu,\sigma^2)=\frac1{\sqrt{2\pi}\sigma}\exp[-\frac12(\frac{x^2}{\sigma^2}-\frac{2\mu"
        r" x}{\sigma^2}+\frac{\mu^2}{\sigma^2})]$",
        stands="S1, lines 302-316; S3, lines 349-358; S4, lines 241-248",
        held_by=("gaussian.log_density", "gaussian.from_natural"),
    ),
    "affine-gaussian": Equation(
        "Gaussian facts",
        r"$z = \mu + \sigma\epsilon, \; \epsilon \sim \mathcal{N}(0, I) \Rightarrow z \sim \mathcal{N}(\mu, \sigma^2"
        r" I)$; $\mathbb{E}[ax] = a\,\mathbb{E}[x]$, $\operatorname{Var}[ax] = a^2 \operatorname{Var}[x]$",
        stands="S1, lines 79-87; S1, line 605; S2, lines 13-23; S3, lines 145, 175",
        held_by=("gaussian.sample", "gaussian.linear_combination"),
    ),
    "gaussian-sum-independent": Equation(
        "Gaussian facts",
        r"$A + B \sim \mathcal{N}(\mu_1 + \mu_2, \sigma_1^2 + \sigma_2^2)$ for independent $A$, $B$; else"
        r" $2\operatorname{Cov}(A, B)$ is added to the variance",
        stands="S1, lines 89-97; S3, lines 163-175; S0, lines 44-45; S2, lines 36-40",
        held_by=("gaussian.linear_combination",),
    ),
    "gaussian-weighted-sum": Equation(
        "Gaussian facts",
        r"$aX+bY\sim \mathcal{N}(a\mu_1+b\mu_2,(a^2\sigma_1^2+b^2\sigma_2^2)I)$",
        stands="S4, lines 192-194",
        held_by=("gaussian.linear_combination",),
    ),
    "bayes-rule": Equation(
        "Gaussian facts",
        r"$q(A\mid B)=q(A)q(B\mid A)/q(B)$",
        stands="S1, lines 130-136; S0, lines 91-93; S2, lines 69-72; S3, lines 308-314",
        held_by=("bayes.rule", "gaussian.condition"),
    ),
    "gaussian-conditioning": Equation(
        "Gaussian facts",
        r"$x_i\mid x_J\sim \mathcal{N}(m_i+k^\top K^{-1}(v-m_J),\,k_{ii}-k^\top K^{-1}k)$",
        held_by=("gaussian.condition",),
    ),
    "gaussian-completing-square": Equation(
        "Gaussian facts",
        r"$\frac1{\sigma^2}=P,\ \frac{\mu}{\sigma^2}=h\Rightarrow \mu=h/P$",
        stands="S1, lines 302-349; S3, lines 349-377; S4, lines 250-259",
        held_by=("gaussian.from_natural", "bayes.posterior_from_precisions"),
    ),
    "kl-definition": Equation(
        "Gaussian facts",
        r"$\mathrm{KL}(q \Vert p) = \mathbb{E}_q \log\frac qp \ge 0$, of two arguments",
        stands="S0, lines 78-79, 111-112; S2, line 82; S3, lines 302, 506-508",
        held_by=("gaussian.kl",),
    ),
    "kl-gaussian": Equation(
        "Gaussian facts",
        r"$\mathrm{KL} = \frac12\sum_i\left[\log\frac{s_i^2}{v_i} + \frac{v_i + (m_i - \mu_i)^2}{s_i^2} - 1\right]$,"
        " and for full covariances",
        stands="S3, lines 440, 547",
        held_by=("gaussian.kl", "gaussian.full_kl"),
    ),
    "kl-equal-variance": Equation(
        "Gaussian facts",
        r"$\mathrm{KL} = \Vert\mu_1 - \mu_2\Vert^2 / 2\sigma^2$ if and only if the variances are equal",
        stands="S3, lines 517-549",
        held_by=("gaussian.kl_equal_var",),
    ),
    "llr-yz-identity": Equation(
        "Gaussian facts",
        r"with $Y = x - \tilde\mu$, $Z = \mu_\theta - \tilde\mu$ and one variance: $\log\frac qp = -"
        r"\frac{YZ}{\sigma^2} + \frac{Z^2}{2\sigma^2}$, $\mathbb{E}[YZ] = 0$",
        stands="S3, lines 513-549",
        held_by=("gaussian.kl_equal_var",),
        tested_by=("tests/test_equations.py::test_the_log_ratio_of_two_gaussians_of_one_variance_in_y_and_z",),
    ),
    "gaussian-entropy": Equation(
        "Gaussian facts",
        r"$H=\frac d2\log 2\pi e\sigma^2$",
        near="S3, line 808; S0, line 79",
        held_by=("gaussian.entropy", "gaussian.full_entropy"),
    ),
    "cross-entropy-bits": Equation(
        "Gaussian facts",
        r"$H[q, p] = -\mathbb{E}_q\log p = H[q] + \mathrm{KL}(q \Vert p)$; bits are nats over $\ln 2$",
        stands="S3, lines 263, 750",
        held_by=("gaussian.cross_entropy", "gaussian.bits"),
        tested_by=("tests/test_equations.py::test_a_cross_entropy_in_bits_is_the_length_of_huffman_s_code",),
    ),
    "jensen-neg-log": Equation(
        "Gaussian facts",
        r"$\mathbb{E}[-\log w]\ge-\log \mathbb{E}[w]$",
        stands="S3, lines 272-281",
        held_by=("likelihood.jarzynski", "likelihood.importance_weighted_bound"),
        tested_by=("tests/test_ais.py::test_the_mean_work_is_the_bound_and_exceeds_the_surprise_by_the_gap",),
    ),
    "markov-factorisation": Equation(
        "Gaussian facts",
        r"$P(A,B,C)=P(A)P(B\mid A)P(C\mid B)$",
        stands="S4, lines 176-180; S0, lines 20-23; S1, line 3; S3, lines 125-130",
        held_by=("bayes.markov", "gaussian.full_log_density"),
        tested_by=("tests/test_equations.py::test_the_joint_density_of_a_chain_is_the_product_of_its_steps",),
    ),
    "alpha-beta": Equation(
        "The schedule",
        r"$\alpha_t=1-\beta_t$",
        stands="S0, lines 27-31; S1, line 21; S2, line 31; S3, line 145; S4, line 81",
        held_by=("schedule.alpha_bar",),
        tested_by=("tests/test_equations.py::test_alpha_is_what_beta_leaves",),
    ),
    "alpha-bar": Equation(
        "The schedule",
        r"$\bar\alpha_t=\prod_{s=1}^t\alpha_s$, $\bar\alpha_0=1$",
        stands="S0, line 37; S1, line 121; S2, line 31; S3, line 145; S4, line 81",
        held_by=("schedule.alpha_bar",),
    ),
    "alpha-bar-decreasing": Equation(
        "The schedule",
        r"$\bar\alpha_1>\dots>\bar\alpha_T$",
        stands="S3, line 187",
        held_by=("schedule.alpha_bar",),
    ),
    "linear-beta-schedule": Equation(
        "The schedule",
        r"$\beta_1 = 10^{-4}, \ldots, \beta_T = 0.02$ on a line, $T = 1000$",
        stands="S1, line 21; S2, line 11; S4, line 66",
        held_by=("schedule.linear",),
    ),
    "beta-monotone-noise": Equation(
        "The schedule",
        r"the larger $\beta_t$, the larger the change: $\mathbb{E}\Vert x_t - x_{t-1}\Vert^2 = (1 - \sqrt{\alpha_t})^2"
        r" \Vert x_{t-1}\Vert^2 + d\beta_t$",
        stands="S2, line 10; S1, line 23; S4, line 66",
        held_by=("forward.step_size",),
    ),
    "signal-noise-rates": Equation(
        "The schedule",
        r"$\sqrt{\bar\alpha_t}$ and $\sqrt{1 - \bar\alpha_t}$, whose squares add up to 1; their curves",
        stands="S1, line 121; S3, lines 187, 206; S4, line 83",
        held_by=("schedule.rates",),
        tested_by=("tests/test_plot.py::test_forward_figure_draws_the_chains_of_walk_and_the_rates",),
    ),
    "snr": Equation(
        "The schedule",
        r"$\mathrm{SNR}_t = \bar\alpha_t / (1 - \bar\alpha_t)$, which decreases",
        near="S3, line 187",
        held_by=("schedule.snr",),
    ),
    "variance-preservation": Equation(
        "The schedule",
        r"$\operatorname{Var} x_t = \bar\alpha_t \operatorname{Var} x_0 + 1 - \bar\alpha_t$, which is 1 if and only if"
        r" $\operatorname{Var} x_0 = 1$",
        stands="S0, line 31; S3, line 143",
        held_by=("forward.variance",),
    ),
    "stationary-limit": Equation(
        "The schedule",
        r"$q(x_t \mid x_0) \to \mathcal{N}(0, I)$ if and only if $\sum_t \beta_t = \infty$",
        stands="S1, line 123; S2, lines 52-55; S3, line 134; S4, line 218; S0, line 16",
        held_by=("schedule.limit", "elbo.prior_term"),
    ),
    "terminal-prior-gap": Equation(
        "The schedule",
        r"$\mathrm{KL}(q(x_T\mid x_0)\Vert \mathcal{N}(0,I))=\frac12[\bar\alpha_T\Vert x_0\Vert^2-d\bar\alpha_T-d"
        r"\log(1-\bar\alpha_T)]$",
        stands="S0, lines 84, 111, 117; S3, line 446; S2, line 82",
        held_by=("elbo.prior_term",),
        tested_by=("tests/test_equations.py::test_what_is_left_of_the_data_at_the_last_step",),
    ),
    "tilde-beta": Equation(
        "The schedule",
        r"$\tilde\beta_t=\frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\beta_t$, $\tilde\beta_1=0$, $\tilde\beta_t<\beta_t$",
        stands="S0, line 137; S1, lines 330-336; S3, lines 360-366, 429; S4, lines 129, 255",
        held_by=("schedule.beta_tilde", "bayes.posterior_var"),
        tested_by=("tests/test_equations.py::test_beta_tilde_is_below_beta",),
    ),
    "forward-kernel": Equation(
        "The forward process",
        r"$q(x_t\mid x_{t-1})=\mathcal{N}(\sqrt{\alpha_t}x_{t-1},\beta_tI)$",
        stands="S0, lines 24-30; S1, line 22; S2, line 7; S3, lines 138, 145; S4, lines 63, 66",
        held_by=("forward.transition", "forward.walk"),
    ),
    "forward-joint": Equation(
        "The forward process",
        r"$q(x_{1:T} \mid x_0) = \prod_t q(x_t \mid x_{t-1})$, $q(x_{0:T}) = q(x_0) \prod_t q(x_t \mid x_{t-1})$",
        stands="S0, line 22; S3, lines 130, 255, 733; S4, line 57",
        held_by=("forward.walk", "elbo.pathwise"),
        tested_by=("tests/test_equations.py::test_the_joint_density_of_a_chain_is_the_product_of_its_steps",),
    ),
    "two-step-merge": Equation(
        "The forward process",
        r"$\sqrt{\alpha_t(1-\alpha_{t-1})}\hat\epsilon+\sqrt{1-\alpha_t}\epsilon\sim"
        r" \mathcal{N}(0,1-\alpha_t\alpha_{t-1})$",
        stands="S0, lines 42-46; S1, lines 53-102; S2, lines 33-40; S3, lines 150-175; S4, lines 196-203",
        held_by=("forward.jump", "gaussian.linear_combination"),
        tested_by=("tests/test_equations.py::test_two_independent_noises_merge_into_one",),
    ),
    "jump-kernel": Equation(
        "The forward process",
        r"$q(x_t\mid x_s)=\mathcal{N}(\sqrt{\bar\alpha_t/\bar\alpha_s}x_s,(1-\bar\alpha_t/\bar\alpha_s)I)$",
        held_by=("forward.jump",),
    ),
    "marginal": Equation(
        "The forward process",
        r"$q(x_t\mid x_0)=\mathcal{N}(\sqrt{\bar\alpha_t}x_0,(1-\bar\alpha_t)I)$",
        stands="S0, lines 35, 47-50; S1, lines 30, 108-121, 155, 177; S2, lines 42-50; S3, lines 156-158, 182; S4,"
        " lines 78, 189, 212, 216",
        held_by=("forward.marginal",),
    ),
    "marginal-reparam": Equation(
        "The forward process",
        r"$x_t=\sqrt{\bar\alpha_t}x_0+\sqrt{1-\bar\alpha_t}\bar\epsilon$",
        stands="S0, line 49; S1, lines 116-119; S2, line 43; S3, line 156; S4, lines 86-91",
        held_by=("forward.diffuse",),
    ),
    "merged-noise": Equation(
        "The forward process",
        r"$\bar\epsilon_t=(x_t-\sqrt{\bar\alpha_t}x_0)/\sqrt{1-\bar\alpha_t}$, $\operatorname{Corr}("
        r"\bar\epsilon_t,\epsilon_t)=\sqrt{\beta_t/(1-\bar\alpha_t)}$",
        near="S0, line 52; S3, line 156; S1, line 98",
        held_by=("parameterize.eps_from_x_0", "forward.diffuse"),
        tested_by=("tests/test_equations.py::test_the_merged_noise_is_correlated_with_the_noise_of_its_last_step",),
    ),
    "chain-covariance": Equation(
        "The forward process",
        r"$\operatorname{Cov}(x_s, x_t \mid x_0) = \sqrt{\bar\alpha_t / \bar\alpha_s}\,(1 - \bar\alpha_s)$ for $s \le"
        " t$",
        near="S0, lines 76-79; S3, line 187",
        held_by=("forward.covariance",),
    ),
    "forward-2d-animation": Equation(
        "The forward process",
        r"three chains of 1000 steps from each of four corners $(\pm 10, \pm 10)$, beside the curves of both rates;"
        r" what is left of a corner is $10\sqrt{\bar\alpha_T} = 0.0635$",
        stands="S3, lines 187-207",
        held_by=("forward.walk",),
        tested_by=(
            "tests/test_plot.py::test_forward_figure_draws_the_chains_of_walk_and_the_rates",
            "tests/test_plot.py::test_the_animation_is_a_gif_with_one_frame_for_each_step_it_returns",
            "tests/test_equations.py::test_twelve_chains_from_four_corners_end_around_the_origin",
        ),
    ),
    "f-addnoise": Equation(
        "The forward process",
        r"$f(x, \epsilon) = (1 - \lambda)\,x + \lambda\epsilon$, of variance $(1 - \lambda)^2 + \lambda^2$; iterated,"
        r" $\lambda / (2 - \lambda)$",
        stands="S4, lines 29-37, 75",
        held_by=("forward.transition", "forward.variance"),
        tested_by=("tests/test_equations.py::test_interpolation_with_noise_does_not_preserve_the_variance",),
    ),
    "noise-augmentation-tikhonov": Equation(
        "The forward process",
        r"$\mathbb{E}_\epsilon (y - w(x + s\epsilon))^2 = (y - wx)^2 + s^2 w^2$",
        near="S4, line 27",
        held_by=("gaussian.cross_entropy",),
        tested_by=("tests/test_equations.py::test_noise_on_the_input_of_a_linear_model_is_a_penalty_on_its_slope",),
    ),
    "hvae-view": Equation(
        "The forward process",
        "a Markovian hierarchical variational autoencoder with latents of the dimension of the data, linear Gaussian"
        r" encoders $q$, and $x_T \sim \mathcal{N}(0, I)$; of one level, the bound of a variational autoencoder",
        stands="S0, lines 13-16; S2, line 67; S1, line 3",
        held_by=("likelihood.linear_bound", "elbo.denoising_form"),
        tested_by=("tests/test_equations.py::test_with_one_step_the_bound_is_that_of_a_variational_autoencoder",),
    ),
    "markov-conditional": Equation(
        "The posterior",
        r"$q(x_t\mid x_{t-1},x_0)=q(x_t\mid x_{t-1})$",
        stands="S0, line 91; S1, line 137; S3, line 307",
        held_by=("bayes.markov",),
    ),
    "forward-posterior-bayes": Equation(
        "The posterior",
        r"$q(x_{t-1}\mid x_t,x_0)=\frac{q(x_t\mid x_{t-1})q(x_{t-1}\mid x_0)}{q(x_t\mid x_0)}$ and its inverse",
        stands="S0, lines 91-96, 122, 128-129; S1, lines 141-144, 200-215; S2, line 71; S3, lines 309-314, 340; S4,"
        " line 234",
        held_by=("bayes.rule",),
    ),
    "joint-two-ways": Equation(
        "The posterior",
        r"$q(x_{t-1:t}\mid x_0)=q(x_{t-1}\mid x_0)q(x_t\mid x_{t-1})=q(x_{t-1}\mid x_t,x_0)q(x_t\mid x_0)$",
        stands="S0, line 95",
        held_by=("bayes.rule",),
    ),
    "posterior-quadratic": Equation(
        "The posterior",
        r"$-\frac12\left[\left(\frac{\alpha_t}{\beta_t} + \frac{1}{1 - \bar\alpha_{t-1}}\right) x_{t-1}^2 - 2\left("
        r"\frac{\sqrt{\alpha_t}\,x_t}{\beta_t} + \frac{\sqrt{\bar\alpha_{t-1}}\,x_0}{1 - \bar\alpha_{t-1}}\right)"
        r" x_{t-1} + C\right]$ is the exponent of the posterior",
        stands="S0, lines 130-135; S1, lines 250-300; S3, lines 342-346; S4, lines 235-238",
        held_by=("bayes.posterior_from_precisions", "bayes.log_c_2"),
    ),
    "posterior-prefactor": Equation(
        "The posterior",
        r"$C_1 = \left(\frac{1 - \bar\alpha_t}{2\pi (1 - \alpha_t)(1 - \bar\alpha_{t-1})}\right)^{d/2}$, which S1"
        " calls $M$",
        stands="S0, line 143; S1, lines 217-221",
        held_by=("bayes.log_c_1",),
    ),
    "posterior-prefactor-c2": Equation(
        "The posterior",
        r"$C_2=C_1\exp\left(-\frac{\Vert\sqrt{\alpha_t}(1-\bar\alpha_{t-1})x_t+\sqrt{\bar\alpha_{t-1}}(1-\alpha_t)x_0"
        r"\Vert^2}{2(1-\alpha_t)(1-\bar\alpha_{t-1})(1-\bar\alpha_t)}\right)$",
        stands="S0, line 144",
        held_by=("bayes.log_c_2",),
    ),
    "posterior-constant": Equation(
        "The posterior",
        r"$C(x_0,x_t)=\frac{x_t^2}{\beta_t}+\frac{\bar\alpha_{t-1}x_0^2}{1-\bar\alpha_{t-1}}-\frac{(x_t-\sqrt{"
        r"\bar\alpha_t}x_0)^2}{1-\bar\alpha_t}=\mu^2/\sigma^2$",
        stands="S1, lines 326-328; S3, lines 379-416",
        held_by=("bayes.quadratic_constant",),
    ),
    "posterior-variance": Equation(
        "The posterior",
        r"$\tilde\beta_t=1/(\frac{\alpha_t}{\beta_t}+\frac1{1-\bar\alpha_{t-1}})$",
        stands="S0, line 137; S1, lines 330-336, 563; S3, line 363; S4, lines 129, 255",
        held_by=("bayes.posterior_var", "bayes.posterior_from_precisions"),
    ),
    "posterior-mean-x0-form": Equation(
        "The posterior",
        r"$\tilde\mu_t=\frac{\sqrt{\bar\alpha_{t-1}}\beta_t}{1-\bar\alpha_t}x_0+\frac{\sqrt{\alpha_t}(1-"
        r"\bar\alpha_{t-1})}{1-\bar\alpha_t}x_t$",
        stands="S0, line 137; S1, lines 338-349; S3, lines 371-377, 428, 743; S4, lines 128, 255-258",
        held_by=("bayes.posterior_mean",),
    ),
    "posterior-mean-eps-form": Equation(
        "The posterior",
        r"$\tilde\mu_t=\frac1{\sqrt{\alpha_t}}(x_t-\frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\bar\epsilon)$",
        stands="S1, lines 362-577; S3, lines 485-500, 571-612, 799; S4, lines 137, 263-268",
        held_by=("bayes.posterior_from_eps",),
    ),
    "eps-coefficients": Equation(
        "The posterior",
        r"$\frac{\sqrt{\bar\alpha_{t-1}}\beta_t}{\sqrt{\bar\alpha_t}\sqrt{1-\bar\alpha_t}}=\frac{\beta_t}{"
        r"\sqrt{\alpha_t}\sqrt{1-\bar\alpha_t}}$ ; $\frac{\beta_t}{\sqrt{\alpha_t}(1-\bar\alpha_t)}+\frac{"
        r"\sqrt{\alpha_t}(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}=\frac1{\sqrt{\alpha_t}}$",
        stands="S1, lines 414-511; S3, lines 582-603",
        held_by=("parameterize.mean_from_eps", "parameterize.mean_from_x_0"),
        tested_by=("tests/test_equations.py::test_the_coefficients_of_both_forms_of_the_posterior_mean",),
    ),
    "x0-from-eps / eps-from-x0": Equation(
        "The posterior",
        r"$x_0=\frac{x_t-\sqrt{1-\bar\alpha_t}\bar\epsilon}{\sqrt{\bar\alpha_t}}$, $\bar\epsilon=\frac{x_t-\sqrt{"
        r"\bar\alpha_t}x_0}{\sqrt{1-\bar\alpha_t}}$",
        stands="S1, lines 357-360; S3, lines 485, 635, 796; S4, line 261",
        held_by=("parameterize.x_0_from_eps", "parameterize.eps_from_x_0"),
    ),
    "posterior-sample": Equation(
        "The posterior",
        r"$x_{t-1}=\tilde\mu+\sqrt{\tilde\beta_t}z$",
        stands="S1, lines 589-605",
        held_by=("gaussian.sample",),
        tested_by=("tests/test_equations.py::test_samples_of_the_posterior_take_the_chain_one_step_back",),
    ),
    "smoothing-conditional": Equation(
        "The posterior",
        r"$q(x_t\mid x_{t-1},x_{t+1})=\mathcal{N}(v(\frac{\sqrt{\alpha_t}x_{t-1}}{\beta_t}+\frac{"
        r"\sqrt{\alpha_{t+1}}x_{t+1}}{\beta_{t+1}}),v)$, $v^{-1}=\beta_t^{-1}+\alpha_{t+1}\beta_{t+1}^{-1}$",
        near="S0, line 79",
        held_by=("bayes.smoothing",),
    ),
    "reverse-kernel-is-a-mixture": Equation(
        "The posterior",
        r"$q(x_{t-1} \mid x_t) = \int q(x_{t-1} \mid x_t, x_0)\,q(x_0 \mid x_t)\,dx_0$, which is not the posterior",
        stands="S1, lines 129-137; S3, line 217; S4, lines 108, 118",
        held_by=("mixture.reverse_kernel", "mixture.pointwise_log_density"),
    ),
    "reverse-kernel-mean": Equation(
        "The posterior",
        r"$\mathbb{E}[x_{t-1} \mid x_t] = (x_t + \beta_t \nabla\log q_t(x_t)) / \sqrt{\alpha_t}$, for every $\beta_t$",
        near="S3, line 652",
        held_by=("mixture.reverse_kernel",),
    ),
    "small-beta-gaussian-limit": Equation(
        "The posterior",
        r"as $\beta_t \to 0$, $q(x_{t-1} \mid x_t)$ becomes Gaussian, of variance $\beta_t$",
        stands="S3, lines 231, 257, 785; S4, line 108",
        held_by=("mixture.gaussian_limit",),
    ),
    "reverse-gaussian-model": Equation(
        "Parametrisations and training",
        r"$p_\theta(x_{t-1}\mid x_t)=\mathcal{N}(\mu_\theta(x_t,t),\Sigma_\theta(x_t,t))$",
        stands="S2, line 61; S3, lines 225, 468, 638; S0, line 59; S4, line 111",
        held_by=("reverse.transition_mean", "reverse.transition_var"),
    ),
    "eps-parameterization": Equation(
        "Parametrisations and training",
        r"$\mu_\theta=\frac1{\sqrt{\alpha_t}}(x_t-\frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\epsilon_\theta(x_t,t))$",
        stands="S3, lines 618-641; S4, lines 134-140; S1, line 583",
        held_by=("reverse.transition_mean", "parameterize.mean_from_eps"),
    ),
    "mu- and x0-parameterization": Equation(
        "Parametrisations and training",
        r"a model may predict $\tilde\mu_t$, $x_0$, $\epsilon$, the score or $v$; each follows from each",
        stands="S3, lines 552, 722; S1, line 357",
        held_by=(
            "parameterize.mean_from_x_0",
            "parameterize.x_0_from_mean",
            "parameterize.eps_from_mean",
            "parameterize.v_from_eps",
            "parameterize.eps_from_v",
            "parameterize.score_from_eps",
        ),
    ),
    "optimal-denoiser": Equation(
        "Parametrisations and training",
        r"$\epsilon^*(x_t, t) = \mathbb{E}[\bar\epsilon \mid x_t] = -\sqrt{1 - \bar\alpha_t}\,\nabla\log q_t(x_t)$,"
        r" with the loss $d - \mathbb{E}\Vert\epsilon^*\Vert^2 > 0$",
        near="S3, lines 618-624; S1, line 583",
        held_by=("mixture.denoiser", "mixture.loss_floor", "mixture.eps_loss"),
    ),
    "variance-choices": Equation(
        "Parametrisations and training",
        r"$\sigma_t^2 = \beta_t$ or $\tilde\beta_t$, $\Sigma = \sigma_t^2 I$",
        stands="S3, lines 474, 670, 789; S4, lines 152-153",
        held_by=("reverse.var", "reverse.transition_var"),
    ),
    "optimal-reverse-variance": Equation(
        "Parametrisations and training",
        r"$\sigma_t^{*2}=\tilde\beta_t+B_t^2\mathbb{E}\,\operatorname{Var}(x_0\mid x_t)/d$",
        near="S3, line 474",
        held_by=("reverse.optimal_var", "reverse.optimal_var_is_optimal"),
    ),
    "l-tm1-mse": Equation(
        "Parametrisations and training",
        r"$L_{t-1}=\frac{1}{2\sigma_t^2}\mathbb{E}_{q(x_t\mid x_0)}\Vert\tilde\mu-\mu_\theta\Vert^2+\frac d2(\log"
        r"\frac{\sigma_t^2}{\tilde\beta_t}+\frac{\tilde\beta_t}{\sigma_t^2}-1)$",
        stands="S3, lines 504-549",
        held_by=("elbo.denoising_term", "elbo.denoising_terms", "elbo.weight_mean", "elbo.kl_constant"),
    ),
    "l-tm1-eps": Equation(
        "Parametrisations and training",
        r"$L_{t-1}=w_t\,\mathbb{E}\Vert\epsilon-\epsilon_\theta\Vert^2+c_t$, $w_t=\frac{\beta_t^2}{2\sigma_t^2\alpha_t"
        r"(1-\bar\alpha_t)}$",
        stands="S3, lines 561-568, 695, 776",
        held_by=("elbo.weight", "elbo.kl_constant"),
    ),
    "weight-snr-identity": Equation(
        "Parametrisations and training",
        r"with $\sigma_t^2 = \tilde\beta_t$: $w_t = \frac12 (\mathrm{SNR}_{t-1} - \mathrm{SNR}_t) \frac{1 -"
        r" \bar\alpha_t}{\bar\alpha_t}$",
        held_by=("elbo.weight_from_snr",),
    ),
    "l-simple": Equation(
        "Parametrisations and training",
        r"$L_\text{simple} = \mathbb{E}_{t, x_0, \epsilon}\Vert\epsilon - \epsilon_\theta(\sqrt{\bar\alpha_t}\,x_0 +"
        r" \sqrt{1 - \bar\alpha_t}\,\epsilon, t)\Vert^2$ with $t \sim U\{1, \ldots, T\}$: an objective, and not the"
        " bound",
        stands="S3, lines 709-717, 777; S4, lines 37-46, 98",
        held_by=("elbo.simple_loss", "network.loss", "mixture.loss_floor"),
    ),
    "algorithm-1": Equation(
        "Parametrisations and training",
        r"Algorithm 1: draw $x_0$, $t$ and $\epsilon$, and take a step along $-\nabla_\theta \Vert\epsilon -"
        r" \epsilon_\theta(x_t, t)\Vert^2$",
        stands="S4, lines 39-46, 93-100, 167-169; S3, line 683",
        held_by=("network.fit", "network.gradient", "network.adam"),
        tested_by=("tests/network/test_train.py::test_training_approaches_the_ideal_denoiser",),
    ),
    "discrete-decoder-l0": Equation(
        "Parametrisations and training",
        r"$p_\theta(x_0 \mid x_1) = \prod_i \int_{\delta_-(x_0^i)}^{\delta_+(x_0^i)} \mathcal{N}(x; \mu_\theta^i(x_1,"
        r" 1), \sigma_1^2)\,dx$, $\delta_\pm(x) = x \pm \frac{1}{255}$, but $\delta_+(1) = \infty$, $\delta_-(-1) ="
        r" -\infty$",
        stands="S3, line 700; S2, line 88",
        held_by=("elbo.discretized_log_likelihood", "elbo.reconstruction_discretized"),
        tested_by=("tests/test_chapters.py::test_the_probabilities_of_all_bins_sum_to_one",),
    ),
    "gaussian-l0": Equation(
        "Parametrisations and training",
        r"$L_0 = -\mathbb{E}\log\mathcal{N}(x_0; \mu_\theta(x_1, 1), \sigma_1^2 I)$ for continuous data",
        stands="S0, line 110; S3, line 435",
        held_by=("elbo.reconstruction_gaussian",),
    ),
    "reverse-chain": Equation(
        "The reverse process",
        r"$p_\theta(x_{0:T}) = p(x_T) \prod_t p_\theta(x_{t-1} \mid x_t)$, $p(x_T) = \mathcal{N}(0, I)$ without"
        " parameters",
        stands="S0, lines 59-61; S3, lines 225, 231; S4, line 111",
        held_by=("reverse.prior", "reverse.sample", "elbo.pathwise"),
    ),
    "ancestral-step": Equation(
        "The reverse process",
        r"$x_{t-1} = \frac{1}{\sqrt{\alpha_t}}\left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\epsilon_\theta"
        r"\right) + \sigma_t z$, with $z = 0$ at $t = 1$",
        stands="S1, lines 592-604; S3, lines 664, 675-676; S4, lines 144-154",
        held_by=("reverse.ancestral", "reverse.transition_mean"),
    ),
    "algorithm-2": Equation(
        "The reverse process",
        r"Algorithm 2: from $x_T \sim \mathcal{N}(0, I)$, a step for each $t = T, \ldots, 1$",
        stands="S4, lines 157-165; S3, lines 652, 683",
        held_by=("reverse.sample",),
        tested_by=("tests/test_chapters.py::test_ancestral_sampling_is_a_generator_that_ends_at_0",),
    ),
    "linear-sampler-recursion": Equation(
        "The reverse process",
        r"with the ideal denoiser of data $\mathcal{N}(m, v)$, mean and variance of the samples go down by $m"
        r" \leftarrow a_t m + b_t$, $v \leftarrow a_t^2 v + \sigma_t^2$",
        held_by=("reverse.sample", "likelihood.linear_marginal"),
        tested_by=("tests/test_equations.py::test_where_a_sampler_of_normal_data_ends",),
    ),
    "last-step-noise": Equation(
        "The reverse process",
        "$z = 0$ at $t = 1$: a choice, which costs variance",
        stands="S4, lines 145-146",
        held_by=("reverse.ancestral",),
        tested_by=("tests/test_equations.py::test_without_the_last_noise_the_variance_falls_short",),
    ),
    "p-marginal-linear": Equation(
        "The reverse process",
        r"with $\mu_\theta = a_t x + b_t$: $p_\theta(x_0) = \mathcal{N}(m_0, v_0)$, $m_{t-1} = a_t m_t + b_t$,"
        r" $v_{t-1} = a_t^2 v_t + \sigma_t^2$",
        near="S3, lines 237, 241",
        held_by=("likelihood.linear_marginal", "likelihood.linear_log_density"),
    ),
    "model-evidence": Equation(
        "The bound",
        r"$p_\theta(x_0)=\int p_\theta(x_{0:T})dx_{1:T}$",
        stands="S3, line 237",
        held_by=("likelihood.linear_log_density", "likelihood.ais"),
        tested_by=("tests/test_ais.py::test_a_model_that_is_not_linear_has_the_density_of_nested_integrals",),
    ),
    "ais-identity": Equation(
        "The bound",
        r"$p_\theta(x_0)=\mathbb{E}_{q(x_{1:T}\mid x_0)}\left[p(x_T)\prod\frac{p_\theta(x_{t-1}\mid x_t)}{q(x_t\mid"
        r" x_{t-1})}\right]$",
        stands="S3, lines 241-250, 255",
        held_by=("likelihood.ais",),
    ),
    "jarzynski-inequality": Equation(
        "The bound",
        r"$W = -\log w$: $\mathbb{E}\,e^{-W} = p(x_0)$, $\mathbb{E}\,W \ge -\log p(x_0)$",
        stands="S3, lines 241, 255",
        held_by=("likelihood.jarzynski",),
    ),
    "ais-second-moment": Equation(
        "The bound",
        r"for a linear model $\mathbb{E}\,w^2 < \infty$ if and only if $2\Lambda_p - \Lambda_q \succ 0$, and then it"
        " has a closed form",
        held_by=("likelihood.linear_log_second_moment",),
        tested_by=(
            "tests/test_ais.py::test_without_a_second_moment_ess_and_standard_error_look_well_and_the_estimate_is_too_low",
        ),
    ),
    "quasi-static-limit": Equation(
        "The bound",
        r"$\log w \to \log q(x_0)$ on each path as $T \to \infty$ at a given total noise, if $p(x_T) = q_T$ and the"
        " reverse steps are exact",
        stands="S3, lines 255-257",
        tested_by=(
            "tests/test_ais.py::test_one_chain_is_enough_in_the_quasi_static_limit",
            "tests/test_ais.py::test_small_steps_are_not_enough_where_the_prior_is_not_where_they_end",
            "tests/test_plot_bound.py::test_quasi_static_shows_how_much_log_w_varies",
        ),
    ),
    "cross-entropy-objective": Equation(
        "The bound",
        r"$L_\text{CE} = \mathbb{E}_{q(x_0)}[-\log p_\theta(x_0)] \le L_\text{VLB}$",
        stands="S3, lines 263-276, 750-761; S2, lines 76-83",
        held_by=("likelihood.linear_log_density", "likelihood.linear_bound"),
        tested_by=(
            "tests/test_equations.py::test_the_bound_is_above_the_cross_entropy_and_its_two_expectations_are_one",
        ),
    ),
    "elbo-undecomposed": Equation(
        "The bound",
        r"$\mathbb{E}_{q(x_{1:T}\mid x_0)}\log\frac{p(x_T)\prod p(x_{t-1}\mid x_t)}{\prod q(x_t\mid x_{t-1})}$",
        stands="S0, lines 65, 71, 101; S3, lines 274, 284-290, 759",
        held_by=("elbo.undecomposed", "elbo.pathwise"),
    ),
    "elbo-consistency-form": Equation(
        "The bound",
        r"$\mathbb{E}_{q(x_1\mid x_0)}\log p(x_0\mid x_1)-\mathbb{E}_{q(x_{T-1}\mid x_0)}\mathrm{KL}(q(x_T\mid"
        r" x_{T-1})\Vert p(x_T))-\sum_{t=1}^{T-1}\mathbb{E}_{q(x_{t-1},x_t,x_{t+1}\mid x_0)}\log\frac{q(x_t\mid"
        r" x_{t-1})}{p(x_t\mid x_{t+1})}$",
        stands="S0, lines 68-87",
        held_by=(
            "elbo.consistency_form",
            "elbo.consistency_terms",
            "elbo.consistency_term",
            "likelihood.linear_consistency_bound",
        ),
    ),
    "consistency-as-kl-difference": Equation(
        "The bound",
        r"$C_t = \mathbb{E}\left[\mathrm{KL}(q(x_t \mid x_{t-1}, x_{t+1}) \Vert p(x_t \mid x_{t+1})) -"
        r" \mathrm{KL}(q(x_t \mid x_{t-1}, x_{t+1}) \Vert q(x_t \mid x_{t-1}))\right]$ over $q(x_{t-1}, x_{t+1} \mid"
        " x_0)$",
        near="S0, line 79",
        held_by=(
            "elbo.consistency_term_integrated",
            "elbo.consistency_terms_integrated",
            "elbo.consistency_form_integrated",
        ),
    ),
    "consistency-denoising-identity": Equation(
        "The bound",
        r"$C_t = L_t + \frac d2\log\frac{\tilde\beta_{t+1}}{\beta_t}$ for every model; $\mathbb{E}\,\mathrm{KL}(q(x_T"
        r" \mid x_{T-1}) \Vert p) = L_T + \frac d2\log\frac{1 - \bar\alpha_T}{\beta_T}$",
        near="S0, line 87",
        held_by=("elbo.consistency_constant", "elbo.consistency_prior"),
    ),
    "telescoping": Equation(
        "The bound",
        r"$\sum_{t=2}^T \log\frac{q(x_{t-1} \mid x_0)}{q(x_t \mid x_0)} = \log\frac{q(x_1 \mid x_0)}{q(x_T \mid"
        r" x_0)}$, of mean $\frac d2\log\frac{1 - \bar\alpha_T}{1 - \bar\alpha_1}$",
        stands="S0, lines 105-106; S3, lines 315-324",
        held_by=("elbo.pathwise",),
        tested_by=("tests/test_equations.py::test_the_log_ratios_of_the_marginals_telescope",),
    ),
    "elbo-denoising-form": Equation(
        "The bound",
        r"$\mathbb{E}\log p(x_0\mid x_1)-\mathrm{KL}(q(x_T\mid x_0)\Vert p(x_T))-\sum_{t=2}^T"
        r"\mathbb{E}_{q(x_t\mid x_0)}\mathrm{KL}(q(x_{t-1}\mid x_t,x_0)\Vert p(x_{t-1}\mid x_t))$",
        stands="S0, lines 97-118; S3, lines 291-305, 326-333, 432-447; S2, lines 80-90",
        held_by=("elbo.denoising_form", "elbo.denoising_terms"),
    ),
    "elbo-pathwise-identity": Equation(
        "The bound",
        "the integrands of the three forms of the bound are equal on each path",
        near="S0, lines 71-109; S3, lines 294-301",
        held_by=("elbo.pathwise",),
        tested_by=("tests/test_ladder.py::test_regrouping_changes_neither_a_chain_nor_the_variance",),
    ),
    "l-t / l-tm1 / l-0": Equation(
        "The bound",
        "$L_T$, $L_{t-1}$ and $L_0$, all three losses that enter with a plus",
        stands="S2, lines 82-93; S3, lines 435-447, 506, 700, 762",
        held_by=("elbo.prior_term", "elbo.denoising_term", "elbo.reconstruction_gaussian", "elbo.bits_per_dim"),
        tested_by=("tests/test_chapters.py::test_the_bound_is_a_record_of_its_parts",),
    ),
    "vlb-reduced": Equation(
        "The bound",
        r"$L_\text{VLBR} = L_\text{VLB} - L_T$, where $L_T$ does not depend on $\theta$",
        stands="S3, lines 452-459, 764",
        held_by=("elbo.prior_term",),
        tested_by=("tests/test_chapters.py::test_the_prior_term_leaves_gradients_as_they_are",),
    ),
    "vlb-is-entropy-plus-kl": Equation(
        "The bound",
        r"$L_\text{VLB} = H[q(x_0)] + \mathrm{KL}(q(x_{0:T}) \Vert p_\theta(x_{0:T})) \ge H[q(x_0)]$",
        near="S3, line 808",
        held_by=("elbo.entropy_plus_kl", "likelihood.mixture_bound"),
    ),
    "rao-blackwell-terms": Equation(
        "The bound",
        "the mean of a log-ratio given $x_t$ is the divergence; the variance of each term, and of its gradient, falls",
        stands="S3, lines 291, 440, 781; S0, line 87",
        held_by=("elbo.rao_blackwell",),
        tested_by=(
            "tests/test_ladder.py::test_each_divergence_varies_less_than_its_log_ratio",
            "tests/test_ladder.py::test_gradients_of_divergences_vary_less_by_what_the_step_itself_leaves_open",
        ),
    ),
    "one-t-estimator": Equation(
        "The bound",
        r"$T$ times the term of one $t \sim U\{1, \ldots, T\}$ estimates their sum",
        stands="S3, line 715; S4, line 95",
        held_by=("elbo.random_step", "elbo.ladder", "elbo.ladder_variances"),
    ),
    "elbo-closed-linear": Equation(
        "The bound",
        "every term of the bound of a linear denoiser in closed form",
        held_by=("likelihood.linear_bound", "likelihood.linear_consistency_bound"),
    ),
    "score-eps": Equation(
        "Score and Langevin dynamics",
        r"$\nabla\log q_t(x)=-\epsilon^*(x,t)/\sqrt{1-\bar\alpha_t}$",
        stands="S3, lines 652, 691",
        held_by=("score.from_denoiser", "parameterize.score_from_eps", "mixture.denoiser"),
    ),
    "tweedie": Equation(
        "Score and Langevin dynamics",
        r"$\mathbb{E}[x_0\mid x_t]=(x_t+(1-\bar\alpha_t)\nabla\log q_t)/\sqrt{\bar\alpha_t}$",
        near="S3, lines 464-568",
        held_by=("score.tweedie", "parameterize.x_0_from_score"),
    ),
    "denoising-score-matching": Equation(
        "Score and Langevin dynamics",
        r"$\mathbb{E}\Vert s - \nabla\log q(x_t \mid x_0)\Vert^2 = \mathbb{E}\Vert s - \nabla\log q_t\Vert^2 + c$; the"
        r" loss of $\epsilon$ is $1 - \bar\alpha_t$ times it, and $L_{t-1}$ weighs it over $t$",
        stands="S3, lines 464, 557, 691-697, 705",
        held_by=("score.denoising_loss", "score.denoising_gap", "score.eps_loss", "score.weight_score"),
    ),
    "langevin-ula": Equation(
        "Score and Langevin dynamics",
        r"$x' = x + h\nabla\log q(x) + \sqrt{2h}\,z$; for $\mathcal{N}(0, 1)$ its variance is $\frac{1}{1 - h/2}$",
        stands="S3, lines 652-666",
        held_by=("score.langevin_transition", "score.langevin", "score.langevin_var"),
    ),
    "langevin-mala": Equation(
        "Score and Langevin dynamics",
        r"the same, accepted with $\min\left(1, \frac{q(y)\,k(x \mid y)}{q(x)\,k(y \mid x)}\right)$",
        stands="S3, line 652",
        held_by=("score.mala", "score.mala_acceptance", "score.mala_log_acceptance"),
    ),
    "ancestral-vs-langevin": Equation(
        "Score and Langevin dynamics",
        r"$(x + \beta s) / \sqrt\alpha + \sqrt\beta\,z$ has the whole drift and a new scale: it takes $q_t$ to"
        " $q_{t-1}$, and does not leave $q_t$ as it is",
        near="S3, lines 652-666",
        held_by=("score.ancestral_vs_langevin", "score.ancestral_transition", "score.ancestral_var"),
    ),
    "annealed-langevin": Equation(
        "Score and Langevin dynamics",
        "Langevin steps at falling levels of noise",
        near="S3, line 73",
        held_by=("score.annealed_langevin",),
    ),
    "partition-function-motivation": Equation(
        "Score and Langevin dynamics",
        r"to learn small perturbations needs no partition function: $\nabla\log(Zq) = \nabla\log q$",
        stands="S3, line 90",
        held_by=("mixture.score",),
        tested_by=("tests/test_equations.py::test_a_score_needs_no_partition_function",),
    ),
    "vp-sde": Equation(
        "Continuous time",
        r"$dx = -\frac12\beta(t)\,x\,dt + \sqrt{\beta(t)}\,dW$, $\bar\alpha(t) = \exp(-\int_0^t \beta)$: the limit of"
        r" $\beta_t = \beta(t/T)/T$",
        stands="S3, lines 92, 143",
        held_by=(
            "continuous.chain_limit",
            "continuous.drift",
            "continuous.diffusion",
            "continuous.rates",
            "schedule.vp",
        ),
    ),
    "fokker-planck": Equation(
        "Continuous time",
        r"$\partial_tq=\frac12\beta\,\partial_x(xq)+\frac12\beta\,\partial_x^2q$",
        held_by=("continuous.fokker_planck",),
    ),
    "reverse-sde": Equation(
        "Continuous time",
        r"$dx=[-\frac12\beta x-\beta s]dt+\sqrt\beta d\bar W$",
        held_by=("continuous.reverse_drift", "continuous.euler_maruyama_transition", "continuous.euler_maruyama"),
    ),
    "probability-flow-ode": Equation(
        "Continuous time",
        r"$\dot x = -\frac12\beta\,(x + s)$, and the likelihood by change of variables",
        held_by=(
            "continuous.probability_flow",
            "continuous.probability_flow_drift",
            "continuous.probability_flow_log_density",
        ),
    ),
    "continuous-elbo": Equation(
        "Continuous time",
        r"$L_\infty = \frac12\,\mathbb{E}\int \Vert\epsilon - \hat\epsilon\Vert^2\,d(-\log\mathrm{SNR})$, the limit of"
        r" $\sum_t w_t \Vert\epsilon - \hat\epsilon\Vert^2$",
        held_by=("continuous.diffusion_loss", "continuous.mixture_diffusion_loss", "continuous.mixture_bound"),
    ),
}

CLAIMS = {
    "noise-variance-unchanged": Claim("A", "S0, line 31", ("noise-variance-unchanged", "accumulated-noise-unchanged")),
    "per-step-parameters-needed-for-gaussian-limit": Claim(
        "B", "S0, line 16", ("per-step-parameters-needed-for-gaussian-limit",)
    ),
    "consistency-term-as-kl": Claim(
        "A",
        "S0, line 79",
        (
            "consistency-term-as-kl",
            "closed-form-consistency-as-kl",
            "consistency-form-of-divergences",
            "next-step-left-out",
        ),
    ),
    "consistency-term-sampling-pdf": Claim(
        "A", "S0, line 87", ("consistency-term-sampling-pdf", "consistency-of-independent-neighbours")
    ),
    "consistency-term-has-no-closed-form": Claim(
        "B", "S0, line 87", ("consistency-term-has-no-closed-form", "consistency-is-the-next-divergence")
    ),
    "full-cancellation-in-elbo": Claim(
        "C", "S0, line 105", ("full-cancellation-in-elbo", "full-cancellation-on-chain")
    ),
    "posterior-square-extra-factor": Claim("A", "S0, line 136", ("posterior-square-extra-factor",)),
    "pseudo-code-empty": Claim("C", "S0, lines 152-156", ("pseudo-code-empty",)),
    "kernel-variance-wrong-index": Claim("A", "S1, line 194", ("kernel-variance-wrong-index",)),
    "noise-outside-fraction": Claim("A", "S1, line 371", ("noise-outside-fraction",)),
    "affine-gaussian-variance": Claim(
        "A", "S1, line 605", ("affine-gaussian-variance", "reverse-variance-without-square")
    ),
    "posterior-sample-variance-sigma": Claim("A", "S1, line 605", ("posterior-sample-variance-sigma",)),
    "alphas-below-one-imply-limit": Claim(
        "A", "S1, line 123; S3, line 134; S2, lines 52-54; S4, line 218", ("alphas-below-one-imply-limit",)
    ),
    "gaussian-sum-without-independence": Claim(
        "B", "S1, line 89; S3, line 163; S0, line 44", ("gaussian-sum-without-independence",)
    ),
    "network-noise-gives-the-posterior": Claim(
        "A", "S1, lines 583-589; S4, line 140", ("network-noise-gives-the-posterior", "posterior-var-is-optimal")
    ),
    "abar-product-from-zero": Claim("A", "S2, line 31", ("abar-product-from-zero", "abar-one-step-ahead")),
    "same-epsilon-symbol": Claim("B", "S2, lines 33-43", ("same-epsilon-symbol", "one-epsilon-in-a-sum")),
    "limit-because-beta-grows": Claim("A", "S2, line 52", ("limit-because-beta-grows",)),
    "kl-missing-second-argument": Claim("A", "S2, lines 82, 90", ("kl-missing-second-argument",)),
    "l0-sign-conflict": Claim("B", "S2, line 83; S3, lines 435, 700", ("l0-sign-conflict",)),
    "covariance-parenthesis": Claim("C", "S3, line 145", ("covariance-parenthesis",)),
    "merged-noise-equals-step-noise": Claim(
        "B",
        "S3, line 156; S0, lines 42-52",
        ("merged-noise-equals-step-noise", "merged-noise-undone-in-one-step", "step-noise-from-the-mean"),
    ),
    "variance-sum-missing-plus": Claim(
        "A", "S3, line 175", ("variance-sum-missing-plus", "noise-recursion-missing-plus")
    ),
    "abar-order": Claim("A", "S3, line 187", ("abar-order",)),
    "transition-is-not-the-jump": Claim(
        "A", "S3, lines 187, 210", ("transition-is-not-the-jump", "undecomposed-on-points-of-no-chain")
    ),
    "figure3-duplicate-point": Claim("C", "S3, line 187", ("figure3-duplicate-point",)),
    "inequality-should-be-equality": Claim("C", "S3, lines 273, 759", ("inequality-should-be-equality",)),
    "missing-expectation-over-xt": Claim(
        "A", "S3, lines 302, 330, 435, 457, 762-766", ("missing-expectation-over-xt",)
    ),
    "completing-square-typos": Claim("A", "S3, line 391", ("completing-square-typos",)),
    "sigma-equals-beta": Claim(
        "A",
        "S3, lines 474, 670, 675, 789",
        ("sigma-equals-beta", "weight-with-sigma-equal-beta", "mean-weight-with-sigma-equal-beta", "entropy-with-std"),
    ),
    "llr-missing-square": Claim("A", "S3, line 518", ("llr-missing-square",)),
    "kl-constant-dropped": Claim(
        "A", "S3, lines 519, 547", ("kl-constant-dropped", "term-constant-dropped", "constants-dropped-in-closed-form")
    ),
    "wrong-expectation-on-l": Claim("A", "S3, lines 547, 562, 622", ("wrong-expectation-on-l",)),
    "zero-is-attainable": Claim(
        "A", "S3, lines 618-624", ("zero-is-attainable", "eps-loss-of-zero", "bound-without-loss-floor")
    ),
    "generation-equation-placeholder": Claim("A", "S3, lines 647-648", ("generation-equation-placeholder",)),
    "eps-is-the-score": Claim(
        "A",
        "S3, line 652",
        (
            "eps-is-the-score",
            "noise-read-as-the-score",
            "score-without-the-log",
            "denoiser-taken-for-the-score",
            "continuous-eps-is-the-score",
        ),
    ),
    "langevin-is-mala": Claim("A", "S3, line 652", ("langevin-is-mala", "langevin-has-no-bias")),
    "ancestral-step-is-langevin": Claim(
        "A",
        "S3, lines 652-666",
        ("ancestral-step-is-langevin", "ancestral-with-half-the-drift", "ancestral-step-keeps-the-law"),
    ),
    "sampling-missing-fraction": Claim("A", "S3, line 664", ("sampling-missing-fraction",)),
    "discrete-decoder-described-as-density": Claim("B", "S3, line 700", ("discrete-decoder-described-as-density",)),
    "marginal-shown-as-posterior": Claim("A", "S3, lines 738-744", ("marginal-shown-as-posterior",)),
    "lt-dropped-as-equality": Claim("B", "S3, lines 762-764", ("lt-dropped-as-equality",)),
    "l0-dropped-as-equality": Claim("A", "S3, lines 766-768", ("l0-dropped-as-equality",)),
    "vlb-equals-simple": Claim("A", "S3, lines 776-777", ("vlb-equals-simple",)),
    "llr-one-gives-zero-vlb": Claim(
        "A", "S3, line 808", ("llr-one-gives-zero-vlb", "bound-zero-for-exact-reverse-process", "ideal-bound-is-zero")
    ),
    "bits-vs-nats": Claim("C", "S3, line 750", ("bits-vs-nats", "bits-per-dim-in-nats")),
    "reverse-mean-uses-x0": Claim("A", "S3, lines 787-788; S4, lines 119, 227", ("reverse-mean-uses-x0",)),
    "n-plus-one-samples": Claim("C", "S3, line 110", ("n-plus-one-samples",)),
    "sampling-single-trajectory-claim": Claim(
        "B", "S3, line 255", ("sampling-single-trajectory-claim", "one-chain-does-not-vary")
    ),
    "rewriting-reduces-variance": Claim("B", "S3, line 291; S0, lines 87-89", ("rewriting-reduces-variance",)),
    "faddnoise-not-variance-preserving": Claim("B", "S4, line 32", ("faddnoise-not-variance-preserving",)),
    "only-a-square-root-apart": Claim("B", "S4, line 75", ("only-a-square-root-apart",)),
    "marginal-mean-xtm1": Claim("A", "S4, lines 78, 189", ("marginal-mean-xtm1",)),
    "randint-excludes-T": Claim("A", "S4, line 95", ("randint-excludes-T",)),
    "model-not-given-t": Claim(
        "A", "S4, lines 43, 97; S3, line 631", ("model-not-given-t", "loss-not-given-t", "training-not-given-t")
    ),
    "backward-is-not-an-update": Claim("A", "S4, lines 45, 99", ("backward-is-not-an-update",)),
    "batch-coefficients-broadcast": Claim(
        "A", "S4, lines 86-92", ("batch-coefficients-broadcast", "one-coefficient-a-column")
    ),
    "reverse-equals-posterior": Claim("A", "S4, line 118", ("reverse-equals-posterior", "entropy-of-the-posterior")),
    "posterior-called-approximate": Claim("B", "S4, lines 124, 230, 250", ("posterior-called-approximate",)),
    "denoise-step-syntax": Claim("A", "S4, line 151", ("denoise-step-syntax",)),
    "faddnoise-name-syntax": Claim("C", "S4, line 42", ("faddnoise-name-syntax",)),
    "variance-is-sqrt-beta": Claim("B", "S4, lines 152-154", ("variance-is-sqrt-beta",)),
    "no-noise-because-variance-vanishes": Claim(
        "B",
        "S4, lines 145, 152-154",
        ("no-noise-because-variance-vanishes", "model-without-its-last-noise", "log-density-of-the-sampler"),
    ),
    "loop-skips-T": Claim("A", "S4, line 161", ("loop-skips-T",)),
    "weighted-gaussian-sum": Claim("A", "S4, line 194", ("weighted-gaussian-sum",)),
    "noise-beta-not-std": Claim("C", "S4, line 66", ("noise-beta-not-std",)),
    "target-index-T-minus-1": Claim("C", "S4, line 105", ("target-index-T-minus-1",)),
}

BEYOND = {  # errata that cite the texts for something else
    "reverse-kernel-is-normal": "an assumption that S4 states and for small betas qualifies; wrong as an equality",
    "gradients-pile-up": "what the code of S4 leaves out besides the update",
    "consistency-term-sign": "S0 has it right; the slip is easily made with it",
}
