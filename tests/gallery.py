"""The gallery, docs/gallery.md and its pictures: ``python -m tests.gallery langevin_bias tweedie`` (all by default).

A picture more is one entry more in GALLERY.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "gallery.md"
FOLDER = PAGE.parent / "pictures"
DPI = 150  # 1350 pixels wide: sharp on fine displays, and read at 900
MOST = 150_000  # bytes of a file


@dataclass(frozen=True)
class Entry:
    """A picture: a title, the code that leaves it as `figure`, what to see and why, and the chapter it belongs to.

    The code finds what SETUP leaves, and an `rng` of its own.
    """

    name: str
    chapter: str
    title: str
    code: str
    text: str


SETUP = """\
import numpy as np
from refdiff import GaussianMixture, Schedule, elbo, guidance, likelihood, network, plot, reverse, samplers, toys
from refdiff.continuous import VP
from refdiff.gaussian import Gaussian

line = GaussianMixture([0.3, 0.7], [[-1.5], [1.0]], [0.06, 0.15])
far = GaussianMixture([0.7, 0.3], [[-4.0], [4.0]], [0.25, 0.5])
plane = GaussianMixture([0.4, 0.6], [[-1.0, 0.5], [1.0, -0.3]], [[0.1, 0.3], [0.2, 0.1]])
eight = GaussianMixture(*toys.eight_gaussians_mixture())
rng = np.random.default_rng(0)  # anew for each picture"""

LEARN = """\
schedule, model = Schedule.vp(50), network.MLP(2, rng=rng)
list(network.fit(model, plane.sample(4000, rng), schedule, rng, steps=1000))
"""

