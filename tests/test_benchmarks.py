"""The benchmarks' arithmetic and their page: what is measured needs torch, what is made of it does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from refdiff import toys
from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks import measure, page, record
from tests.benchmarks.rows import ROWS, Missing, Row, add, chosen, if_there, public

DOCS = Path(__file__).parents[1] / "docs"
SOURCES = [DOCS / "benchmarks" / f"{name}.json" for name in ("speed", "quality")]
RUNS = [record.read(path) for path in SOURCES if path.exists()]
RESULTS = [result for run in RUNS for result in run["rows"]]


def made_up(name="training-A-1024", **fields):
    """Return a result: three rounds in which the peer takes 6 s, 9 s, 12 s, ours half, the limit a third of it."""
    times = {"ours": [3.0, 4.5, 6.0], "peer": [6.0, 9.0, 12.0], "limit": [2.0, 3.0, 4.0]}
    about = {"name": name, "work": "a step", "peer": "torch", "limit": "products", "target": {"ratio": 2, "share": 0.7}}
    return about | {"times": times} | fields


def run_of(*results):
    return {"format": record.FORMAT, "command": "python", "measured": "today", "machine": {"processor": "P"}} | {
        "rounds": 3,
        "rows": list(results),
    }


# -------------------------------------------------------------------------------------------------- what is measured


def test_ratio_share_and_limit_ratio_are_medians_of_the_ratios_within_a_round():
    found = page.measures(made_up(times={"ours": [1, 1, 1], "peer": [2, 4, 100], "limit": [0.5, 0.8, 0.1]}))
    assert found["ratio"] == (4, 2, 100)
    assert found["share"] == (0.5, 0.1, 0.8)
    assert found["limit ratio"] == (5, 4, 1000)


def test_a_ratio_is_to_be_reached_from_below_and_an_error_from_above():
    assert page.met("ratio", 2, 2)
    assert not page.met("ratio", 1.9, 2)
    assert page.met("error", 1e-6, 1e-6)
    assert not page.met("error", 2e-6, 1e-6)


def test_an_error_is_judged_by_the_worst_and_a_quality_by_the_median():
    found = page.measures(made_up(times={}, values={"error": [1, 5, 2], "energy": [1, 5, 2]}))
    assert found["error"][0] == 5
    assert found["energy"][0] == 2


def test_seconds_more_than_the_peer_are_a_difference_within_a_round():
    result = made_up(target={"difference": 0.5}, times={"ours": [1.0, 2.0], "peer": [0.5, 1.0]})
    assert page.measures(result) == {"difference": (0.75, 0.5, 1.0)}


@pytest.mark.parametrize(
    ("target", "verdict"), [(1.5, "met"), (2, "met"), (2.5, "missed"), (3.5, "missed, above the limit ratio")]
)
def test_a_target_is_met_missed_or_above_what_the_limit_allows(target, verdict):
    result = made_up(target={"ratio": target})
    assert page.verdict("ratio", page.measures(result), target) == verdict


def test_contestants_take_turns():
    turns = []

    def contestant(name):
        def run(n):
            turns.append(name)

        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "LEAST", 0)
        times, busy = measure.rounds({name: contestant(name) for name in ("ours", "peer", "limit")}, 3)
    assert turns[-9:] == ["ours", "peer", "limit"] * 3
    assert {len(each) for each in times.values()} == {3}
    assert 0 <= busy <= 1


def test_times_are_those_of_one_unit_of_the_work():
    row = Row("x", "x", contestants=lambda: {"ours": lambda n: None, "peer": lambda n: None}, per=10**9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "LEAST", 0)
        assert max(measure.result(row, 2)["times"]["ours"]) < 1e-6


def test_what_is_missing_is_said_and_the_others_are_measured():
    row = Row("x", "x", contestants=lambda: {"ours": if_there(lambda: public("reverse.nothing")), "peer": len_of_range})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "LEAST", 0)
        result = measure.result(row, 2)
    assert result["skipped"] == "ours: there is no reverse.nothing"
    assert list(result["times"]) == ["peer"]


def len_of_range(n):
    return len(range(n))


def test_a_row_that_fails_says_so_and_loses_no_other():
    row = Row("x", "x", values=lambda rounds: 1 / 0)
    assert measure.result(row, 1)["failed"] == "ZeroDivisionError: division by zero"


def test_a_public_function_is_asked_for_by_name_and_parameters():
    assert public("reverse.sample", "variance").__name__ == "sample"
    with pytest.raises(Missing, match=r"reverse\.sample takes no wings, tail"):
        public("reverse.sample", "n", "wings", "tail")


# ------------------------------------------------------------------------------------------------------- the page


def test_the_page_shows_values_targets_and_limits():
    text = page.page([run_of(made_up(target={"ratio": 3.5, "share": 0.6}))], ["x.json"])
    assert (
        "| a step | 4.50 s | 9.00 s | 3.00 s | 2.00 | 3.5: missed, above the limit ratio | 0.67 | 0.6: met | 3.00 |"
    ) in text
    assert "Of 2 targets, 1 are met." in text
    assert "times as fast as the peer 2.00, asked 3.5. The limit alone is 3.00 times as fast as the peer" in text


def test_a_reason_is_shown_only_where_the_target_is_missed():
    name = "training-A-made-up"
    add(name, "a step", why={"share": "Because of the moon."})
    try:
        for target, shown in ((0.6, False), (0.7, True)):
            text = page.page([run_of(made_up(name, target={"share": target}))], ["x.json"])
            assert ("Because of the moon." in text) == shown
    finally:
        del ROWS[name]


def test_what_others_did_to_the_numbers_is_said():
    assert "**Other processes were running** in up to 25%" in page.page([run_of(made_up(busy=0.25))], ["x.json"])
    assert "Other processes" not in page.page([run_of(made_up(busy=0.05))], ["x.json"])


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0, "0.00"),
        (0.0521, "0.05"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (123.4, "123"),
        (1234, "1234"),
        (3e-7, "3.0e-07"),
    ],
)
def test_numbers_have_three_digits_or_two_decimals(x, text):
    assert page.number(x) == text


@pytest.mark.parametrize(("seconds", "text"), [(2, "2.00 s"), (0.0123, "12.3 ms"), (1.5e-5, "15.0 µs")])
def test_durations_have_a_unit_that_is_readable(seconds, text):
    assert page.duration(seconds) == text


def test_a_run_comes_back_from_its_file_and_gives_the_same_page(tmp_path):
    run, file, about = run_of(made_up()), str(tmp_path / "new" / "run.json"), str(tmp_path / "page.md")
    record.keep(run, file, about)
    assert record.read(file) == run
    assert Path(about).read_text(encoding="utf-8") == page.page([run], [file], about)


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"rows": []}))
    with pytest.raises(SystemExit, match="not of the format"):
        record.read(path)


def test_settings_of_blas_are_unset_by_starting_anew():
    code = "import os; from tests.benchmarks import machine as m; m.renew(); print({*m.UNSET} & os.environ.keys())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"OPENBLAS_CORETYPE": "Haswell"},
        cwd=DOCS.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "OPENBLAS_CORETYPE=Haswell: unset for this command, which starts anew.\nset()\n"


def test_names_choose_rows_by_how_they_begin():
    assert [row.name for row in chosen(["training-A-1"])] == ["training-A-128", "training-A-1024"]
    with pytest.raises(SystemExit, match="no benchmark begins with trainning"):
        chosen(["trainning"])
    assert not [row.name for row in chosen([]) if row.name.startswith("quality")]  # these have a command of their own


def test_the_rows_are_those_that_were_asked_for():
    assert len([name for name in ROWS if name.startswith("training-")]) == 8
    assert {name for name in ROWS if name.startswith("quality-")} == {f"quality-{name}" for name in toys.NAMES}
    assert all(set(row.target) <= set(page.NAMES) and set(row.why) <= set(row.target) for row in ROWS.values())
    assert all(row.name.partition("-")[0] in page.GROUPS for row in ROWS.values())
    assert benchmarks.main


def test_the_page_is_what_its_json_gives():
    named = [str(path.relative_to(DOCS.parent)) for path in SOURCES]
    current = page.page(RUNS, named)
    assert (DOCS / "benchmarks.md").read_text(encoding="utf-8") == current, (
        f"python -m tests.benchmarks --from {' '.join(named)} --markdown docs/benchmarks.md writes it anew"
    )


def test_the_json_holds_each_row_with_its_target_of_today():
    assert {result["name"]: result["target"] for result in RESULTS} == {name: row.target for name, row in ROWS.items()}


def test_nothing_in_the_json_failed():
    assert [result["name"] for result in RESULTS if "failed" in result] == []
