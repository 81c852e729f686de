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
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1.5rem 0; }
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
td { border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; white-space: nowrap; }
math { font-family: "STIX Two Math", "Latin Modern Math", "Cambria Math", math; }
td math[display="block"] { text-align: left; margin: .15rem 0; font-size: 1.05em; }
code { font: .86em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
.small { color: var(--soft); font-size: .82rem; }
nav a { margin-right: 1rem; white-space: nowrap; } a { color: #0b62a4; }
"""


def number(x, digits=6):
    """Return a number as text, a dash where there is none."""
    return "–" if x is None else f"{x:.{digits}g}"


def table(head, rows):
    """Return an HTML table; heads that start with # are of numbers."""
    heads = "".join(f"<th{' class=n' if h.startswith('#') else ''}>{h.lstrip('#')}</th>" for h in head)
    numeric = [h.startswith("#") for h in head]
    body = "".join(
        "<tr>" + "".join(f"<td{' class=n' if n else ''}>{cell}</td>" for n, cell in zip(numeric, row)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def picture(path, caption, alt):
    """Return a figure that holds the picture itself."""
    kind = {".png": "image/png", ".gif": "image/gif"}[Path(path).suffix]
    data = base64.b64encode(Path(path).read_bytes()).decode()
    return f'<figure><img src="data:{kind};base64,{data}" alt="{alt}"><figcaption>{caption}</figcaption></figure>'


def equation(latex, display="block"):
    """Return an equation as MathML, which browsers set by themselves; its LaTeX is what a copy of it gives."""
    from latex2mathml.converter import convert

    return convert(latex.replace(r"\_", "_"), display=display)


def identities(verify):
    """Return one row per identity: claimed, measured, error, verdict."""
    from refdiff.verify import CATALOGUE

    rows = []
    for key, verdict in verify["verdicts"].items():
        mark = "good" if verdict["status"] == "holds" else "bad"
        catches = "–" if verdict["detects"] is None else f"{100 * verdict['detects']:.2g} %"
        rows.append(
            (
                f"<code>{key}</code><br>{equation(CATALOGUE[key].states)}",
                number(verdict["claimed"]),
                number(verdict["measured"]),
                f"{verdict['error']:.0e}" if verdict["error"] else "0",
                number(verdict["p_value"], 2),
                catches,
                f'<span class="{mark}">{verdict["status"]}</span>',
            )
        )
    return table(("identity", "#claimed", "#measured", "#exact error", "#p", "#catches", "verdict"), rows)


def refuted(errata):
    """Return one row per erratum: what it says, what is right, both numbers."""
    rows = []
    for row in errata:
        verdict = '<span class="good">refuted</span>' if row["refuted"] else '<span class="bad">not refuted</span>'
        what = html.escape(row["what"] or "")
        says = f"{equation(row['says'])}<span class=small>{html.escape(row['source'])}</span>"
        name = f"<code>{row['key']}</code>"
        values = number(row["claimed"]), number(row["truth"])
        rows.append((name, says, equation(row["correct"]), f"<span class=small>{what}</span>", *values, verdict))
    return table(("erratum", "says", "right is", "judged on", "#its value", "#truth", "verdict"), rows)


def render(results, out):
    """Return the report as HTML. All its numbers are in `results`, all its pictures in the directory `out`."""
    out = Path(out)
    verdicts = results["verify"]["verdicts"]
    held = sum(one["status"] == "holds" for one in verdicts.values())
    refuted_count = sum(row["refuted"] for row in results["errata"])
    mixture, toys, endings = results["mixture"], results["toys"], results["endings"]
    ideal, learnt = mixture["ideal"], mixture["learnt"]
    moons = toys["moons"]
    linear_50, linear_1000 = endings[0], endings[-1]
    ratios = ", ".join(f"{name} {toy['energy_ratio']:.2f}" for name, toy in toys.items())

    facts = "".join(
        f"<div><b>{value}</b><span>{what}</span></div>"
        for value, what in (
            (f"{held} of {len(verdicts)}", "identities hold on exact and on Monte Carlo evidence"),
            (f"{refuted_count} of {len(results['errata'])}", "wrong formulas found in print are refuted"),
            (f"{moons['energy_ratio']:.2f}", "energy distance of moons samples to data, over that of data to data"),
            (
                f"{ideal['gap']:+.3f} nats",
                f"bound of the ideal denoiser above −log p, ± {ideal['gap_standard_error']:.3f}",
            ),
            (
                f"{learnt['gap']:+.3f} nats",
                f"bound of the learnt denoiser above it, ± {learnt['gap_standard_error']:.3f}",
            ),
            (f"{results['seconds']:.0f} s", f"for all of it; seed {results['seed']}"),
        )
    )
    toy_rows = [
        (
            name,
            f"{toy['steps']:,}",
            f"{toy['seconds']:.1f}",
            f"{toy['sampling_seconds']:.1f}",
            f"{toy['energy_distance']:.5f}",
            f"{toy['energy_distance_of_data']:.5f}",
            f"{toy['energy_ratio']:.2f}",
        )
        for name, toy in toys.items()
    ]
    bound_rows = [
        (name, *(f"{row[k]:.3f}" for k in ("L_0", "L_1..L_T-1")), f"{row['L_T']:.1e}", f"{row['bound']:.3f}",
         f"{row['gap']:+.3f} ± {row['gap_standard_error']:.3f}", f"{row['bits_per_dim']:.3f}")
        for name, row in (("ideal denoiser", ideal), ("learnt denoiser", learnt))
    ]  # fmt: skip
    ending_rows = [
        (row["schedule"], f"{row['alpha_bar_T']:.2g}", f"{row['L_T']:.2g}", f"{row['energy_ratio']:.1f}")
        for row in endings
    ]
    definition = equation(r"x_t = \sqrt{1 - \beta_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon_t", "inline")
    sections = f"""
<h1>A diffusion model, derived, verified, trained and measured</h1>
<p class="lead">refdiff {__version__}, <code>refdiff tour --seed {results["seed"]}</code>. Every number on this page was
computed in this run, and stands in <code>results.json</code>.</p>
<nav><a href="#forward">Forward</a><a href="#posterior">Posterior</a><a href="#verified">Verified</a>
<a href="#refuted">Refuted</a><a href="#trained">Trained</a><a href="#truth">Against the truth</a>
<a href="#ending">Where schedules end</a></nav>
<div class="facts">{facts}</div>

<h2 id="forward">1. The forward process turns data into noise</h2>
<p>Its definition is one line, {definition}, run
T = 1000 times with the linear schedule of Ho, Jain &amp; Abbeel (2020). Twelve chains start at the four corners
(±10, ±10), three from each.</p>
{
        picture(
            out / "forward.gif",
            "Twelve chains of one forward process. The signal rate is what is left of x_0, the noise"
            " rate the standard deviation of what came in its place; their squares sum to 1.",
            "animation: chains",
        )
    }
{picture(out / "forward.png", "The same process, whole paths.", "paths of the chains, and both rates over t")}

<h2 id="posterior">2. One step back is a product of two Gaussians</h2>
<p>Given where a chain began and where it is now, where was it one step ago? Bayes' rule multiplies what x_0 says of
x_{{t-1}} by what x_t says of it.</p>
{
        picture(
            out / "posterior.png",
            "q(x_{t-1} | x_t, x_0) is the normalised product. Precisions add.",
            "prior, likelihood and posterior of one step, as curves",
        )
    }

<h2 id="verified">3. Every formula, judged on evidence that does not use it</h2>
<p>Each identity is checked twice: against an exact truth found by another route (the dense joint Gaussian of the chain,
quadrature, finite differences), and by Monte Carlo under a law that is known. All {results["verify"]["statistics"]:,}
statistics of this run share a chance of 1e-6 of any false alarm. “Catches” is the smallest relative error that the
Monte Carlo route would have caught with probability .99; “exact error” is what the exact route measured.</p>
{identities(results["verify"])}

<h2 id="refuted">4. Wrong formulas from published texts, refuted</h2>
<p>A check that cannot fail is worth nothing. Each of these was found in print, re-stated in the notation used here, put
in the place of the right function, and rejected by the same identities. S0 to S4 are the texts listed by
<code>refdiff.verify.SOURCES</code>; other entries name a repository and thread.</p>
{refuted(results["errata"])}

<h2 id="trained">5. Trained by hand-written backprop, sampled by Algorithm 2</h2>
<p>A small MLP with its derivatives written out in NumPy, {moons["steps"]:,} steps of AdamW on 20,000 points, T = 200.
The energy distance is that between 4,000 samples and 4,000 points that the model has not seen, and beside it the
same between two sets of data, which no sampler can beat: {ratios} times.</p>
{picture(out / "strip.png", "Left to right: data, noised data, the prior, samples, held-out data.", "two toy sets")}
{table(("data", "#steps", "#training s", "#sampling s", "#energy distance", "#data to data", "#ratio"), toy_rows)}

<h2 id="truth">6. Measured against the exact truth</h2>
<p>For Gaussian-mixture data the diffused density, its score, the ideal denoiser and −log p(x_0) are closed forms. The
exact −log p, averaged over {mixture["points"]:,} points, is {
        mixture["exact"]:.3f} nats. No bound can be below it but by
Monte Carlo error, and the ideal denoiser's is above it only because its reverse steps are Gaussian and T is finite.</p>
{table(("", "#L_0", "#ΣL_{t-1}", "#L_T", "#bound", "#above −log p", "#bits per dim"), bound_rows)}
{picture(out / "elbo.png", "Where the bound is paid, and what it adds up to, in nats.", "terms of the bound over t")}
{
        picture(
            out / "score.png",
            "The score of the diffused data: the truth, what was learnt, and the difference.",
            "two vector fields and their difference",
        )
    }

<h2 id="ending">7. Where a schedule ends decides where sampling may start</h2>
<p>Sampling starts from N(0, I), so q(x_T) had better be that. The teaching repository tanelp/tiny-diffusion runs T = 50
with the betas 1e-4..0.02 that were meant for T = 1000. That chain ends at alpha_bar_T = {linear_50["alpha_bar_T"]:.2f},
and the term L_T = {linear_50["L_T"]:.2f} nats says so before anything is trained (linear-1000:
{linear_1000["L_T"]:.1e}). Even the <em>ideal</em> denoiser then samples a mixture at {linear_50["energy_ratio"]:.0f}
times the energy distance of data to data; with that repository's own network, after 50,000 steps, samples of two-moons
were measured at 37 times.</p>
{table(("schedule", "#alpha_bar_T", "#L_T on moons, nats", "#energy ratio, ideal denoiser"), ending_rows)}

<h2>Go on</h2>
<p><code>refdiff show bayes.posterior_var</code> prints one identity with its source code and evidence,
<code>refdiff errata</code> all wrong formulas, <code>refdiff train --data points.csv</code> learns your own points,
<code>refdiff sample model.npz</code> draws from what was learnt.</p>
"""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>refdiff tour</title><style>{STYLE}</style></head><body><main>{sections}</main></body></html>\n"
    )
