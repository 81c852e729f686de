"""The page of errata: it is what the command writes now, it names everything, and its equations survive Markdown."""

import json
import math
import re
from pathlib import Path

import pytest

from refdiff import cli, verify
from refdiff.cli import errata, errata_pages, main
from refdiff.verify.texts import CLAIMS, SOURCES

FOLDER = Path(__file__).parents[1] / "docs" / "errata"
CHAPTERS = list(dict.fromkeys(one.replaces.split(".")[0] for one in verify.ERRATA.values()))
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
INDEX = PAGES["index"]
ENTRIES = [found for name in CHAPTERS for found in re.findall(r"^## (.*)\n\n((?:- .*\n)+)", PAGES[name], re.MULTILINE)]
CURRENT = "`refdiff errata --markdown docs/errata` writes it anew"


def numbers_of(entry):
    """Return the three numbers of an entry."""
    found = re.search(r"- its value \*\*(\S+)\*\*, refdiff's (\S+), the truth (\S+?)[, ]", entry)
    return [float(number) for number in found.groups()]


def test_the_pages_have_an_entry_for_each_erratum_in_the_order_of_the_chapters():
    assert [key for key, _ in ENTRIES] == list(verify.ERRATA), CURRENT
    assert set(PAGES) == {"index", *CHAPTERS}, CURRENT
    assert re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| \d+ \|$", INDEX, re.MULTILINE) == CHAPTERS, CURRENT


def test_an_entry_says_where_it_stands_what_it_says_and_what_is_right():
    for key, entry in ENTRIES:
        erratum = verify.ERRATA[key]
        assert f"- found in: {errata_pages.cited(erratum.source)}\n" in entry, CURRENT
        assert f"- says: {errata_pages.mathematics(erratum.says)}\n" in entry, CURRENT
        assert f"- right is: {errata_pages.mathematics(erratum.correct)}\n" in entry, CURRENT
        assert f"`{erratum.replaces}`" in entry, CURRENT
        assert all(f"`{by}`" in entry for by in erratum.rejected_by), CURRENT


def test_every_text_is_in_the_list_of_sources_with_each_of_its_wrong_statements():
    for name, source in SOURCES.items():
        section = INDEX.partition(f"### {name}\n")[2].partition("\n### ")[0]
        assert errata_pages.escaped(str(source)) in section
        stated = [slug for slug, claim in CLAIMS.items() if name in claim.stands]
        assert all(slug in section for slug in stated)
        assert len(re.findall(r"^\| \d", section, re.MULTILINE)) == len(stated)


def test_a_text_is_named_by_its_title_where_it_is_cited():
    entry = dict(ENTRIES)["figure3-duplicate-point"]
    assert "- found in: S3, line 187 (S3: “Diffusion models explained”)\n" in entry


def test_findings_under_several_functions_are_listed():
    section = INDEX.partition("## One finding under several functions")[2].partition("## Sources")[0]
    for slug, claim in CLAIMS.items():
        for key in verify.ERRATA.keys() & set(claim.errata[1:]):
            for one in (slug, key):
                assert f"[{one}]({verify.ERRATA[one].replaces.split('.')[0]}.md#{one.lower()})" in section


@pytest.mark.parametrize(
    "key",
    [
        "affine-gaussian-variance",
        "abar-order",
        "figure3-duplicate-point",
        "posterior-var-beta",
        "noise-outside-fraction",
        "zero-is-attainable",
        "n-plus-one-samples",
        "sigma-equals-beta",
        "kl-constant-dropped",
        "consistency-term-as-kl",
        "missing-expectation-over-xt",
        "randint-excludes-T",
        "inequality-should-be-equality",
        "backward-is-not-an-update",
    ],
)
def test_the_numbers_of_the_page_are_those_of_a_fresh_run(key):
    row, printed = errata.refutation(verify.ERRATA[key]), numbers_of(dict(ENTRIES)[key])
    for name, number in zip(("claimed", "right", "truth"), printed, strict=True):
        assert number == pytest.approx(row[name], rel=1e-4, abs=1e-9), CURRENT
    claimed, right, truth = printed
    assert abs(right - truth) < 0.2 * abs(claimed - truth)  # refdiff is right where the wrong version is not


