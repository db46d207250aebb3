"""The script of an array of jobs: what Slurm is asked for, in the site's own words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined, TemplateError

from bench.api import BenchError
from bench.api.executor import Resources

TEMPLATE = Path(__file__).with_name("slurm.sh.jinja")

OURS = {"array", "chdir", "dependency", "error", "input", "job-name", "open-mode", "output",
        "parsable", "wait", "wrap"}  # fmt: skip
"""Options of sbatch that bench gives itself."""

OWN = {"setup", "template", "poll"}
"""Options that are bench's and not sbatch's."""

TIMINGS = "timings."
"""Before the name of an option that is for timings only."""

SIGNAL = "B:USR1@90"
"""So long before its time limit a job is told, to store where it stands."""


@dataclass(frozen=True)
class SlurmOptions:
    """What ``-X`` says.

    Args:
        given: by name, as the user wrote them.

    Raises:
        BenchError: for a name that sbatch cannot have, or that is bench's to give.
    """

    given: Mapping[str, str]

    def __post_init__(self) -> None:
        for name in self.given:
            plain = name.removeprefix(TIMINGS)
            if not re.fullmatch(r"[a-z][a-z0-9-]*", plain):
                raise BenchError(
                    f"-X {name}: no option of sbatch has this name; write long ones without their "
                    "dashes, as -X partition=gpu"
                )
            if plain in OURS:
                raise BenchError(f"-X {name}: bench gives this option itself; leave it out")

    def poll_seconds(self) -> float:
        """Seconds between two looks at the queue."""
        text = self.given.get("poll", "5")
        if not re.fullmatch(r"\d{1,4}(\.\d{1,3})?", text) or float(text) == 0:
            raise BenchError(f"-X poll={text}: expected a number of seconds, as -X poll=10")
        return float(text)

    def threads(self, exclusive: bool = False) -> int | None:
        """CPUs of a task, where ``-X cpus-per-task`` says so."""
        text = self._sbatch(exclusive).get("cpus-per-task")
        if text is not None and not re.fullmatch(r"[1-9]\d{0,3}", text):
            raise BenchError(f"-X cpus-per-task={text}: expected a whole number of 1 or more")
        return None if text is None else int(text)

    def _sbatch(self, exclusive: bool) -> dict[str, str]:
        """Options of sbatch, for trainings or for timings."""
        chosen = {
            name: value
            for name, value in self.given.items()
            if not name.startswith(TIMINGS) and name not in OWN
        }
        if exclusive:
            for name, value in self.given.items():
                if name.startswith(TIMINGS):
                    chosen[name.removeprefix(TIMINGS)] = value
        return chosen

    def directives(self, resources: Resources, own: Mapping[str, str]) -> str:
        """The lines of ``#SBATCH``.

        Args:
            resources: of a task.
            own: what bench gives.

        Raises:
            BenchError: a group with a GPU, and nothing that asks for one.
        """
        site = self._sbatch(resources.exclusive)
        asked: dict[str, str] = {
            **own,
            "cpus-per-task": str(resources.cpus),
            "signal": SIGNAL,
            "requeue": "",
            "open-mode": "append",
        }
        memory_is_said = {"mem", "mem-per-cpu", "mem-per-gpu"} & set(site)
        if resources.job_memory is not None and not memory_is_said:
            asked["mem"] = f"{-(-resources.job_memory // 2**20)}M"
        if resources.gpus and not any(re.match(r"(gres|gpus|tres)", name) for name in site):
            asked["gres"] = f"gpu:{resources.gpus}"
        if resources.exclusive:
            asked["exclusive"] = ""
        asked |= site
        lines = []
        for name, value in asked.items():
            if value.lower() in {"no", "false"} and name in {"exclusive", "requeue", "signal"}:
                continue
            flag = value.lower() in {"", "yes", "true"}
            if "\n" in value:
                raise BenchError(f"-X {name}: it has more than one line")
            lines.append(f"#SBATCH --{name}" + ("" if flag else f"={_quoted(value)}"))
        return "\n".join(lines)

    def script(self, directives: str, command: list[str], indexes: Path) -> str:
        """The whole script.

        Args:
            directives: see there.
            command: of a group, without its number.
            indexes: a file with the number of a group in each line, one for each task.

        Raises:
            BenchError: the site's template cannot be read, or does not fit.
        """
        path = Path(self.given["template"]) if "template" in self.given else TEMPLATE
        environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
        try:
            return environment.from_string(path.read_text(encoding="utf-8")).render(
                directives=directives,
                setup=self.given.get("setup", ""),
                command=shlex.join(command),
                indexes=shlex.quote(str(indexes)),
            )
        except (OSError, UnicodeError, TemplateError) as error:
            raise BenchError(f"-X template={path}: {error}") from error


def _quoted(value: str) -> str:
    """In a directive a value with white space needs quotes."""
    return f'"{value}"' if re.search(r"\s", value) else value
