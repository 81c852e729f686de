"""`refdiff learn`: whatever stands in a learner's files is answered, the rest is judged, and no progress is lost."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from refdiff import cli, learn
from refdiff.cli import main
from refdiff.cli.learn import saved
from refdiff.learn.exercises import EXERCISES, exercises
from tests.learn.folders import fill, of_a_learner, of_a_mistake, replaced


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


BROKEN = {  # body or file, and what is said
    "raise": ("return x_t / undefined", r"bayes\.py:{line} raised NameError: name 'undefined' is not defined"),
    "nothing": ("x_t + 1", r"bayes\.py:\d+ returned None: is a `return` missing\?"),
    "shape": ("return x_0[..., :1] * 0, 1.0", r"bayes\.py:\d+ posterior is refuted"),
    "text": ("return 'mean'", r"bayes\.py:\d+ posterior is refuted"),
    "exit": ("import sys\nsys.exit(3)", r"bayes\.py:\d+ raised SystemExit: 3"),
    "end": ("import os\nos._exit(3)", r"bayes\.py:\d+ ended the process that judged it"),
    "recursion": ("return posterior(schedule, x_0, x_t, t)", r"bayes\.py:{line} raised RecursionError: .*"),
    "input": ("return input()", r"bayes\.py:{line} raised (EOFError|UnsupportedOperation).*"),
    "abyss": ("return (x_0", r"bayes\.py:{line} does not parse: SyntaxError: '\(' was never closed"),
    "indent": ("if t:\nreturn 3", r"bayes\.py:\d+ does not parse: IndentationError: expected an indented block.*"),
    "string": ('return """x_0', r"bayes\.py:{line} does not parse: SyntaxError: unterminated triple-quoted .*"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_function_is_answered_in_a_sentence_and_the_others_are_judged(kind, folder, capsys):
    body, says = BROKEN[kind]
    right(folder, "bayes", "smoothing")
    path = write(folder, "bayes", posterior=body, posterior_from_eps="return 1, 1")
    right(folder, "gaussian", "kl")
    out = checked(capsys, code=cli.REFUTED)
    says = says.replace("{line}", str(line_of(path, body.splitlines()[-1])))
    for name in ("15 bayes.posterior_mean", "16 bayes.posterior_var"):
        assert re.search(rf"^✗ {re.escape(name)}: {says}\.$", out, re.MULTILINE), out
    assert "✗ 17 bayes.posterior_from_eps: bayes.py" in out
    assert "✓ 18 bayes.smoothing\n" in out
    assert "✓  3 gaussian.kl\n" in out
    assert "2 of 45 solved" in out


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


@pytest.mark.parametrize(
    ("top", "says"),
    [
        ("import torch_of_tomorrow", "raised ModuleNotFoundError: No module named 'torch_of_tomorrow'"),
        ("1 / 0", "raised ZeroDivisionError: division by zero"),
        ("import sys; sys.exit()", "raised SystemExit"),
        ("import os; os._exit(1)", "ended the process that judged it, and was left out"),
        ("print('x' * 100000)\nthis is not Python", "does not parse: SyntaxError: invalid syntax"),
    ],
)
def test_a_statement_that_fails_does_not_stop_the_functions_below_it(top, says, folder, capsys):
    right(folder, "gaussian", "kl", "entropy")
    path = folder / "gaussian.py"
    path.write_text(path.read_text().replace("import numpy as np\n", f"import numpy as np\n{top}\n"))
    out = checked(capsys, code=cli.REFUTED)
    line = line_of(path, top.splitlines()[-1])
    assert f"! gaussian.py:{line} {says}. The rest of the file is judged without it.\n" in out
    assert "✓  2 gaussian.entropy\n✓  3 gaussian.kl\n" in out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"def posterior(): \n\xff", r"bayes\.py:2 is not UTF-8 text"),
        (b"x = 1\n\x00", r"bayes\.py has no function posterior.*|bayes\.py:\d does not parse.*"),
        (b"posterior = 3\n", r"bayes\.py has posterior as int, not a function"),
        (b"", r"bayes\.py has no function posterior; `refdiff learn start` writes what is missing"),
        (b"def prior(): return 1\n", r"bayes\.py has no function posterior; .*"),
        (b"\xef\xbb\xbfdef posterior():\r\n\treturn 1\r\n", r"bayes\.py:1 raised TypeError: .*"),
        (b"(" * 500, r".*"),
    ],
)
def test_a_file_of_any_content_is_answered(content, says, folder, capsys):
    (folder / "bayes.py").write_bytes(content)
    right(folder, "gaussian", "kl")
    out = checked(capsys, code=cli.REFUTED)
    assert re.search(rf"^✗ 15 bayes\.posterior_mean: {says}\.$", out, re.MULTILINE), out
    assert "✓  3 gaussian.kl\n" in out


def test_a_directory_in_the_place_of_a_file_is_answered(folder, capsys):
    (folder / "bayes.py").unlink()
    (folder / "bayes.py").mkdir()
    right(folder, "gaussian", "kl")
    out = checked(capsys, code=cli.REFUTED)
    assert "✗ 15 bayes.posterior_mean: bayes.py cannot be read: Is a directory.\n" in out
    assert "✓  3 gaussian.kl\n" in out


def test_a_file_that_is_missing_is_unwritten(folder, capsys):
    (folder / "bayes.py").unlink()
    out = checked(capsys, "bayes.posterior_var", code=cli.REFUTED)
    assert "· 16 bayes.posterior_var: bayes.py is not there; `refdiff learn start` writes what is missing.\n" in out


def test_what_a_function_prints_is_shown_where_it_is_the_first_that_fails(folder, capsys):
    write(folder, "gaussian", kl="print('q.var is', q.var.shape)\nreturn 0 * q.var[..., 0]", entropy="print('no')")
    right(folder, "gaussian", "log_density")
    out = checked(capsys, "gaussian.kl", code=cli.REFUTED)
    assert "     It prints:\n     | q.var is (" in out
    assert re.search(r"^     \| … and \d+ lines more$", out, re.MULTILINE)
    assert "| no\n" in checked(capsys)


def test_a_file_may_not_spoil_the_judgement_of_another(folder, capsys):
    right(folder, "bayes", "smoothing")
    path = folder / "gaussian.py"
    path.write_text("import numpy\nimport refdiff\nnumpy.sqrt = refdiff.Schedule = None\n" + path.read_text())
    assert "✓ 18 bayes.smoothing" in checked(capsys)


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
    command = [sys.executable, "-m", "refdiff", "learn", "check", "gaussian.kl"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == cli.REFUTED
    assert done.stdout.startswith(".  3 gaussian.kl: gaussian.py is not written yet.\n")


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
    command = [sys.executable, "-m", "refdiff", "learn", "watch"]
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
    command = [sys.executable, "-m", "refdiff", "learn", "check", "--time-limit", "60"]
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
