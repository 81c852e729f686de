r"""The report of the tour: one HTML page that holds its pictures and needs no network."""

import base64
import html
from pathlib import Path

from refdiff import __version__

__all__ = ["render"]

STYLE = """
:root { color-scheme: light; --ink: #1c2430; --soft: #5b6675; --line: #dfe4ea; --good: #00795c; --bad: #b3400a;
  --paper: #fff; --tint: #f5f7f9; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--tint); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; background: var(--paper); }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.3rem; margin: 3rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { max-width: 46rem; }
.lead { font-size: 1.1rem; color: var(--soft); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .75rem; margin: 1.5rem 0; }
.facts div { background: var(--tint); border-radius: 8px; padding: .8rem 1rem; }
.facts b { display: block; font-size: 1.45rem; line-height: 1.2; }
.facts span { color: var(--soft); font-size: .88rem; }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; display: block; margin: 0 auto; }
figcaption { color: var(--soft); font-size: .92rem; max-width: 46rem; margin: .5rem auto 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--line); }
th, td { padding: .45rem .6rem; vertical-align: top; }
tbody tr:last-child td { border-bottom: 1px solid var(--line); }
.noted tr:first-child td { padding-bottom: 0; }
.noted tr:last-child td { padding-top: .2rem; padding-bottom: .7rem; }
td.n, th.n { text-align: right; white-space: nowrap; }
math { font-family: "STIX Two Math", "Latin Modern Math", "Cambria Math", math; }
td math { font-size: 1.1em; }
@media (max-width: 46rem) { p:has(> math) { overflow-x: auto; } } /* a long equation scrolls, the page does not */
code { font: .86em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
.small { color: var(--soft); font-size: .82rem; }
.noted div { margin: .25rem 0; }
details { border-top: 1px solid var(--line); padding: .4rem 0; }
summary { cursor: pointer; padding: .3rem 0; }
nav a { margin-right: 1rem; white-space: nowrap; } a { color: #0b62a4; }
"""


def number(x, digits=6):
    """Return a number as text, a dash where there is none."""
    return "–" if x is None else f"{x:.{digits}g}"


def table(head, rows, notes=None):
    """Return an HTML table; heads that start with # are of numbers. A note stands below its row, in full width."""
    heads = "".join(f"<th{' class=n' if h.startswith('#') else ''}>{h.lstrip('#')}</th>" for h in head)
    numeric = [h.startswith("#") for h in head]
    body = ""
    for k, row in enumerate(rows):
        cells = "".join(f"<td{' class=n' if n else ''}>{cell}</td>" for n, cell in zip(numeric, row))
        note = f"<tr><td colspan={len(head)}>{notes[k]}</td></tr>" if notes else ""
        body += f"<tbody{' class=noted' if notes else ''}><tr>{cells}</tr>{note}</tbody>"
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>{body}</table></div>'


def picture(path, caption, alt):
    """Return a figure that holds the picture itself."""
    kind = {".png": "image/png", ".gif": "image/gif"}[Path(path).suffix]
    data = base64.b64encode(Path(path).read_bytes()).decode()
    return f'<figure><img src="data:{kind};base64,{data}" alt="{alt}"><figcaption>{caption}</figcaption></figure>'


def equation(latex):
    """Return an equation as MathML, which browsers set by themselves."""
    from latex2mathml.converter import convert

    return convert(latex.replace(r"\_", "_")).replace("<math ", '<math displaystyle="true" ', 1)