def test_everything_that_is_said_to_be_wrong_is_far_from_refdiff_and_the_truth():
    for key, entry in ENTRIES:
        if verify.ERRATA[key].fails:
            assert "- does not run: `" in entry
        elif re.search(r"its value \*\*no\*\*, refdiff's yes, the truth yes", entry) is None:
            claimed, right, truth = (float(x) if x != "not" else math.nan for x in named_numbers(entry))
            assert not abs(claimed - truth) < 3 * abs(right - truth), key


def named_numbers(entry):
    return re.search(r"its value \*\*(\S+?)(?: finite)?\*\*, refdiff's (\S+), the truth (\S+?)[, ]", entry).groups()


def test_equations_survive_markdown():
    for line in "\n".join(PAGES.values()).splitlines():
        assert line.count("$") % 2 == 0, line
        for inside in line.split("$")[1::2]:
            assert inside == inside.strip(), line
            assert inside, line
            assert re.search(r"\\[!-/:-@\[-`{-~]", inside) is None, line  # would lose its backslash
            assert re.search(r"[*<>]", re.sub(errata_pages.WORDS, "", inside)) is None, line
            assert inside.count("{") == inside.count("}"), line
            if line.startswith("|"):
                assert "|" not in inside


def test_every_link_from_page_to_page_leads_to_a_heading():
    headings = {f"{name}.md" for name in PAGES}
    for name, text in PAGES.items():
        for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
            headings.add(f"{name}.md#" + re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-"))
    links = {link for text in PAGES.values() for link in re.findall(r"\]\(([^):]*)\)", text)}
    assert len(links) > len(CHAPTERS)
    assert links - headings == set()


@pytest.mark.parametrize(
    ("latex", "markdown"),
    [
        (r"a\,b_t", r"$a\thinspace b_t$"),
        (r"\{x_0^n\}_{n=1}^N < \sigma_t^{*2}", r"$\lbrace x_0^n\rbrace _{n=1}^N \lt \sigma_t^{\ast 2}$"),
        (r"\texttt{f\_\{a\}(X)}, \text{ and so on}", "`f_{a}(X)`, and so on"),
        (r"\texttt{loss.backward()}: \quad \theta", r"$\texttt{loss.backward()}: \quad \theta$"),
        (r"\operatorname*{arg\,max}_k a_k", r"$\operatorname*{arg\thinspace max}_k a_k$"),
        (r"\text{a -> b}", "a -\\> b"),
    ],
)
def test_latex_becomes_markdown(latex, markdown):
    assert errata_pages.mathematics(latex) == markdown


def test_the_pages_of_one_chapter_are_written_whole(tmp_path, capsys):
    assert main(["errata", "forward", "--markdown", str(tmp_path / "errata")]) == cli.HOLDS
    assert sorted(file.name for file in (tmp_path / "errata").iterdir()) == ["forward.md", "index.md"]
    assert "## figure3-duplicate-point" in (tmp_path / "errata" / "forward.md").read_text(encoding="utf-8")
    assert "[posterior-var-beta]" not in (tmp_path / "errata" / "index.md").read_text(encoding="utf-8")


def test_json_has_all_three_numbers_and_the_case(tmp_path, capsys):
    path = tmp_path / "errata.json"
    assert main(["errata", "posterior-var-beta", "pseudo-code-empty", "--json", str(path)]) == cli.HOLDS
    by_key = {row["key"]: row for row in json.loads(path.read_text(encoding="utf-8"))}
    row = by_key["posterior-var-beta"]
    assert (row["claimed"], row["right"], row["truth"]) == (0.5, 0, 0)
    assert row["case"] == {"beta": [0.5, 0.5], "t": 2, "s": 1, "x_0": [2.0]}
    assert by_key["pseudo-code-empty"]["fails"]
    assert by_key["pseudo-code-empty"]["right"] is None
    assert "IndentationError" in by_key["pseudo-code-empty"]["what"]
