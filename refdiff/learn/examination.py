r"""A learner's files, judged in processes of their own: what may happen there does not happen here.

A process that falls silent is ended, and another one goes on with the next exercise.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import refdiff
from refdiff.learn.exercises import exercises
from refdiff.learn.sheets import blanks, home

__all__ = ["Result", "examine"]

START = 120.0  # seconds that a process may take until it is ready, on a machine that has much else to do
OVER = ("over", None)
ENDED = "ended the process that judged it"
TOGETHER = hasattr(os, "fork") and sys.platform != "darwin"  # whether a process may give each file a copy of itself


@dataclass(frozen=True)
class Result:
    """What the judge says of one exercise.

    Attributes
    ----------
    name : str
    state : {"solved", "refuted", "broken", "unwritten"}
    place : str
        File and line.
    says : str
        What is wrong, as the rest of a sentence that begins with the place.
    given, numbers : str
        The case, and the two numbers, of a counter-example.
    prints : tuple of str
        The first lines that the function printed.
    more : int
        How many more there were.
    """

    name: str
    state: str
    place: str = ""
    says: str = ""
    given: str = ""
    numbers: str = ""
    prints: tuple = ()
    more: int = 0

    @property
    def solved(self):
        """Whether all its identities hold."""
        return self.state == "solved"


def examine(folder, some, time_limit=10.0, progress=None):
    """Judge exercises by the files of a folder.

    Parameters
    ----------
    folder : str or os.PathLike
    some : sequence of Exercise
    time_limit : float
        Seconds for one statement of a file, and for one piece of evidence.
    progress : callable, optional
        Called with each Result as it comes.

    Returns
    -------
    results : dict
        Name to Result, in the order of the exercises.
    notes : list of str
        What else went wrong in the files, in sentences.
    """
    hearing = Hearing(time_limit, progress or (lambda result: None))
    files, unwritten = {}, {}
    for one in some:
        path = home(Path(folder).resolve(), one)
        if not path.exists():
            says = "is not there; `refdiff learn start` writes what is missing"
            hearing.take(Result(one.name, "unwritten", path.name, says))
            continue
        if path not in unwritten:
            unwritten[path] = blanks(path)
        if one.function in unwritten[path]:
            hearing.take(Result(one.name, "unwritten", place_of(path, one.function), "is not written yet"))
        else:
            files.setdefault(path, []).append(one.name)
    jobs = [{"path": str(path), "skip": [], "exercises": names} for path, names in files.items()]
    while jobs:
        jobs = hearing.round(jobs) if TOGETHER else hearing.round(jobs[:1]) + jobs[1:]
    return {one.name: hearing.results[one.name] for one in some}, list(dict.fromkeys(hearing.notes))


class Hearing:
    """Starts processes, and listens to what they say.

    A job is a file, the exercises in it that are still to be judged, and the lines of statements to leave out.
    """

    def __init__(self, time_limit, progress):
        self.time_limit, self.progress = time_limit, progress
        self.results, self.notes = {}, []

    def take(self, result):
        """Note one result."""
        self.results[result.name] = result
        self.progress(result)

    def round(self, jobs):
        """Have one process judge some jobs, and return what it leaves to the next one: less than it got."""
        jobs, left, at, ready = list(jobs), [], None, False
        with process({"files": jobs, "time_limit": self.time_limit, "copies": TOGETHER}) as (lines, failed):
            while jobs:
                try:
                    said = lines.get(timeout=self._patience(ready, at))
                except queue.Empty:
                    said = {"silent": True}
                if not ready and "ready" not in said:
                    raise RuntimeError(f"no process that judges could be started.\n{failed()}".rstrip())
                ready = True
                if "silent" in said or "gone" in said:
                    self._blame(jobs[0], at, "did not come to an end" if "silent" in said else ENDED)
                    break
                if "left" in said:
                    if at != OVER:
                        self._blame(jobs[0], at, ENDED)
                        left.append(jobs[0])
                    jobs.pop(0)
                    at = None
                else:
                    at = self._understand(said, jobs[0], at)
        return [job for job in left + jobs if job["exercises"]]

    def _patience(self, ready, at):
        """Return how long a process may be silent: it has a time limit of its own, for each piece of evidence."""
        if not ready:
            return START
        return 3 * self.time_limit + 2 if at is not None and at[0] == "begin" else self.time_limit + 2

    def _understand(self, said, job, at):
        """Take in one line about a job; return where the process is now."""
        if "at" in said or "begin" in said:
            return next(iter(said.items()))
        if "over" in said:
            return OVER
        if "problem" in said:
            place, sentence, names = said["problem"]
            asked = {one.function for one in exercises() if one.name in job["exercises"]}
            if not asked & set(names):  # or else it is said of the exercise
                self.notes.append(f"{place} {sentence}.")
        elif "unreadable" in said:
            self._give_up(job, said["unreadable"], "")
        elif "done" in said:
            name = said.pop("done")
            job["exercises"].remove(name)
            self.take(Result(name, **said | {"prints": tuple(said.get("prints", ()))}))
            return None
        return at

    def _blame(self, job, at, sentence):
        """Say that a process came to its end where it was; what is blamed is not tried again."""
        file = Path(job["path"]).name
        if at == OVER:
            return
        if at is None:
            self._give_up(job, file, sentence)
        elif at[0] == "begin":
            job["exercises"].remove(at[1])
            line = next(one for one in exercises() if one.name == at[1]).function
            self.take(Result(at[1], "broken", place_of(job["path"], line), sentence))
        else:
            job["skip"].append(at[1])
            self.notes.append(f"{file}:{at[1]} {sentence}, and was left out.")

    def _give_up(self, job, place, sentence):
        for name in job["exercises"]:
            self.take(Result(name, "broken", place, sentence))
        job["exercises"] = []


def place_of(path, function):
    """Return file and line of a function, as far as the text of the file says."""
    for number, line in enumerate(Path(path).read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if line.startswith(f"def {function}("):
            return f"{Path(path).name}:{number}"
    return Path(path).name


@contextlib.contextmanager
def process(job):
    """Start a process that does a job; yield the queue of what it says, and a function that tells why it failed."""
    above = str(Path(refdiff.__file__).parents[1])
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    env["PYTHONPATH"] = os.pathsep.join([above, *filter(None, [env.get("PYTHONPATH")])])
    command = [
        sys.executable,
        "-P",
        "-c",
        "from refdiff.learn.desk import main; main()",
    ]  # -P: its folder hides nothing
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        start_new_session=True,  # so that Ctrl-C reaches this process alone, and all that it has started can be ended
    )
    lines = queue.Queue()

    def listen():
        for line in child.stdout:
            with contextlib.suppress(ValueError):  # nobody else should write there
                lines.put(json.loads(line))
        lines.put({"gone": True})

    listener = threading.Thread(target=listen, daemon=True)
    try:
        listener.start()
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(json.dumps(job).encode() + b"\n")
            child.stdin.close()
        yield lines, lambda: child.stderr.read().decode(errors="replace")[-2000:] if child.poll() is not None else ""
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL) if hasattr(os, "killpg") else child.kill()
        child.wait()
        listener.join(1.0)
        for pipe in (child.stdin, child.stdout, child.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
