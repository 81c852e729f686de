"""The README: its code runs, its links lead somewhere, its commands are those that CI runs."""

import re
from pathlib import Path

import refdiff

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_code_runs_and_says_what_stands_beside_it(capsys):
    blank, posterior, own = blocks("python")
    exec(blank, {})
    assert capsys.readouterr().out.startswith("… bayes.posterior_mean: posterior is not written yet")
    scope = {}
    exec(posterior, scope)
    assert scope["q"].mean.shape == (1, 2)
    exec(own, {})
    first, second = capsys.readouterr().out.splitlines()
    assert first == "['bayes.posterior_var']"
    assert second.startswith("beta = (0.36, 0.75), alpha_bar = (0.64, 0.16), t = 1, x_0 = 2, x_t = 1:")
    assert second.endswith("claimed 0.36, in truth 0")


def test_what_is_said_to_be_verified_is_counted():
    from refdiff import verify
    from refdiff.verify.cases import DESIGNED

    slips = sum(one.source.startswith("a common slip") for one in verify.ERRATA.values())
    statistics = sum(one.statistics for one in verify.CATALOGUE.values())
    right, tolerances = verify.Provided(refdiff), []
    for identity in verify.CATALOGUE.values():
        found = verify.examine(identity, right, DESIGNED[1], routes=("exact",))
        tolerances.append(max(one.tolerance for one in found))
    digits = sum(tolerance <= 1e-10 for tolerance in tolerances)
    assert f"| {len(verify.CATALOGUE)} identities about" in README
    assert f"| {digits} to ten digits or more; all but seven to four," in README
    assert sum(tolerance > 1e-4 for tolerance in tolerances) == 7
    assert f"{statistics} statistics of known law" in README
    assert f"| {len(verify.ERRATA)} wrong versions" in README
    assert f"| {len(verify.ERRATA) - slips} of them found in" in README


def test_every_relative_link_leads_to_a_file():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert len(links) > 8
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_ci_runs_the_two_commands_as_they_stand_here():
    commands = [line for block in blocks("sh")[:2] for line in block.splitlines()]
    assert len(commands) == 2
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert set(commands) <= {line.strip() for line in lines}