GALLERY = [
    # ------------------------------------------------------------------------------------------------ forward and back
    Entry(
        "forward_figure",
        "Forward and back",
        "The forward process forgets",
        "figure = plot.forward_figure(Schedule.linear(), rng)",
        """\
Whichever corner a chain starts from, it ends in the same cloud, N(0, I). The mean shrinks with the signal rate and the
noise grows with the noise rate (`forward.marginal`); each step is small, and larger the larger its beta
(`forward.step_size`), but a thousand of them leave next to nothing of x₀.""",
    ),
    Entry(
        "diffusion_strip",
        "Forward and back",
        "Data, noise, and data again",
        """\
schedule = Schedule.vp(200)
samples = reverse.sample(schedule, eight.denoiser(schedule), 2000, 2, rng)
figure = plot.diffusion_strip([("eight Gaussians", eight.sample(4000, rng), schedule, samples)], rng)""",
        """\
From left to right the data drown in noise (`forward.marginal`); then samples, made from noise alone, beside points of
the same law that nobody used. The denoiser is the ideal one (`mixture.denoiser`), so what the samples still lack is
the price of 200 Gaussian steps (`reverse.sample`), not of learning.""",
    ),
    Entry(
        "posterior_product",
        "Forward and back",
        "Bayes' rule on one step",
        "figure = plot.posterior_product(Schedule.from_betas([0.3, 0.2, 0.4, 0.3]), 1.5, -0.5, 3)",
        """\
Prior times likelihood, normalised by quadrature (dots), is the posterior in closed form (filled): `bayes.rule`.
Precisions add (`bayes.posterior_from_precisions`), so it is narrower than either factor, and its mean lies between
theirs, nearer to the sharper one.""",
    ),
    # ------------------------------------------------------------------------------------------------------- the bound
    Entry(
        "elbo_terms",
        "The bound",
        "What a trained network pays, and for what",
        LEARN
        + """\
x_0, pair = plane.sample(1000, rng), [plane.denoiser(schedule), model]
ideal, trained = (elbo.denoising_form(schedule, one, x_0, np.random.default_rng(1)) for one in pair)
least = likelihood.mixture_bound(schedule, plane).total[0] - plane.entropy()
figure = plot.elbo_terms(schedule, trained, ideal, -plane.log_density(x_0), least)""",
        """\
A thousand steps of training, term by term (`elbo.denoising_terms`) beside the ideal denoiser. The whole bound lies
above −log q(x₀) by a divergence over chains (`elbo.denoising_form`), and that splits in two: what no denoiser can save
with Gaussian steps of fixed variance (`mixture.loss_floor`), and what this network has not learnt.""",
    ),
    Entry(
        "bound_per_step",
        "The bound",
        "Where the nats are paid",
        """\
schedule, x_0 = Schedule.vp(50), line.sample(4000, rng)
bound = elbo.denoising_form(schedule, line.denoiser(schedule), x_0, rng)
mean, error = bound.terms.mean(axis=1), bound.terms.std(axis=1) / len(x_0) ** 0.5
parts = bound.reconstruction, bound.prior, bound.total
L_0, L_T, total = ((one.mean(), one.std() / len(x_0) ** 0.5) for one in parts)
figure = plot.bound_per_step(schedule, mean, error, L_0, L_T, exact=(line.entropy(), 0.0), total=total)""",
        """\
The sum runs in the order of generation, from noise (left) to data (right): `elbo.denoising_form`. Steps amid much
noise cost little, for there is little to be known; the first steps away from the data cost most, and the last term,
L₀, is a density and gives nats back. The exact value is the entropy of the data (`mixture.entropy`).""",
    ),
    Entry(
        "bound_gap",
        "The bound",
        "How fast the gap closes",
        "figure = plot.bound_gap(line, [Schedule.vp(T) for T in (5, 10, 20, 50, 100, 200, 500)])",
        """\
The exact gap of the ideal denoiser (`likelihood.mixture_bound`) over the number of steps. With β_t, or the best
variance (`reverse.optimal_var`), it falls as 1/T: in the limit the reverse steps are Gaussian. With β̃_t it does not go
to 0, since near the data β̃_t is too small, whatever T is (`likelihood.reverse_entropy_bounds`).""",
    ),
    Entry(
        "quasi_static",
        "The bound",
        "Small steps alone do not make one chain enough",
        "figure = plot.quasi_static(line, [Schedule.vp(T) for T in (5, 10, 20, 50, 100, 200, 500)], rng)",
        """\
If the weight of a chain did not vary, one chain would give log p(x₀) (`elbo.undecomposed`). With chains that end in
noise (blue) it varies ever less; those that stop early keep a spread that no number of steps removes, although their
steps are smaller.""",
    ),
    Entry(
        "variance_ladder",
        "The bound",
        "Nine estimators of one number",
        """\
schedule = Schedule.vp(50)
figure = plot.variance_ladder(elbo.ladder(schedule, line.denoiser(schedule), line.sample(2000, rng), rng, group=50))""",
        """\
All nine have the same mean (`elbo.ladder`, right) and not at all the same variance (`elbo.ladder_variances`). To
integrate a part by hand never hurts a single term (`elbo.rao_blackwell`), but can hurt their sum along one chain, whose
terms made up for each other. One t at random is dear for one point, and cheap by the call.""",
    ),
    # ------------------------------------------------------------------------------------------------------- the score
    Entry(
        "score_field",
        "The score",
        "A network's score beside the true one",
        LEARN + "figure = plot.score_field(plane, schedule, 7, model)",
        """\
A denoiser is a score, turned and scaled (`score.from_denoiser`); of mixture data the true one is known
(`mixture.score`). They agree best within the modes, and least between them, where the score turns round within a short
way. Outside the line the network has seen next to nothing, and nothing can be said of it.""",
    ),
    Entry(
        "tweedie",
        "The score",
        "What x_t says of x₀",
        "figure = plot.tweedie(line, Schedule.vp(100), [10, 30, 60])",
        """\
The score of q(x_t) alone (dots) gives the mean of x₀ (`score.tweedie`), and its slope the spread (`score.tweedie_cov`):
they lie on what Bayes' rule gives (`mixture.posterior_x_0`). With little noise the guess snaps to one mode; between the
modes it is their average, a place where no data are, and the spread says so. With much noise x_t says next to
nothing.""",
    ),
    Entry(
        "score_matching_losses",
        "The score",
        "Four losses, one minimiser",
        "figure = plot.score_matching_losses(plane, Schedule.vp(10), 3, rng)",
        """\
The explicit loss needs the true score (`score.explicit_loss`). Three others do not, and are the same curve, moved: the
denoising loss up by the noise of its target (`score.denoising_gap`), the implicit one down by the Fisher information
(`score.implicit_loss`), the sliced one like that on average, with more noise (`score.sliced_loss`). What none of
the three shows is how far the explicit loss is from zero.""",
    ),
    Entry(
        "langevin_bias",
        "The score",
        "Langevin has a bias, MALA has not",
        "figure = plot.langevin_bias(rng)",
        """\
All chains start as a sample of N(0, 1). Unadjusted, they leave it for a wider law (`score.langevin_var`), the wider the
larger the step, and no number of steps mends that. The Metropolis test keeps them (`score.mala`); it costs the moves
that it rejects (`score.mala_acceptance`), and it needs the density, not only its score.""",
    ),
    Entry(
        "langevin_modes",
        "The score",
        "Between two modes",
        "figure = plot.langevin_modes(far, Schedule.vp(30), rng)",
        """\
Between far modes there is next to no probability, and the score points back to the nearer one, so plain Langevin
(`score.langevin`) stays where it started. Annealed (`score.annealed_langevin`), the chains begin where noise has joined
the modes, divide as they come apart, and arrive with nearly the right weights. What is missing has two causes: each
level is left after ten steps, before the chains have settled, and steps of finite size have a bias
(`score.langevin_var`).""",
    ),
    Entry(
        "ancestral_vs_langevin",
        "The score",
        "The ancestral step is no Langevin step",
        "figure = plot.ancestral_vs_langevin(Schedule.vp(100), 22, rng)",
        """\
Both add a multiple of the score and the same noise, and look alike. But Langevin's step leaves q(x_t) nearly where it
is, and the ancestral one leads to q(x_{t-1}) (`score.ancestral_vs_langevin`). Repeated at one t, the one settles near v
(`score.langevin_var`), the other elsewhere (`score.ancestral_var`).""",
    ),
    # --------------------------------------------------------------------------------------------- the continuous limit
    Entry(
        "chain_limit",
        "The continuous limit",
        "From the chain to its equation",
        "figure = plot.chain_limit(VP())",
        """\
Betas read off beta(s) make a chain that loses more signal than its equation, by order 1/T in log ᾱ_T
(`continuous.chain_limit`). `Schedule.vp` takes the integral of beta over each step instead: it is the equation, looked
at only at s = t/T, for any T (`continuous.rates`).""",
    ),
    Entry(
        "probability_flow",
        "The continuous limit",
        "Two ways back from noise",
        "figure = plot.probability_flow(VP(), line, rng)",
        """\
The same densities (`continuous.diffused`), crossed without noise and with it. On a line the flow cannot cross itself,
so each point keeps its quantile (`continuous.probability_flow`), and where it ends is settled where it starts. The
reverse equation (`continuous.reverse_drift`) pulls twice as hard and adds noise: from the same start it may end in
either mode, and its points have the same law.""",
    ),
    Entry(
        "bound_over_log_snr",
        "The continuous limit",
        "One bound for all schedules",
        "figure = plot.bound_over_log_snr(line)",
        """\
How well the noise can be told depends on how much of it there is, not on which equation brought it: over log SNR the
three are one curve. Over s each runs through it at a speed of its own (`continuous.log_snr`), and the area, the
information that is lost on the way (`continuous.mixture_diffusion_loss`), is the same. The dip is where the
noise is small enough to tell the modes apart, and still large beside what is within them.""",
    ),
    # ------------------------------------------------------------------------------------------------------ samplers
    Entry(
        "sampler_race",
        "Samplers",
        "Eight samplers, one denoiser",
        """\
scores = samplers.race(eight, [5, 10, 20, 50, 200], range(10), 2000, spacings=["even", "log_snr"], first=20)
figure = plot.sampler_race(scores)""",
        """\
At ten steps even in t, DPM-Solver++(2M) (`reverse.dpmpp_2m_path`) comes before DDIM (`reverse.ddim_path`), and DDIM
before ancestral sampling with the posterior variance. Noise itself is not to blame but its variance: with the variance
beta (`reverse.ancestral`) the same steps come before DDIM, for over long steps the posterior variance is too small.
Heun's second slope (`reverse.heun_path`) is taken where the first one leads, and with few steps even in log SNR that is
far out: ten calls are worse than with steps even in t. Euler–Maruyama (`continuous.euler_maruyama`) comes first there
because on these data its errors happen to cancel; on other mixtures, of two Gaussians on a line or of the 25 of the
grid, DPM-Solver++(2M) does. With fifty calls and more hardly a sampler can be told from exact points.""",
    ),
    # ------------------------------------------------------------------------------------------------------- guidance
    Entry(
        "guidance_laws",
        "Guidance",
        "Guidance does not sample the tilted density",
        """\
two = guidance.LabelledMixture(GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.5), [0, 1])
figure = plot.guidance_laws(two, 1)""",
        """\
Two classes that overlap, at −1 and 1; the right one is asked for. Its density times p(y | x)^w
(`guidance.tilted_log_density`) is what guidance is said to sample, and its score is the guided one at s = 0
(`guidance.tilted_score`), but at no s > 0: to tilt and to diffuse do not commute. So the flow of the guided score
(`guidance.guided_flow_log_density`) arrives elsewhere, narrower and further from the other class; at w = 3 it has next
to nothing where the tilted density has much, and that is what makes the divergence large.""",
    ),
    Entry(
        "guided_variance",
        "Guidance",
        "Three laws of a normal class",
        "figure = plot.guided_variance(Gaussian([1.0], 1.0), Gaussian([0.0], 4.0))",
        """\
A class N(1, 1) of data N(0, 4), where all is solved by hand: the tilted density (`guidance.tilted`), ancestral sampling
(`guidance.guided_ancestral_limit`) and DDIM (`guidance.guided_flow_limit`), which falls exponentially. They are one law
at w = 0, p(x | y), and at w = −1, p(x); between these their order is reversed. The mean of the flow overshoots the
point that speaks most for the label, and comes back to it as w grows. That the dots of both samplers, with
`guidance.classifier_free`, are not quite on their curves is the price of finite noise and a thousand steps.""",
    ),
    Entry(
        "guided_samples",
        "Guidance",
        "What a network makes of it",
        """\
schedule, (x_0, y) = Schedule.vp(200), toys.draw_labelled("moons", 4000, rng)
model = network.MLP(2, rng=rng, classes=2)
list(network.fit(model, x_0, schedule, rng, steps=4000, labels=y, drop_label=0.5))
figure = plot.guided_samples(model, schedule, x_0, y, rng)""",
        """\
One network with labels and without (`network.fit_labels`), which forgets half of them as it learns
(`network.drop_labels`). No point of one moon could be taken for one of the other, so the tilted density
(`guidance.tilted_log_density`) is the moon itself, whatever w is. Guided samples (`guidance.classifier_free`) leave the
tips all the same, those first that reach into the other moon: amid much noise, where the moons can hardly be told
apart, guidance has sent them away.""",
    ),
]

