"""The gallery: the page is what its script writes, and each picture is there."""

import re

import pytest
from matplotlib.figure import Figure
from PIL import Image

from refdiff import plot
from refdiff.verify import CATALOGUE
from tests import gallery

NAMES = [entry.name for entry in gallery.GALLERY]
each_entry = pytest.mark.parametrize("entry", gallery.GALLERY, ids=NAMES)


def test_the_page_is_current():
    assert gallery.PAGE.read_text(encoding="utf-8") == gallery.page(), "python -m tests.gallery --text writes it anew"


def test_each_picture_of_the_package_hangs_in_it_once():
    drawn = set(plot.__all__) - {"Picture", "Movie", "movie", "save", "forward_animation"}  # films do not hang
    assert sorted(NAMES) == sorted(drawn)


@each_entry
def test_each_picture_is_there_small_and_named_by_the_page(entry):
    path = gallery.FOLDER / f"{entry.name}.png"
    assert path.stat().st_size < gallery.MOST
    with Image.open(path) as image:
        assert image.size[0] == plot.style.WIDTH * gallery.DPI
        assert image.mode == "P"
    assert f"](pictures/{path.name})" in gallery.page()
    assert f"= plot.{entry.name}(" in entry.code


@each_entry
def test_each_text_cites_identities_that_there_are(entry):
    cited = set(re.findall(r"`([a-z]+\.[a-z_0-9]+)`", entry.text))
    assert cited
    assert cited <= set(CATALOGUE)


@each_entry
def test_the_code_of_the_page_is_python(entry):
    compile(f"{gallery.SETUP}\n{entry.code}", entry.name, "exec")
    assert max(map(len, entry.code.splitlines())) <= 120


@pytest.mark.parametrize("name", ["posterior_product", "tweedie", "ancestral_vs_langevin", "chain_limit"])
def test_the_code_of_the_page_draws_the_picture(name, tmp_path):
    entry = gallery.GALLERY[NAMES.index(name)]
    figure = gallery.draw(entry)
    assert isinstance(figure, Figure)
    gallery.keep(figure, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as new, Image.open(gallery.FOLDER / f"{name}.png") as kept:
        assert new.size == kept.size


def test_an_unknown_picture_is_refused_before_anything_is_drawn(monkeypatch):
    monkeypatch.setattr("sys.argv", ["gallery", "tweedie", "twedie"])
    monkeypatch.setattr(gallery, "draw", None)
    with pytest.raises(SystemExit, match="no picture twedie; there are forward_figure"):
        gallery.main()
