"""What the five texts say is accounted for: each equation is held by something, each wrong statement is an erratum."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from refdiff import verify
from refdiff.verify.texts import BEYOND, CLAIMS, EQUATIONS, SOURCES, references

ROOT = Path(__file__).parents[2]
JUDGED = {identity.chapter for identity in verify.CATALOGUE.values()}
CITING = {key for key, erratum in verify.ERRATA.items() if references(erratum.source)}


def awaited(key):
    """Return whether a key belongs to a chapter of which nothing is judged yet."""
    return key.split(".")[0] not in JUDGED


@cache
def names_of_tests(path):
    """Return the names of the test functions in a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def overlap(some, others):
    """Return whether two lists of references have a line in common."""
    return any(
        a == b and first <= last_b and first_b <= last for a, first, last in some for b, first_b, last_b in others
    )


# ----------------------------------------------------------------------------------------------------- the equations


def test_all_equations_are_there():
    parts = Counter(row.part for row in EQUATIONS.values())
    assert list(parts.values()) == [15, 11, 12, 17, 13, 6, 19, 8, 5]
    assert len(EQUATIONS) == 106


@pytest.mark.parametrize("slug", EQUATIONS)
def test_an_equation_is_held_by_identities_or_tests_that_exist(slug):
    row = EQUATIONS[slug]
    assert row.held_by or row.tested_by
    for key in row.held_by:
        assert key in verify.CATALOGUE or awaited(key), f"no identity is called {key}"
    for test in row.tested_by:
        path, _, name = test.partition("::")
        assert name in names_of_tests(path), f"{path} has no test called {name}"


@pytest.mark.parametrize("slug", EQUATIONS)
def test_an_equation_is_stated_and_says_where_it_stands_or_that_it_does_not(slug):
    row = EQUATIONS[slug]
    assert row.states.count("$") % 2 == 0
    assert "$" in row.states or "\\" not in row.states
    for place in (row.stands, row.near):
        assert bool(place) == bool(references(place))
        assert all(1 <= first <= last <= SOURCES[name].lines for name, first, last in references(place))
    assert not (row.stands and row.near)


def test_every_test_of_an_equation_of_its_own_is_named():
    """A test in test_equations.py that holds no equation of the list has no business there."""
    named = {test.partition("::")[2] for row in EQUATIONS.values() for test in row.tested_by}
    assert names_of_tests("tests/test_equations.py") - named == set()


def test_identities_of_one_equation_are_about_it():
    """A sample of what an equation and its first identity must have in common: the symbol that it is about."""
    symbols = {
        "alpha-bar": r"\bar\alpha_t",
        "tilde-beta": r"\tilde\beta_t",
        "forward-kernel": r"q(x_t \mid x_{t-1})",
        "marginal": r"q(x_t \mid x_0)",
        "jump-kernel": r"q(x_t \mid x_s)",
        "chain-covariance": r"\operatorname{Cov}(x_s, x_t \mid x_0)",
        "markov-conditional": r"q(x_t \mid x_{t-1}, x_0)",
        "posterior-prefactor": "C_1",
        "posterior-prefactor-c2": "C_2",
        "posterior-constant": "C(x_0, x_t)",
        "smoothing-conditional": r"q(x_t \mid x_{t-1}, x_{t+1})",
        "reverse-kernel-is-a-mixture": r"q(x_{t-1} \mid x_t)",
        "optimal-denoiser": r"\epsilon^*(x_t, t)",
        "optimal-reverse-variance": r"\sigma_t^{*2}",
        "weight-snr-identity": r"\mathrm{SNR}(t-1) - \mathrm{SNR}(t)",
        "l-simple": r"L_\mathrm{simple}",
        "discrete-decoder-l0": r"\delta_-",
        "terminal-prior-gap": r"\mathrm{KL}\left(q(x_T \mid x_0)",
        "ais-identity": r"p(x_0) = \mathbb{E}_{q(x_{1:T} \mid x_0)}",
        "consistency-denoising-identity": r"\log\frac{\tilde\beta_{t+1}}{\beta_t}",
        "vlb-is-entropy-plus-kl": r"H[q(x_0)]",
    }
    for slug, symbol in symbols.items():
        assert symbol in verify.CATALOGUE[EQUATIONS[slug].held_by[0]].states, slug


# -------------------------------------------------------------------------------------------------------- the claims


def test_all_wrong_statements_are_there():
    assert len(CLAIMS) == 67
    assert Counter(claim.grade for claim in CLAIMS.values()) == {"A": 42, "B": 15, "C": 10}


@pytest.mark.parametrize("slug", CLAIMS)
def test_a_wrong_statement_is_an_erratum_that_says_where_it_stands(slug):
    claim = CLAIMS[slug]
    lines = references(claim.stands)
    assert lines
    assert claim.errata[0] == slug  # the statement itself, under its own name
    for key in claim.errata:
        if key not in verify.ERRATA:
            assert awaited("score") or awaited("continuous"), f"no erratum is called {key}"
            continue
        cited = references(verify.ERRATA[key].source)
        if key == slug:
            assert sorted(cited) == sorted(lines), f"{key} cites other lines than its row"
        else:
            follows = verify.ERRATA[key].source == f"follows from {slug}"
            assert follows or overlap(cited, lines), f"{key} cites no line of {slug}"


def test_every_erratum_that_cites_a_text_is_one_of_its_wrong_statements_or_explained():
    claimed = [key for claim in CLAIMS.values() for key in claim.errata]
    assert len(claimed) == len(set(claimed))
    assert CITING - set(claimed) == set(BEYOND)


@pytest.mark.parametrize("key", sorted(CITING))
def test_lines_that_an_erratum_cites_are_lines_of_the_text(key):
    for name, first, last in references(verify.ERRATA[key].source):
        assert 1 <= first <= last <= SOURCES[name].lines


@pytest.mark.parametrize(
    "key", sorted(key for key, one in verify.ERRATA.items() if re.search(r"\bS[0-4]\b", one.source))
)
def test_a_text_is_cited_with_lines(key):
    source = verify.ERRATA[key].source
    assert len(re.findall(r"\bS[0-4]\b", source)) == len(re.findall(r"\bS[0-4], lines? \d", source))


# ------------------------------------------------------------------------------------------------------- the sources


def test_a_source_says_title_author_year_language_and_length():
    assert [source.lines for source in SOURCES.values()] == [157, 605, 93, 840, 299]
    for source in SOURCES.values():
        assert source.language in ("Chinese", "English")
        assert source.title in str(source)
        assert re.fullmatch(r"\d{4}|year unknown", source.year)
    assert verify.SOURCES is SOURCES
    assert str(SOURCES["S3"]) == "Gabriel Raya, “Diffusion models explained”; 2022; English"
    assert "author and year unknown" in str(SOURCES["S0"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("S3, line 110", [("S3", 110, 110)]),
        ("S4, lines 119 and 227", [("S4", 119, 119), ("S4", 227, 227)]),
        ("S1, line 123; also S3, line 134, S2, lines 52-54", [("S1", 123, 123), ("S3", 134, 134), ("S2", 52, 54)]),
        ("Ho, Jain & Abbeel (2020), eq. 2, lines 3-4", []),
    ],
)
def test_references_are_read_from_a_citation(text, found):
    assert references(text) == found
