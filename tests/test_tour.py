"""The tour: what it leaves behind, and that its page needs nothing else. The sizes are cut; CI runs it whole."""

import json
import re
from html.parser import HTMLParser

import pytest

from refdiff import cli, network, verify
from refdiff.cli import main, report, tour
from refdiff.verify.judge import BUDGETS


@pytest.fixture(scope="module")
def toured(tmp_path_factory):
    """Run a small tour once, and return its directory and exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tour, "STEPS", {"toys": 100, "mixture": 100})
        patch.setattr(tour, "HELD_OUT", 200)
        patch.setattr(tour, "BOUND_POINTS", 100)
        patch.setattr(tour, "LADDER_POINTS", 128)
        patch.setitem(BUDGETS, "default", BUDGETS["quick"])
        patch.setattr(tour, "GAP_T", (5, 10, 20))
        out = tmp_path_factory.mktemp("a tour") / "here"
        return out, main(["tour", "--out", str(out), "--seed", "3"])


def page(out):
    return (out / "report.html").read_text(encoding="utf-8")


def test_it_leaves_report_numbers_pictures_and_checkpoints_and_nothing_else(toured):
    out, code = toured
    assert code == cli.HOLDS
    names = ("forward", "posterior", "elbo", "score", "strip", "ladder", "gap", "quasi_static")
    pictures = {f"{name}.png" for name in names} | {"forward.gif"}
    models = {"mixture.npz", "moons.npz", "pinwheel.npz"}
    assert {path.name for path in out.iterdir()} == {"report.html", "results.json"} | pictures | models
    for name in models:
        checkpoint = network.load_checkpoint(out / name)
        assert checkpoint.metadata["seed"] == 3
        assert checkpoint.schedule.T in (tour.T_TOYS, tour.T_MIXTURE)


class Page(HTMLParser):
    """Collects what a page would fetch, and checks that its tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.links, self.anchors, self.open, self.images = [], [], set(), [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.sources += [attributes[name] for name in ("src", "srcset", "data", "poster") if name in attributes]
        if tag in ("a", "link"):
            self.links.append(attributes["href"])
        if "id" in attributes:
            self.anchors.add(attributes["id"])
        if tag == "img":
            self.images += 1
            assert attributes["alt"]
        if tag not in ("img", "meta", "link", "br", "mspace"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "mspace":
            assert self.open.pop() == tag


def test_the_page_holds_all_that_it_shows_and_asks_for_nothing_else(toured):
    text = page(toured[0])
    found = Page(text)
    assert found.open == []
    assert found.images == 8
    assert all(source.startswith("data:image/") for source in found.sources)
    assert all(link.startswith("#") and link[1:] in found.anchors for link in found.links if link != "data:,")
    assert "<script" not in text
    assert "url(" not in text


def test_the_page_has_a_line_for_every_identity_and_every_erratum(toured):
    text = page(toured[0])
    for key in (*verify.CATALOGUE, *verify.ERRATA):
        assert f"<code>{key}</code>" in text
    assert text.count(">holds<") == len(verify.CATALOGUE)
    assert set(report.SHOWN) <= set(verify.ERRATA)
    assert text.count(">refuted<") == len(verify.ERRATA) + len(report.SHOWN)


def test_the_numbers_of_the_page_stand_in_results_json(toured):
    out, _ = toured
    results, text = json.loads((out / "results.json").read_text(encoding="utf-8")), page(out)
    assert results["seed"] == 3
    assert f"{results['mixture']['exact']:.3f} nats" in text
    for name in ("ideal", "learnt"):
        row = results["mixture"][name]
        assert f"{row['gap']:+.4f} ± {row['gap_standard_error']:.4f}" in text
        assert row["bound"] == pytest.approx(row["L_0"] + row["L_1..L_T-1"] + row["L_T"])
    for gap in results["anatomy"]["gap"].values():
        assert f"{gap:.2f}" in text
    for toy in results["toys"].values():
        assert f"{toy['energy_ratio']:.2f}" in text
    assert re.search(rf"ᾱ = {results['endings'][0]['alpha_bar_T']:.2f},", text)
    assert results["endings"][0]["alpha_bar_T"] == pytest.approx(0.603, abs=1e-3)


def test_a_directory_that_cannot_be_made_exits_2_before_any_work(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["tour", "--out", str(tmp_path / "file" / "tour")]) == cli.USAGE
    assert main(["tour", "--out", str(tmp_path / "file")]) == cli.USAGE
    assert capsys.readouterr().err.count("refdiff: ") == 2
