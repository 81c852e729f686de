r"""What a learner has reached, kept in their folder: what was solved once stays noted, whatever becomes of a file."""

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from refdiff.files import whole
from refdiff.learn.exercises import exercises

__all__ = ["NAME", "Progress"]

NAME = "progress.json"
KIND = "refdiff learn"


@dataclass
class Progress:
    """The state of a folder of exercises.

    Attributes
    ----------
    folder : Path
    path : bool
        Whether it holds the ten of the path only.
    solved : set of str
        Names of all exercises that were solved at some time.
    states : dict
        Name to what the judge said last.
    hints : dict
        Name to how many hints have been given.
    warning : str
        What was wrong with the file, if anything was.
    """

    folder: Path
    path: bool = False
    solved: set = field(default_factory=set)
    states: dict = field(default_factory=dict)
    hints: dict = field(default_factory=dict)
    warning: str = ""

    @classmethod
    def load(cls, folder):
        """Return the progress of a folder; a file that cannot be read is put aside, and it begins anew."""
        file = Path(folder) / NAME
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            if kept["kind"] != KIND:
                raise ValueError
            known = {one.name for one in exercises()}
            return cls(
                Path(folder),
                bool(kept["path"]),
                {str(one) for one in kept["solved"]},
                {name: str(state) for name, state in kept["states"].items() if name in known},
                {name: int(number) for name, number in kept["hints"].items() if name in known},
            )
        except FileNotFoundError:
            return cls(Path(folder))
        except (ValueError, KeyError, TypeError, AttributeError):
            aside = file.with_name("progress-unreadable.json")
            with contextlib.suppress(OSError):
                os.replace(file, aside)
            return cls(
                Path(folder), warning=f"{NAME} could not be read. It is kept as {aside.name}, and a new one begun."
            )

    def save(self):
        """Write the file; another process may have noted something in between, which is kept."""
        with contextlib.suppress(OSError):
            if (self.folder / NAME).exists():
                other = Progress.load(self.folder)
                self.solved |= other.solved
                self.hints = {
                    name: max(self.hints.get(name, 0), other.hints.get(name, 0)) for name in self.hints | other.hints
                }
        kept = {
            "kind": KIND,
            "path": self.path,
            "solved": [one.name for one in exercises() if one.name in self.solved],
            "states": self.states,
            "hints": self.hints,
        }
        with whole(self.folder / NAME) as unfinished:
            unfinished.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")

    def note(self, results):
        """Take in what the judge said."""
        self.states |= {name: result.state for name, result in results.items()}
        self.solved |= {name for name, result in results.items() if result.solved}

    def state(self, name):
        """Return one of "solved", "lost" (it was solved once), "refuted", "broken" and "unwritten"."""
        state = self.states.get(name, "unwritten")
        return "lost" if name in self.solved and state != "solved" else state

    def hint(self, exercise):
        """Return how many hints of an exercise may be seen now: one more than the last time, if it has one more."""
        self.hints[exercise.name] = min(self.hints.get(exercise.name, 0) + 1, len(exercise.all_hints))
        return self.hints[exercise.name]

    def line(self, some, width=24):
        """Return a bar, how many are solved, and what comes next."""
        states = {one.name: self.state(one.name) for one in some}
        solved, lost = ([name for name in states if name in self.solved], [n for n, s in states.items() if s == "lost"])
        full = round(width * len(solved) / len(states))
        broken = f" ({len(lost)} of them no longer)" if lost else ""
        following = next((name for name, state in states.items() if state != "solved"), None)
        rest = f"; next: {following}" if following else ": all of them"
        return f"[{'#' * full}{'.' * (width - full)}] {len(solved)} of {len(states)} solved{broken}{rest}"