def identities(verify):
    """Return one row per identity, chapter by chapter: claimed, measured, error, verdict; its equation below."""
    from refdiff.verify import CATALOGUE

    head = ("identity", "#claimed", "#measured", "#exact error", "#p", "#catches", "verdict")
    chapters = {}
    for key, verdict in verify["verdicts"].items():
        mark = "good" if verdict["status"] == "holds" else "bad"
        row = (
            f"<code>{key}</code>",
            number(verdict["claimed"]),
            number(verdict["measured"]),
            f"{verdict['error']:.0e}" if verdict["error"] else "0",
            number(verdict["p_value"], 2),
            "–" if verdict["detects"] is None else f"{100 * verdict['detects']:.2g} %",
            f'<span class="{mark}">{verdict["status"]}</span>',
        )
        about = f"{CATALOGUE[key].source}. Claimed and measured: {verdict['what']}"
        note = f"{equation(CATALOGUE[key].states)}<div class=small>{html.escape(about)}</div>"
        chapters.setdefault(CATALOGUE[key].chapter, []).append((row, note, verdict["status"] == "holds"))
    return "\n".join(
        folded(
            f"<code>{chapter}</code>: {sum(holds for *_, holds in found)} of {len(found)} hold",
            table(head, [row for row, *_ in found], [note for _, note, _ in found]),
            chapter == "bayes",
        )
        for chapter, found in chapters.items()
    )


def folded(title, content, unfolded=False):
    """Return content that a reader unfolds."""
    return f"<details{' open' if unfolded else ''}><summary>{title}</summary>{content}</details>"


def refuted(errata):
    """Return one row per erratum: both numbers; below, what it says, where, and what is right."""
    rows, notes = [], []
    for row in errata:
        verdict = '<span class="good">refuted</span>' if row["refuted"] else '<span class="bad">not refuted</span>'
        what = html.escape(row["what"] or "")
        rows.append((f"<code>{row['key']}</code>", what, number(row["claimed"]), number(row["truth"]), verdict))
        notes.append(
            f"<div>says {equation(row['says'])}</div><div>right is {equation(row['correct'])}</div>"
            f"<div class=small>{html.escape(row['source'])}</div>"
        )
    return table(("erratum", "judged on", "#its value", "#truth", "verdict"), rows, notes)


UNDECOMPOSED = r"\mathbb{E}\left[-\log p(x_T) + \sum_{t=1}^T \log\frac{q(x_t \mid x_{t-1})}{p(x_{t-1} \mid x_t)}\right]"
CONSISTENCY = (
    r"\mathbb{E}\left[-\log p(x_0 \mid x_1)"
    r" + \sum_{t=1}^{T-1} \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}"
    r" + \log\frac{q(x_T \mid x_{T-1})}{p(x_T)}\right]"
)
DENOISING = (
    r"\mathbb{E}\left[-\log p(x_0 \mid x_1)"
    r" + \sum_{t=2}^T \mathrm{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\Vert\, p(x_{t-1} \mid x_t)\right)"
    r" + \mathrm{KL}\left(q(x_T \mid x_0) \,\Vert\, p(x_T)\right)\right]"
)
SHOWN = (  # errata of some consequence, from each part of the derivation
    "posterior-var-beta",
    "sigma-equals-beta",
    "sampling-missing-fraction",
    "reverse-equals-posterior",
    "term-constant-dropped",
    "randint-excludes-T",
    "eps-is-the-score",
    "abar-order",
)


def is_in_print(row):
    """Return whether an erratum was found in a published text or in public code, and is not just a common slip."""
    return not row["source"].startswith("a common slip")


def section(key, title, *parts):
    """Return a numbered section."""
    return f'<h2 id="{key}">{title}</h2>\n' + "\n".join(parts)


def facts(results):
    """Return the few numbers that sum up the run."""
    verdicts, errata = results["verify"]["verdicts"], results["errata"]
    held = sum(one["status"] == "holds" for one in verdicts.values())
    refuted_number = sum(row["refuted"] for row in errata)
    ideal, learnt = results["mixture"]["ideal"], results["mixture"]["learnt"]
    cards = (
        (f"{held} of {len(verdicts)}", "identities hold, on exact and on Monte Carlo evidence"),
        (
            f"{refuted_number} of {len(errata)}",
            f"wrong formulas are refuted, {sum(map(is_in_print, errata))} of them found in texts, public code and issues",
        ),
        (
            f"{results['toys']['moons']['energy_ratio']:.2f} ×",
            "as far from held-out data as fresh data are: samples of two moons, by energy distance (true samples score"
            " mostly 0.8 to 1.5)",
        ),
        (
            f"{ideal['gap']:+.3f} nats",
            "the bound of the ideal denoiser above the entropy of the data, exactly",
        ),
        (
            f"{learnt['gap']:+.3f} nats",
            f"the bound of the learnt denoiser above that entropy, ± {learnt['gap_standard_error']:.3f}",
        ),
        (f"{results['seconds']:.0f} s", f"for all of it, with seed {results['seed']}"),
    )
    return '<div class="facts">' + "".join(f"<div><b>{v}</b><span>{w}</span></div>" for v, w in cards) + "</div>"


