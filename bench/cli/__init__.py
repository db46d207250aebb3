"""The command line: one file per verb. Nothing here imports torch before a verb needs it."""

from __future__ import annotations

import reprlib
import sys

import click

from bench.cli.check import check
from bench.cli.compare import compare
from bench.cli.data import data
from bench.cli.doctor import doctor
from bench.cli.list import list_
from bench.cli.merge import merge
from bench.cli.new_learner import new_learner
from bench.cli.output import write_anything
from bench.cli.report import report
from bench.cli.results import results
from bench.cli.run import run
from bench.cli.show import show
from bench.cli.show_episode import show_episode
from bench.cli.status import status
from bench.cli.stopping import SIGNALLED, exit_code, heed_signals, leave
from bench.cli.work import work
from bench.errors import BenchError
from bench.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="bench")
def cli() -> None:
    """Compares meta-learning families on one episodic protocol.

    \b
    bench run --suite glyphs-5way --budget smoke    needs no download
    bench run --suite omniglot-5way                 every installed learner, real data
    bench results                                   one row per cell
    bench report                                    tables and plots
    bench compare before after                      is anything worse? exit code 1
    bench new-learner my-learner                    a package of your own; then `bench check` it
    """


COMMANDS = (
    run, work, status, merge, results, report, compare, list_, show, show_episode, data, doctor,
    check, new_learner,
)  # fmt: skip
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Runs the command line: a mistake of the user's is one message and exit code 2, and so is a
    file or folder that the system refuses."""
    write_anything()
    heed_signals()
    try:
        code = cli.main(standalone_mode=False)  # what a verb gave to ctx.exit
        code = code if isinstance(code, int) else 0
        leave(code) if code > SIGNALLED else sys.exit(code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BenchError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt) as error:
        click.echo("Stopped.", err=True)
        leave(exit_code(error))
    except BrokenPipeError:  # `bench results | head`
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.filename is None:
            raise
        click.echo(f"Error: {error.strerror}: {reprlib.repr(error.filename)}", err=True)
        sys.exit(2)
