"""The page docs/samplers.md and its picture: ``python -m tests.samplers_page`` makes them from docs/samplers.

These are measured by ``refdiff samplers --seeds 20 -n 5000`` and, for the grid, with ``--data grid --calls 10``.
"""

import json
from pathlib import Path

from refdiff.cli.samplers import table
from refdiff.plot.scales import with_error
from refdiff.samplers import Score

DOCS = Path(__file__).parents[1] / "docs"
PAGE, TEXT, NUMBERS = DOCS / "samplers.md", Path(__file__).with_name("samplers_page.md"), DOCS / "samplers"


def scores(name):
    """Return the record of one race, and its scores by sampler, spacing and calls."""
    record = json.loads((NUMBERS / f"{name}.json").read_text(encoding="utf-8"))
    found = [Score(one["sampler"], one["spacing"], one["calls"], tuple(one["values"])) for one in record["scores"]]
    return record, {(one.sampler, one.spacing, one.calls): one for one in found}


def times_1000(score, exact):
    """Write a score and its standard error, times 1000."""
    return with_error(1e3 * score.mean, 1e3 * score.error_beside(exact))


def page():
    """Return the page as text."""
    (record, of), (_, of_grid) = scores("eight_gaussians"), scores("grid")
    exact = of[("exact", "", 0)]
    cited = {
        "beta": of[("ancestral_beta", "log_snr", 10)],
        "posterior": of[("ancestral", "log_snr", 10)],
        "ddim": of[("ddim", "log_snr", 10)],
        "dpm_even": of[("dpmpp_2m", "even", 10)],
        "dpm_log_snr": of[("dpmpp_2m", "log_snr", 10)],
        "em_grid": of_grid[("euler_maruyama", "log_snr", 10)],
        "dpm_grid": of_grid[("dpmpp_2m", "log_snr", 10)],
    }
    return TEXT.read_text(encoding="utf-8").format(
        table="\n".join(table(of.values())),
        exact=times_1000(exact, exact),
        seeds=len(exact.values),
        **{name: record[name] for name in ("n", "first", "T")},
        **{name: times_1000(score, exact) for name, score in cited.items()},
    )


def main():
    from refdiff import plot
    from tests.gallery import FOLDER, keep

    PAGE.write_text(page(), encoding="utf-8")
    keep(plot.sampler_race(scores("eight_gaussians")[1].values()), FOLDER / "samplers.png")


if __name__ == "__main__":
    main()
