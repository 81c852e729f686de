"""`refdiff learn`: whatever stands in a learner's files is answered, the rest is judged, and no progress is lost."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from refdiff import cli, learn
from refdiff.cli import main
from refdiff.cli.learn import saved
from refdiff.learn.exercises import EXERCISES, exercises
from tests.learn.folders import fill, of_a_learner, of_a_mistake, replaced

REFDIFF = [sys.executable, "-m", "refdiff"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    learn.start(tmp_path / "ex")
    return tmp_path / "ex"


def write(folder, chapter, **bodies):
    """Write bodies of functions into a file of blanks."""
    path = folder / f"{chapter}.py"
    text = path.read_text()
    for function, body in bodies.items():
        text = replaced(text, function, f"{body}\n")
    path.write_text(text)
    return path


def right(folder, chapter, *functions):
    """Write what is right."""
    known = {one.function: one for one in EXERCISES if one.chapter == chapter}
    write(folder, chapter, **{name: of_a_learner(known[name]) for name in functions})


def checked(capsys, *arguments, code=None):
    """Return what check prints."""
    found = main(["learn", "check", *map(str, arguments)])
    out = capsys.readouterr().out
    assert code is None or found == code, out
    return out


def line_of(path, text):
    return next(k for k, line in enumerate(path.read_text().splitlines(), start=1) if text in line)


def test_after_the_path_the_next_exercise_is_named_with_the_file_that_holds_it(tmp_path, capsys):
    assert main(["learn", "start", str(tmp_path), "--path"]) == cli.HOLDS
    assert main(["learn", "start", str(tmp_path)]) == cli.HOLDS
    said = capsys.readouterr().out
    assert f"write log_density in {tmp_path / 'gaussian_more.py'}" in " ".join(said.split())


def test_start_writes_a_file_for_each_chapter_with_equation_and_blank(tmp_path, capsys):
    assert main(["learn", "start", str(tmp_path / "ex")]) == cli.HOLDS
    assert "45 exercises. The next one is gaussian.log_density" in capsys.readouterr().out
    text = (tmp_path / "ex" / "bayes.py").read_text()
    assert "# 15  bayes.posterior_mean  (docs/derivation/posterior.md)\n# 16  bayes.posterior_var" in text
    assert "def posterior(schedule, x_0, x_t, t):\n" in text
    assert r".. math:: q(x_{t-1} \mid x_t, x_0) = \mathcal{N}" in text
    assert "Parameters\n    ----------" in text
    assert "Notes" not in text
    assert ">>>" not in text
    for path in (tmp_path / "ex").glob("*.py"):
        compile(path.read_text(), path.name, "exec")
        assert max(map(len, path.read_text().splitlines())) <= 120


def test_start_leaves_what_is_there_and_writes_what_is_missing(folder, capsys):
    (folder / "bayes.py").write_text("mine = 1\n")
    (folder / "gaussian.py").unlink()
    assert main(["learn", "start", str(folder)]) == cli.HOLDS
    out = capsys.readouterr().out
    assert "Written to" in out
    assert "gaussian.py, bayes_more.py" in out
    assert "left as they are: schedule.py" in out
    assert (folder / "bayes.py").read_text() == "mine = 1\n"
    assert "def posterior(" in (folder / "bayes_more.py").read_text()
    assert main(["learn", "start", str(folder)]) == cli.HOLDS
    assert "Written" not in capsys.readouterr().out


def test_the_path_has_ten_and_may_be_followed_by_all(tmp_path, capsys):
    there = tmp_path / "ex"
    assert main(["learn", "start", str(there), "--path"]) == cli.HOLDS
    assert "10 exercises." in capsys.readouterr().out
    names = {one.function for one in exercises(path=True)}
    assert set(re.findall(r"^def (\w+)", "".join(p.read_text() for p in there.glob("*.py")), re.MULTILINE)) == names
    assert "0 of 10 solved; next: gaussian.kl" in checked(capsys, there, code=cli.REFUTED)
    main(["learn", "list", str(there)])
    assert len(re.findall(r"^·", capsys.readouterr().out, re.MULTILINE)) == 10
    right(there, "gaussian", "kl")
    checked(capsys, there)
    main(["learn", "start", str(there)])  # what is written is kept, and the others come beside it
    capsys.readouterr()
    assert "1 of 45 solved; next: gaussian.log_density" in checked(capsys, there)
    assert "def entropy" in (there / "gaussian_more.py").read_text()
    out = checked(capsys, there, "--path")
    assert "1 of 10 solved; next: schedule.alpha_bar" in out
    main(["learn", "start", str(there), "--path"])
    assert "1 of 45 solved" in checked(capsys, there)
    assert "entropy" not in checked(capsys, there, "gaussian", "--path", code=cli.HOLDS)


def test_a_folder_of_blanks_is_unwritten_and_nothing_is_refuted(folder, capsys):
    out = checked(capsys, code=cli.REFUTED)
    assert out == "· 45 are not written yet.\n\n[........................] 0 of 45 solved; next: gaussian.log_density\n"


def test_the_first_failure_has_a_counter_example_and_the_others_a_line(folder, capsys):
    right(folder, "schedule", "alpha_bar")
    write(folder, "bayes", posterior="t = schedule.index(t, x_t)\nreturn x_0 + 0 * x_t, schedule.beta[t]")
    out = checked(capsys, code=cli.REFUTED)
    assert re.search(r"^✓ +6 schedule\.alpha_bar$", out, re.MULTILINE)
    first = out[out.index("✗") :].splitlines()
    place = f"bayes.py:{line_of(folder / 'bayes.py', 'def posterior(')}"
    assert first[0] == f"✗ 15 bayes.posterior_mean: {place} posterior is refuted."
    assert first[1].startswith("     beta = (0.36, 0.75), alpha_bar = (0.64, 0.16), t = ")
    assert re.fullmatch(r"     E\[x_\{t-1\} \| x_t, x_0\]: claimed \S+, in truth \S+", first[2])
    assert first[3] == f"✗ 16 bayes.posterior_var: {place} posterior is refuted."
    assert first[4] == "· 42 are not written yet."
    assert first[-1].endswith("1 of 45 solved; next: gaussian.log_density")


def test_all_that_are_judged_hold(folder, capsys):
    right(folder, "schedule", "alpha_bar")
    assert checked(capsys, "schedule.alpha_bar", code=cli.HOLDS).startswith("✓  6 schedule.alpha_bar\n")
    assert "✓" in checked(capsys, folder, 6, code=cli.HOLDS)
    assert "✓" in checked(capsys, "alpha.bar", code=cli.HOLDS)
    assert "· 4 are not written yet" not in checked(capsys, folder / "schedule.py", code=cli.REFUTED)


BROKEN = {  # a function, what is written into it, and what is said of it; each file has one that is right, too
    "bayes.posterior_mean": ("return x_t / undefined", "{line} raised NameError: name 'undefined' is not defined"),
    "bayes.posterior_from_eps": ("x_t + 1", "{def} returned None: is a `return` missing?"),
    "forward.marginal": ("return x_0[..., :1] * 0, 1.0", "{def} marginal is refuted"),
    "forward.jump": ("return 'mean'", "{def} jump is refuted"),
    "gaussian.kl": ("import sys\nsys.exit(3)", "{line} raised SystemExit: 3"),
    "gaussian.product": ("import os\nos._exit(3)", "{def} ended the process that judged it"),
    "gaussian.entropy": ("return entropy(law)", "{line} raised RecursionError: maximum recursion depth exceeded"),
    "parameterize.x_0_from_eps": ("return (x_t", "{line} does not parse: SyntaxError: '(' was never closed"),
    "reverse.sample": (
        'return """x_T',
        "{line} does not parse: SyntaxError: unterminated triple-quoted string literal",
    ),
    "elbo.weight": ("if t:\nreturn 3", "{line} does not parse: IndentationError: expected an indented block"),
    "elbo.prior_term": ("return x_0 x_0", "{line} does not parse: SyntaxError: invalid syntax"),
    "score.langevin_transition": ("return input()", "{line} raised EOFError: EOF when reading a line"),
    "network.silu": ("return x, lambda dy: dy + nothing", "{line} raised NameError: name 'nothing' is not defined"),
    "likelihood.log_weight": (
        "if chain is not None:\n    raise NotImplementedError",
        "{line} raised NotImplementedError",
    ),
    "continuous.reverse_drift": ("return x[..., :1]", "{def} reverse_drift is refuted"),
    "mixture.score": ("return x + np.ones(17)", "{line} raised ValueError: operands could not be broadcast"),
}
RIGHT = {
    **{"bayes": "smoothing", "forward": "transition", "gaussian": "log_density", "parameterize": "v_from_eps"},
    **{"reverse": "transition", "elbo": "denoising_term", "score": "mala_log_acceptance", "network": "linear"},
    **{"mixture": "log_density", "guidance": "classifier_free"},
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A folder of files with broken functions in them, and what check prints of it."""
    folder = tmp_path_factory.mktemp("broken")
    learn.start(folder)
    for chapter, function in RIGHT.items():
        right(folder, chapter, function)
    known = {one.name: one for one in EXERCISES}
    for name, (body, _) in BROKEN.items():
        write(folder, known[name].chapter, **{known[name].function: body})
    done = subprocess.run([*REFDIFF, "learn", "check", folder], capture_output=True, text=True)
    assert done.returncode == cli.REFUTED
    assert done.stderr == ""
    return folder, done.stdout


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_function_is_answered_in_a_sentence_with_its_line(name, broken):
    folder, out = broken
    body, says = BROKEN[name]
    one = next(one for one in EXERCISES if one.name == name)
    path = folder / f"{one.chapter}.py"
    begins = line_of(path, f"def {one.function}(")
    lines = path.read_text().splitlines()
    last = next(k for k in range(begins, len(lines)) if lines[k] == f"    {body.splitlines()[-1]}") + 1
    says = says.replace("{line}", f"{path.name}:{last}").replace("{def}", f"{path.name}:{begins}")
    found = re.search(rf"^✗ +{one.number} {re.escape(name)}: (.*)$", out, re.MULTILINE)
    assert found, out
    assert found[1].startswith(says)
    assert found[1].endswith(".")


def test_the_others_are_judged_and_no_progress_is_lost(broken):
    folder, out = broken
    solved = {one.name for one in EXERCISES if RIGHT.get(one.chapter) == one.function}
    assert set(re.findall(r"^✓ +\d+ (\S+)$", out, re.MULTILINE)) == solved
    assert set(json.loads((folder / "progress.json").read_text())["solved"]) == solved
    assert f"{len(solved)} of 45 solved" in out
    assert "!" not in out  # nothing is wrong with the files but what is said of functions


def test_what_does_not_end_is_ended_and_the_others_are_judged(folder, capsys):
    deaf = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
    right(folder, "gaussian", "kl", "entropy")
    right(folder, "bayes", "smoothing")
    path = write(folder, "gaussian", log_density="while True:\n    pass", product=deaf)
    with open(path, "a") as file:
        file.write("\n\nwhile True:\n    law = 1\n")
    out = checked(capsys, folder, "--time-limit", "1", code=cli.REFUTED)
    looping = rf"gaussian\.py:({line_of(path, 'while True')}|{line_of(path, 'while True') + 1})"
    assert re.search(rf"^✗  1 gaussian\.log_density: {looping} did not return within 1 s\.$", out, re.MULTILINE), out
    place = line_of(path, "def product(")
    assert f"✗  4 gaussian.product: gaussian.py:{place} did not come to an end.\n" in out
    last = len(path.read_text().splitlines())
    assert re.search(rf"^! gaussian\.py:({last}|{last - 1}) did not come to an end\. ", out, re.MULTILINE)
    for name in (" 2 gaussian.entropy", " 3 gaussian.kl", "18 bayes.smoothing"):
        assert f"✓ {name}\n" in out
    assert "3 of 45 solved" in out


TOP = {  # what stands above the functions of a file, and what is said of it
    "bayes": ("import torch_of_tomorrow", "raised ModuleNotFoundError: No module named 'torch_of_tomorrow'"),
    "gaussian": ("1 / 0", "raised ZeroDivisionError: division by zero"),
    "forward": ("import sys; sys.exit()", "raised SystemExit"),
    "mixture": ("import os; os._exit(1)", "ended the process that judged it, and was left out"),
    "reverse": ("print('x' * 100000)\nthis was not Python", "does not parse: SyntaxError: invalid syntax"),
    "network": ("return 1", "does not parse: SyntaxError: 'return' outside function"),
    "elbo": ("import numpy, refdiff; numpy.sqrt = refdiff.Schedule = None", ""),  # which is nothing to other files
}
CONTENT = {  # of whole files
    "schedule": (b"def alpha_bar(): \n\xff", "schedule.py:2 is not UTF-8 text"),
    "parameterize": (b"v_from_eps = 3\n", "parameterize.py has v_from_eps as int, not a function"),
    "score": (b"", "score.py has no function langevin_transition; `refdiff learn start` writes what is missing"),
    "guidance": (b"\xef\xbb\xbfdef classifier_free():\r\n\treturn 1\r\n", "guidance.py:1 raised TypeError: "),
    "continuous": (b"(" * 5000 + b"\x00", "continuous.py has no function reverse_drift"),
    "likelihood": (None, "likelihood.py cannot be read: Is a directory"),
}


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """A folder of files with strange statements and content, and what check prints of it."""
    folder = tmp_path_factory.mktemp("strange")
    learn.start(folder)
    for chapter, (top, _) in TOP.items():
        path = folder / f"{chapter}.py"
        path.write_text(path.read_text().replace("import numpy as np\n", f"import numpy as np\n{top}\n", 1))
        right(folder, chapter, RIGHT[chapter])
    for chapter, (content, _) in CONTENT.items():
        path = folder / f"{chapter}.py"
        if content is None:
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes(content)
    done = subprocess.run([*REFDIFF, "learn", "check", folder], capture_output=True, text=True)
    assert done.returncode == cli.REFUTED
    assert done.stderr == ""
    return folder, done.stdout


@pytest.mark.parametrize("chapter", TOP)
def test_a_statement_that_fails_does_not_stop_the_functions_below_it(chapter, strange):
    folder, out = strange
    top, says = TOP[chapter]
    line = line_of(folder / f"{chapter}.py", top.splitlines()[-1])
    assert not says or f"! {chapter}.py:{line} {says}. The rest of the file is judged without it.\n" in out
    for one in EXERCISES:
        if (one.chapter, one.function) == (chapter, RIGHT[chapter]) and chapter != "elbo":
            assert re.search(rf"^✓ +{one.number} {re.escape(one.name)}$", out, re.MULTILINE), out


@pytest.mark.parametrize("chapter", CONTENT)
def test_a_file_of_any_content_is_answered(chapter, strange):
    _, says = CONTENT[chapter]
    found = re.findall(rf"^[✗·] +\d+ {chapter}\.\S+: (.*)$", strange[1], re.MULTILINE)
    assert any(one.startswith(says) for one in found), strange[1]


def test_of_two_functions_of_a_name_the_last_one_counts(folder, capsys):
    path = folder / "guidance.py"
    right(folder, "guidance", "classifier_free")
    good = path.read_text()
    path.write_text(f"def classifier_free(:\n    pass\n{good}")
    assert "✓ 41 guidance.classifier_free" in checked(capsys)
    path.write_text(f"{good}\n\ndef classifier_free(*args, **more) -> 1 / 0:\n    return 1\n")
    out = checked(capsys)
    assert re.search(r"✗ 41 guidance\.classifier_free: guidance\.py:\d+ raised ZeroDivisionError", out)


def test_a_file_that_is_missing_is_unwritten(folder, capsys):
    (folder / "bayes.py").unlink()
    out = checked(capsys, "bayes.posterior_var", code=cli.REFUTED)
    assert "· 16 bayes.posterior_var: bayes.py is not there; `refdiff learn start` writes what is missing.\n" in out


def test_what_a_function_prints_is_shown_where_it_is_the_first_that_fails(folder, capsys):
    write(
        folder,
        "gaussian",
        kl="for k in range(30):\n    print('q.var is', q.var.shape)\nreturn 0 * q.var[..., 0]",
        entropy="print('no')",
    )
    right(folder, "gaussian", "log_density")
    out = checked(capsys, "gaussian.kl", code=cli.REFUTED)
    assert "     It prints:\n     | q.var is (" in out
    assert re.search(r"^     \| … and \d+ lines more$", out, re.MULTILINE)
    assert "| no\n" in checked(capsys)


def test_a_file_may_use_its_neighbours_and_hides_nothing(folder, capsys):
    right(folder, "gaussian", "kl")
    (folder / "json.py").write_text("1 / 0\n")
    (folder / "numpy.py").write_text("1 / 0\n")
    write(
        folder,
        "elbo",
        denoising_term="from gaussian import kl\nfrom refdiff import bayes, reverse\n"
        "return kl(bayes.posterior(schedule, x_0, x_t, t), reverse.transition(schedule, denoiser, x_t, t, variance))",
    )
    assert "✓ 31 elbo.denoising_term" in checked(capsys)


def test_what_was_solved_and_is_broken_now_is_said_so_and_stays_solved(folder, capsys):
    path = folder / "gaussian.py"
    blank = path.read_text()
    right(folder, "gaussian", "kl")
    assert "1 of 45 solved; next: gaussian.log_density" in checked(capsys)
    for text in (path.read_text().replace("return np.sum(r", "return np.sum(2 * r"), "(", blank):
        path.write_text(text)
        out = checked(capsys, code=cli.REFUTED)
        assert re.search(r"^[✗·]  3 gaussian\.kl: gaussian\.py.* \(it was solved before\)\.$", out, re.MULTILINE), out
        assert "1 of 45 solved (1 of them no longer); next: gaussian.log_density" in out
    main(["learn", "list"])
    assert re.search(r"^✗  3\* gaussian\.kl ", capsys.readouterr().out, re.MULTILINE)


def test_progress_that_cannot_be_read_is_put_aside(folder, capsys):
    right(folder, "gaussian", "kl")
    checked(capsys)
    assert json.loads((folder / "progress.json").read_text())["solved"] == ["gaussian.kl"]
    (folder / "progress.json").write_text('{"solved": [')
    assert main(["learn", "check"]) == cli.REFUTED
    out, err = capsys.readouterr()
    assert "progress.json could not be read. It is kept as progress-unreadable.json" in err
    assert (folder / "progress-unreadable.json").read_text() == '{"solved": ['
    assert "1 of 45 solved" in out


def test_hints_grow_by_one_each_time_and_end(folder, capsys):
    one = EXERCISES[0]
    for number in range(1, len(one.all_hints) + 2):
        hints = re.findall(r"^  hint (\d) of 4: (.*)$", checked(capsys, "--hint"), re.MULTILINE)
        assert [text for _, text in hints] == list(one.all_hints[:number])
    assert "refdiff learn solution gaussian.log_density" in hints[-1][1]
    assert "hint 1 of 4" in checked(capsys, "gaussian.kl", "--hint")
    write(folder, "bayes", posterior="return 1")
    assert "bayes.posterior_mean, posterior in bayes.py:\n  hint 1 of" in checked(capsys, "--hint")
    right(folder, "gaussian", "kl")
    assert "No hint: there is nothing to solve." in checked(capsys, "gaussian.kl", "--hint", code=cli.HOLDS)


def test_solution_shows_refdiffs_own(capsys):
    assert main(["learn", "solution", "bayes.posterior_var"]) == cli.HOLDS
    assert capsys.readouterr().out.startswith("def posterior(schedule, x_0, x_t, t):\n")
    assert main(["learn", "solution", "43"]) == cli.HOLDS
    assert "def pullback(dy):" in capsys.readouterr().out
    assert main(["learn", "solution", "gaussian.bits"]) == cli.HOLDS  # no exercise, but an identity
    assert capsys.readouterr().out.startswith("def bits(nats):")


def test_list_names_all_exercises_also_where_there_are_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["learn", "list"]) == cli.HOLDS
    out = capsys.readouterr().out
    for one in EXERCISES:
        assert f" {one.name} " in out
    assert main(["learn", "list", "--path"]) == cli.HOLDS
    assert len(re.findall(r"^ +\d+\*", capsys.readouterr().out, re.MULTILINE)) == 10


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check"], "there are no exercises here. `refdiff learn start my-exercises` writes them."),
        (["check", "./nowhere"], "there is no folder nowhere. `refdiff learn start nowhere` makes it."),
        (["check", "."], ". has no exercises. `refdiff learn start .` writes them."),
        (["watch"], "there are no exercises here."),
        (["solution", "posterior.meen"], "Did you mean bayes.posterior_mean"),
        (["solution", "gaussian"], "gaussian has 5 exercises: gaussian.log_density,"),
        (["start", "file"], "file"),
    ],
)
def test_what_cannot_be_meant_is_a_question_of_usage(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main(["learn", *arguments]) == cli.USAGE
    assert says in capsys.readouterr().err


def test_a_key_that_is_none_is_refused_with_what_is_near(folder, capsys):
    assert main(["learn", "check", "bayes.posterior_men"]) == cli.USAGE
    assert "no exercise is called 'bayes.posterior_men'. Did you mean bayes.posterior_mean" in capsys.readouterr().err
    assert main(["learn", "check", "--time-limit", "0"]) == cli.USAGE
    assert "--time-limit must be a positive number of seconds; got 0.0." in capsys.readouterr().err


def test_of_two_folders_one_must_be_named(folder, capsys):
    learn.start(folder.parent / "other")
    assert main(["learn", "check"]) == cli.USAGE
    assert "exercises lie in ex and in other; say which" in capsys.readouterr().err


def test_on_a_terminal_without_marks_there_are_plain_ones(folder):
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [*REFDIFF, "learn", "check", "gaussian.kl"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == cli.REFUTED
    assert re.match(r"\.  3 gaussian\.kl: gaussian\.py:\d+ kl is not written yet\.\n", done.stdout)


def test_files_that_change_are_found_whatever_becomes_of_them(folder):
    looks = saved(folder, EXERCISES, pause=0.01)
    path = folder / "bayes.py"
    path.write_text("a = 1\n")
    stamp = path.stat().st_mtime_ns

    def later():
        os.utime(path, ns=(stamp + 10**9, stamp + 10**9))
        return True

    import threading

    timer = threading.Timer(0.1, later)
    timer.start()
    assert next(looks) == {"bayes.py"}
    path.unlink()
    timer = threading.Timer(0.1, lambda: path.write_text("b = 12\n"))
    timer.start()
    assert next(looks) == {"bayes.py"}


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be sent Ctrl-C alone")
def test_watch_judges_a_file_when_it_is_saved_and_ctrl_c_ends_it(folder):
    command = [*REFDIFF, "learn", "watch"]
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until(child, "Ctrl-C ends.")
        right(folder, "gaussian", "kl")
        said = until(child, "of 45 solved")
        assert "✓  3 gaussian.kl\n" in said
        assert "bayes" not in said  # only the file that was saved
        write(folder, "gaussian", entropy="return 1")
        assert "✗  2 gaussian.entropy: gaussian.py:" in until(child, "of 45 solved")
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == cli.INTERRUPTED
        assert child.stderr.read() == "refdiff: interrupted\n"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()


def until(child, text):
    """Return what a process prints up to a line with some text."""
    said = ""
    for line in child.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(said)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_ctrl_c_leaves_no_process_behind(folder):
    marker = folder / "running"
    write(folder, "gaussian", kl=f"import os\nopen({str(marker)!r}, 'w').write(str(os.getpid()))\nwhile True: pass")
    command = [*REFDIFF, "learn", "check", "--time-limit", "60"]
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(600):
            if marker.exists() and marker.read_text():
                break
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == cli.INTERRUPTED
        judging = int(marker.read_text())
        for _ in range(100):
            if not alive(judging):
                return
            time.sleep(0.05)
        raise AssertionError("it still runs")
    finally:
        child.kill()
        child.wait()
        child.stderr.close()


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_where_a_process_cannot_be_copied_each_file_has_one_of_its_own(folder, capsys, monkeypatch):
    from refdiff.learn import examination

    monkeypatch.setattr(examination, "TOGETHER", False)
    right(folder, "gaussian", "kl")
    write(folder, "bayes", posterior="import os\nos._exit(1)")
    right(folder, "bayes", "smoothing")
    out = checked(capsys)
    assert "✓  3 gaussian.kl\n" in out
    assert "✓ 18 bayes.smoothing\n" in out
    assert "✗ 16 bayes.posterior_var: bayes.py" in out


def test_a_folder_of_mistakes_is_refuted_in_at_most_three_lines_for_the_first(folder, capsys):
    for path in folder.glob("*.py"):
        path.unlink()
    fill(folder, of_a_mistake, {"gaussian"})
    out = checked(capsys, "gaussian", code=cli.REFUTED)
    assert len(re.findall(r"^✗ ", out, re.MULTILINE)) == 5
    assert len(re.findall(r"^     ", out, re.MULTILINE)) == 2


def test_whoever_has_the_ten_is_told_of_the_others(tmp_path, capsys):
    learn.start(tmp_path, path=True)
    main(["learn", "start", str(tmp_path), "--path"])
    for one in exercises(path=True):
        if one.name != "bayes.posterior_var":  # of the same function as the one before it
            right(tmp_path, one.chapter, one.function)
    out = checked(capsys, tmp_path, code=cli.HOLDS)
    assert "[########################] 10 of 10 solved: all of them\n" in out
    assert f"There are 35 more: `refdiff learn start {tmp_path}`.\n" in out


def test_the_page_about_exercises_shows_what_check_prints(folder, capsys):
    page = (Path(__file__).parent.parent / "docs" / "exercises.md").read_text(encoding="utf-8")
    (body,), (printed,) = (re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("python", "text"))
    write(folder, "bayes", posterior=body.rstrip())
    assert checked(capsys, "bayes", "--hint", code=cli.REFUTED) == printed