HEAD = f"""\
# Gallery

What the chapters say, drawn. No number in a picture is typed in: each is computed by the chapter, or measured and drawn
with its error. Names such as `score.tweedie` are identities: `refdiff verify score.tweedie` judges that one.
*Written by `python -m tests.gallery`; do not edit it.*

The code below a picture makes it, after

```python
{SETUP}
```
"""


def page():
    """Return the page as text."""
    parts = [HEAD]
    for chapter in dict.fromkeys(entry.chapter for entry in GALLERY):
        parts.append(f"## {chapter}\n")
        for one in (entry for entry in GALLERY if entry.chapter == chapter):
            parts.append(f"### {one.title}\n\n![{one.title}](pictures/{one.name}.png)\n\n{one.text}\n")
            parts.append(f"```python\n{one.code}\n```\n")
    return "\n".join(parts)


def draw(entry):
    """Return the figure of an entry, by running its code as the page shows it."""
    names = {}
    exec(f"{SETUP}\n{entry.code}", names)
    return names["figure"]


def keep(figure, path):
    """Write a figure in 256 colours, which look the same and take a third of the bytes."""
    from PIL import Image

    from refdiff import plot
    from refdiff.files import whole

    with tempfile.TemporaryDirectory() as folder:
        plot.save(figure, Path(folder) / "full.png", dpi=DPI)
        with Image.open(Path(folder) / "full.png") as image, whole(path) as unfinished:
            image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(unfinished, "png", optimize=True)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.gallery", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="of the pictures to draw anew; all by default")
    parser.add_argument("--text", action="store_true", help="draw none, write only the page")
    asked = parser.parse_args()
    if unknown := set(asked.names) - {entry.name for entry in GALLERY}:
        sys.exit(f"there is no picture {', '.join(sorted(unknown))}; there are {', '.join(e.name for e in GALLERY)}.")
    FOLDER.mkdir(exist_ok=True)
    for entry in GALLERY:
        if not asked.text and (not asked.names or entry.name in asked.names):
            path = FOLDER / f"{entry.name}.png"
            keep(draw(entry), path)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
