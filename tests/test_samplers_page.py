"""The page of samplers is made of the numbers beside it, and these are what a fresh run gives."""

import re

import numpy as np
import pytest

from refdiff import samplers
from refdiff.cli.console import mixture_of
from tests.samplers_page import DOCS, PAGE, page, scores

CURRENT = "`python -m tests.samplers_page` writes it anew"


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), CURRENT


@pytest.mark.parametrize(
    ("sampler", "spacing", "calls"), [("dpmpp_2m", "log_snr", 10), ("euler_maruyama", "even", 5), ("heun", "even", 20)]
)
def test_the_numbers_are_those_of_a_fresh_run(sampler, spacing, calls):
    record, found = scores("eight_gaussians")
    how = {"spacing": spacing, "first": record["first"]}
    value = samplers.error(sampler, mixture_of("eight_gaussians"), calls, record["n"], np.random.default_rng(0), **how)
    assert value == pytest.approx(found[(sampler, spacing, calls)].values[0], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", ["eight_gaussians", "grid"])
def test_all_samplers_were_measured(name):
    _, found = scores(name)
    assert {key[0] for key in found} == {"exact", *samplers.SAMPLERS}


def test_what_the_page_claims_is_in_the_numbers():
    (_, eight), (_, grid) = scores("eight_gaussians"), scores("grid")

    def before(of, better, worse):
        gap = np.subtract(of[worse].values, of[better].values)
        return gap.mean() > 5 * gap.std(ddof=1) / np.sqrt(len(gap))

    assert before(eight, ("dpmpp_2m", "even", 10), ("ddim", "even", 10))
    assert before(eight, ("ddim", "even", 10), ("ancestral", "even", 10))
    assert before(eight, ("ancestral_beta", "log_snr", 10), ("ddim", "log_snr", 10))
    assert before(eight, ("ddim", "log_snr", 10), ("heun", "log_snr", 10))
    assert before(grid, ("dpmpp_2m", "log_snr", 10), ("euler_maruyama", "log_snr", 10))
    best = {key: one.mean for key, one in eight.items() if key[2] == 10}
    assert min(best, key=best.get) == ("euler_maruyama", "log_snr", 10)
    others = {key: one.mean for key, one in grid.items() if key[2] == 10}
    assert min(others, key=others.get) == ("dpmpp_2m", "log_snr", 10)


def test_the_page_s_pictures_and_files_exist():
    links = re.findall(r"\]\(([^)#]+)\)", PAGE.read_text(encoding="utf-8"))
    assert len(links) >= 2
    for link in links:
        assert (DOCS / link).exists(), link