def toys_table(toys):
    """Return how well each toy set was learnt."""
    rows = [
        (
            name,
            f"{toy['T']}",
            f"{toy['steps']:,}",
            f"{toy['seconds']:.1f}",
            f"{toy['sampling_seconds']:.1f}",
            f"{toy['energy_distance']:.5f}",
            f"{toy['energy_distance_of_data']:.5f}",
            f"{toy['energy_ratio']:.2f}",
        )
        for name, toy in toys.items()
    ]
    head = ("data", "#T", "#steps", "#training s", "#sampling s", "#samples to data", "#data to data", "#ratio")
    return table(head, rows)


def bounds_table(mixture):
    """Return the parts of the two bounds."""
    rows = [
        (
            name,
            f"{row['L_0']:.3f}",
            f"{row['L_1..L_T-1']:.3f}",
            f"{row['L_T']:.1e}",
            f"{row['bound']:.4f}",
            f"{row['gap']:+.4f} ± {row['gap_standard_error']:.4f}",
            f"{row['bits_per_dim']:.3f}",
        )
        for name, row in (("ideal denoiser", mixture["ideal"]), ("learnt denoiser", mixture["learnt"]))
    ]
    return table(
        ("", "#L₀", "#L₁ + … + L<sub>T−1</sub>", "#L<sub>T</sub>", "#bound", "#above the entropy", "#bits per dim"),
        rows,
    )


def endings_table(endings):
    """Return where each schedule ends."""
    rows = [
        (
            row["schedule"],
            f"{row['alpha_bar_T']:.2g}",
            *(f"{row[data]['L_T']:.2g}" for data in ("standardized", "wide")),
            *(f"{row[data]['energy_ratio']:.1f}" for data in ("standardized", "wide")),
        )
        for row in endings
    ]
    head = (
        "schedule",
        "#ᾱ at T",
        "#L<sub>T</sub>, std 1",
        "#L<sub>T</sub>, std 1.8",
        "#energy ratio, std 1",
        "#energy ratio, std 1.8",
    )
    return table(head, rows)


