"""Every public function is judged, and docstrings and catalogue name the same identities in both directions."""

import importlib
import inspect
import re

import pytest

import refdiff
from refdiff import verify


def public_functions():
    """Yield the dotted name and the object of each public function and method of the chapters."""
    for chapter in refdiff.CHAPTERS:
        module = importlib.import_module(f"refdiff.{chapter}")
        for name in module.__all__:
            found = getattr(module, name)
            if inspect.isfunction(found):
                yield f"{chapter}.{name}", found
                continue
            for method, static in vars(found).items():
                function = getattr(static, "fget", None) or getattr(static, "__func__", static)
                if not method.startswith("_") and inspect.isfunction(function) and inspect.getdoc(function):
                    yield f"{chapter}.{name}.{method}", function


FUNCTIONS = dict(public_functions())
PLAIN = re.compile(r"\.(mean|var|std|cov|T)$")  # properties that only give back what the constructor was given


def judged():
    return {name for identity in verify.CATALOGUE.values() for name in identity.judges}


def keys_named(function):
    return set(re.findall(r"``([a-z_]+\.[a-z_0-9]+)``", inspect.getdoc(function).partition("Identit")[2]))


def test_there_are_functions_to_judge():
    assert len(FUNCTIONS) > 50


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_is_judged_by_an_identity(name):
    if PLAIN.search(name) and name.split(".")[-2] in ("Gaussian", "FullGaussian", "Schedule"):
        return
    assert name in judged(), f"no identity judges {name}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_docstring_names_identities_that_exist_and_judge_the_function(name):
    for key in keys_named(FUNCTIONS[name]):
        assert key in verify.CATALOGUE, f"{name} names {key}, which is not in the catalogue"
        assert name in verify.CATALOGUE[key].judges, f"{key} does not judge {name}"


@pytest.mark.parametrize("key", verify.CATALOGUE)
def test_an_identity_is_named_by_the_docstrings_of_what_it_judges(key):
    for name in verify.CATALOGUE[key].judges:
        function = FUNCTIONS.get(name)
        if function is not None and not PLAIN.search(name):
            assert key in keys_named(function), f"the docstring of {name} does not name {key}"


@pytest.mark.parametrize("key", verify.CATALOGUE)
def test_an_identity_says_what_it_claims_and_where_that_was_published(key):
    identity = verify.CATALOGUE[key]
    assert identity.chapter in (*refdiff.CHAPTERS, "network")
    assert identity.states
    assert re.search(r"\d{4}|definition|convention", identity.source), f"{key}: no source"
    assert identity.why
    assert identity.judges


@pytest.mark.parametrize("key", verify.ERRATA)
def test_an_erratum_says_where_it_stands_what_it_claims_and_what_is_right(key):
    erratum = verify.ERRATA[key]
    assert erratum.source
    assert erratum.says
    assert erratum.correct
    assert erratum.says != erratum.correct
    assert erratum.rejected_by
    assert inspect.isfunction(erratum.wrong) or isinstance(erratum.wrong, classmethod | staticmethod | property)


def test_the_catalogue_is_as_large_as_promised():
    assert len(verify.CATALOGUE) >= 30