def render(results, out):
    """Return the report as HTML. All its numbers are in `results`, all its pictures in the directory `out`."""
    from refdiff.verify import SOURCES

    out = Path(out)
    errata, mixture, toys, endings = (results[name] for name in ("errata", "mixture", "toys", "endings"))
    linear_50, cosine_50, vp_50, linear_1000 = endings
    anatomy = results["anatomy"]
    rungs = anatomy["rungs"]
    ratios = ", ".join(f"{name} {toy['energy_ratio']:.2f}" for name, toy in toys.items())
    definition = equation(r"x_t = \sqrt{1 - \beta_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon_t")
    in_print = [row for row in errata if is_in_print(row)]
    slips = [row for row in errata if not is_in_print(row)]

    parts = [
        "<h1>A diffusion model, derived, verified, trained and measured</h1>",
        f"""<p class="lead">refdiff {__version__}, <code>refdiff tour --seed {results["seed"]}</code>. The numbers on this
page were computed in this run, but where a measurement is cited, and stand in <code>results.json</code>.</p>""",
        """<nav><a href="#forward">Forward</a><a href="#posterior">Posterior</a><a href="#verified">Verified</a>
<a href="#refuted">Refuted</a><a href="#trained">Trained</a><a href="#truth">Against the truth</a>
<a href="#anatomy">The bound, taken apart</a> <a href="#ending">Where schedules end</a></nav>""",
        facts(results),
        section(
            "forward",
            "1. The forward process turns data into noise",
            f"""<p>Its definition is one line, {definition}, run T = 1000 times with the linear schedule of Ho, Jain &amp;
Abbeel (2020). Twelve chains start at the four corners (±10, ±10), three from each.</p>""",
            picture(
                out / "forward.gif",
                "The signal rate is what is left of x₀, the noise rate the standard deviation of what came in its place;"
                " their squares sum to 1. Whole paths: <code>forward.png</code>.",
                "animation of twelve chains, with signal and noise rate over t",
            ),
        ),
        section(
            "posterior",
            "2. One step back is a product of two Gaussians",
            """<p>Given where a chain began and where it is now, where was it one step ago? Bayes' rule multiplies what x₀
says of xₜ₋₁ by what xₜ says of it.</p>""",
            picture(
                out / "posterior.png",
                "The posterior q(xₜ₋₁ | xₜ, x₀) is the normalised product: precisions add.",
                "prior, likelihood and posterior of one step, as curves",
            ),
        ),
        section(
            "verified",
            "3. Every formula, judged on evidence that does not use it",
            f"""<p>Each identity is checked twice: against an exact truth found by another route (the dense joint Gaussian of
the chain, quadrature, finite differences), and by Monte Carlo under a law that is known. All
{results["verify"]["statistics"]:,} statistics of this run share a chance of one in a million of any false alarm. “Catches”
is the smallest relative error that the Monte Carlo route would have caught with probability .99; “exact error” is the
largest relative error that the exact route found. “Claimed” and “measured” are those of the statistic that fits worst,
named below the equation.</p>""",
            identities(results["verify"]),
        ),
        section(
            "refuted",
            "4. Wrong formulas, refuted",
            """<p>A check that cannot fail is worth nothing. Each formula below was put in the place of the right one, in the
notation used here, and rejected by the same identities. Some of consequence:</p>""",
            refuted([row for row in errata if row["key"] in SHOWN]),
            folded(
                f"All {len(in_print)} found in texts, public code and issues",
                refuted(in_print)
                + "<p class=small>"
                + "<br>".join(f"{k}: {html.escape(str(v))}" for k, v in SOURCES.items())
                + "</p>",
            ),
            folded(f"{len(slips)} slips that are easily made", refuted(slips)),
        ),
        section(
            "trained",
            "5. Trained by hand-written backprop, sampled by Algorithm 2",
            f"""<p>A small MLP with its derivatives written out in NumPy, trained on 50,000 points by AdamW. The energy
distance is that between 4,000 samples and 4,000 points that the model has not seen; beside it stands the same between two
sets of data, which no sampler can be expected to beat (the median of five comparisons each). The ratios: {ratios}. One
such number is a draw: of 24 samples of the true law, half scored between 0.8 and 1.5, the lowest 0.5, the highest 3.5.</p>""",
            picture(
                out / "strip.png",
                "Left to right: data, noised data at four steps, the prior, samples of the model, held-out data.",
                "two toy sets, diffused and sampled",
            ),
            toys_table(toys),
        ),
        section(
            "truth",
            "6. Measured against the exact truth",
            f"""<p>For Gaussian-mixture data the diffused density, its score, the ideal denoiser and −log q(x₀) are closed
forms. The exact −log q(x₀), averaged over {mixture["points"]:,} points, is {mixture["exact"]:.3f} nats; over all data that is
their entropy, and no model's bound has a lower mean. That of the ideal denoiser is above it by
{mixture["ideal"]["gap"]:.4f}, by quadrature, only because its reverse steps are Gaussian and T = {mixture["T"]} is finite;
what the learnt one adds is measured point by point on the same noise. L₀ is negative because a density may exceed 1: these are nats of a density, in the units of the
data.</p>""",
            bounds_table(mixture),
            picture(
                out / "elbo.png",
                "Where the bound is paid, step by step, and what it adds up to.",
                "terms of the bound over t, their running sum, and the gap to the exact value",
            ),
            picture(
                out / "score.png",
                "The score of the diffused data: the truth, what was learnt, and the difference.",
                "two vector fields and their difference",
            ),
        ),
        section(
            "anatomy",
            "7. The bound, taken apart",
            f"""<p>One bound, three forms:</p>
<p>undecomposed {equation(UNDECOMPOSED)}</p><p>consistency {equation(CONSISTENCY)}</p><p>denoising {equation(DENOISING)}</p>
<p>There are many ways to estimate it, and texts disagree about which is better. Here are nine, all
without bias, on mixture data on the line with T = {anatomy["T"]} and the ideal denoiser. To rewrite the bound in another
form changes nothing: it is the same number on each chain. The denoising form with divergences in closed form, which
everybody uses, with a new x<sub>t</sub> for each t, varies <em>more</em> than the undecomposed
log-ratio there ({rungs["analytic KL, one chain"]["var"]:.2g} against {rungs["undecomposed, one chain"]["var"]:.2g}), since neighbouring
terms no longer make up for each other. It pays for one term at one t, which is what training draws.</p>""",
            picture(
                out / "ladder.png",
                "Variance of the estimate from one point, the same at equal cost, and the mean that all share.",
                "variances of nine estimators of the bound",
            ),
            f"""<p>How tight is the bound, if the denoiser is as good as it can be? With σ² = β it exceeds the entropy of these
data, {anatomy["entropy"]:.4f} nats, at T = {anatomy["T"]} by {anatomy["gap"]["beta"]:.3f}, with the best variances by
{anatomy["gap"]["optimal"]:.3f}, and the rest vanishes as 1/T. With σ² = β̃, and a decoder of variance β₁, it is
{anatomy["gap"]["posterior"]:.2f}, and never vanishes: as T grows it falls to half of Euler's constant, 0.289 nats a
coordinate, which the first steps pay because β̃<sub>t</sub>/β<sub>t</sub> tends to (t − 1)/t there.</p>""",
            picture(
                out / "gap.png",
                "What the bound of the ideal denoiser exceeds the entropy of the data by, exactly, over the number of steps.",
                "gap of the bound over T for three choices of the variance",
            ),
            """<p>p(x₀) is the mean of a weight w over forward chains (Jarzynski's equality). One chain would be enough if w did
not vary: for these data that takes many small steps, <em>and</em> a chain that ends in noise.</p>""",
            picture(
                out / "quasi_static.png",
                "Small steps alone do not make the weight constant; p(x<sub>T</sub>) has to be q(x<sub>T</sub>) too.",
                "standard deviation of the log-weight over T",
            ),
        ),
        section(
            "ending",
            "8. Where a schedule ends decides where sampling may start",
            f"""<p>Sampling starts from N(0, I), so q(x<sub>T</sub>) had better be that. The teaching repository tanelp/tiny-diffusion
runs T = 50 with the betas 1e-4..0.02 that were meant for T = 1000. That chain ends at ᾱ = {linear_50["alpha_bar_T"]:.2f},
and the term L<sub>T</sub> says so before anything is trained: {linear_50["standardized"]["L_T"]:.2f} nats on mixture data of unit
variance, {linear_50["wide"]["L_T"]:.2f} on the same data 1.8 times as wide (linear, T = 1000:
{linear_1000["wide"]["L_T"]:.1e}).</p>
<p>What it costs shows in samples drawn with the <em>ideal</em> denoiser, so that nothing else can be to blame: data of unit
variance nearly hide it, since N(0, I) has at least the right width; on the wide data the samples are
{linear_50["wide"]["energy_ratio"]:.0f} times as far from data as data are, with the other schedules of 50 steps
{cosine_50["wide"]["energy_ratio"]:.1f} and {vp_50["wide"]["energy_ratio"]:.1f} times. That repository's points are about as
wide. When we ran it as it comes (22 November 2026: its network, its 50,000 steps, two moons), its samples were 37 times as
far from data as data are.</p>""",
            endings_table(endings),
        ),
        section(
            "on",
            "Go on",
            """<p><code>refdiff show bayes.posterior_var</code> prints one identity with its source code and evidence,
<code>refdiff errata</code> all wrong formulas, <code>refdiff train --data points.csv</code> learns your own points,
<code>refdiff sample model.npz</code> draws from what was learnt, <code>refdiff elbo model.npz --ladder</code> measures it.</p>""",
        ),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>refdiff tour</title><style>{STYLE}</style></head><body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )
