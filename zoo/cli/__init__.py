"""The `zoo` command: a group of verbs, each imported only when it is called."""

import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError

from zoo import __version__
from zoo.cli.output import echo, emit, noticing_output
from zoo.cli.shell.groups import VerbContext, VerbGroup
from zoo.cli.shell.log_lines import log_lines_shown
from zoo.cli.shell.signals import ending_on_signals
from zoo.cli.shell.streams import STDOUT, finish_streams, prepare_streams
from zoo.errors import INTERRUPTIONS, LONGEST_LINE, Terminated, ZooError, in_one_line, printable

# Of a path that is not there.
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)
# Verb -> where its click command is.
VERBS = {
    "list": "zoo.cli.models.catalogue:list_models_command",
    "show": "zoo.cli.models.catalogue:show",
    "finetune": "zoo.cli.training.finetune:finetune_command",
    "reproduce": "zoo.cli.runs.reproduce:reproduce_command",
    "evaluate": "zoo.cli.runs.evaluate:evaluate_command",
    "predict": "zoo.cli.inference.predict:predict_command",
    "serve": "zoo.cli.inference.serve:serve_command",
    "verify": "zoo.cli.runs.verify:verify_command",
    "features": "zoo.cli.inference.features:features_command",
    "export": "zoo.cli.inference.export:export_command",
    "data": "zoo.cli.data:data",
    "weights": "zoo.cli.models.weights:weights",
    "lr-find": "zoo.cli.training.lr_find:lr_find",
    "cache": "zoo.cli.cache:cache",
    "recipe": "zoo.cli.recipes:recipe",
    "shelf": "zoo.cli.shelf:shelf",
    "bundle": "zoo.cli.bundle:bundle_command",
    "doctor": "zoo.cli.training.doctor:doctor_command",
    "help": "zoo.cli.shell.help:help_command",
}

INTERRUPTED = 130


class LazyGroup(VerbGroup):
    """Imports a verb's module when it is called, and turns faults into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Lists the verbs in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a verb."""
        if cmd_name not in VERBS:
            return None
        module, attribute = VERBS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        command.context_class = VerbContext
        return command

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Runs the command line and exits."""
        if _completes(args):
            return super().main(args, *rest, **{"prog_name": "zoo", **extra})
        prepare_streams()
        typed = list(sys.argv[1:] if args is None else args)
        arguments = [argument for argument in typed if argument != "--debug"]  # it may stand behind the verb too
        with noticing_output() as has_printed:
            try:
                with ending_on_signals(), log_lines_shown():
                    code = super().main(arguments, *rest, **{"prog_name": "zoo", **extra, "standalone_mode": False})
                    finish_streams()
            except Exception as fault:
                if arguments != typed and not isinstance(fault, click.ClickException | click.Abort):
                    raise
                code = _report(fault, as_json="--json" in arguments and not has_printed())
            except INTERRUPTIONS as ended:
                code = _report_interruption(ended)
        if code and os.environ.get("ZOO_SUPERVISED"):
            from zoo.backend.distribution.supervising import leave_at_once

            leave_at_once(int(code))
        sys.exit(code or 0)


def _completes(args: Sequence[str] | None) -> bool:
    return args is None and "_ZOO_COMPLETE" in os.environ


def _report(fault: Exception, *, as_json: bool) -> int:
    """Prints what went wrong, in one line on stderr and with `--json` as a document too; returns the exit code."""
    if isinstance(fault, click.Abort):
        return _report_interruption(fault.__cause__)
    if isinstance(fault, NoArgsIsHelpError) and not as_json:  # its message is the whole help, usage included
        echo(fault.format_message(), err=True)
        return fault.exit_code
    if isinstance(fault, click.ClickException):
        message, code = fault.format_message(), fault.exit_code
        if isinstance(fault, click.UsageError) and fault.ctx is not None:
            echo(fault.ctx.get_usage(), err=True)
            echo(f"Try '{fault.ctx.command_path} --help' for help.\n", err=True)
        message = "\n".join(printable(line, at_most=LONGEST_LINE) for line in message.split("\n"))
        echo(f"Error: {message}", err=True)
    else:
        message, code = _explain(fault), fault.exit_code if isinstance(fault, ZooError) else 1
        for line in message.splitlines() or [""]:  # a recipe may have several faults
            echo(f"zoo: {line}", err=True)
    if as_json:
        with contextlib.suppress(OSError):  # stdout itself may be at fault
            emit("error", {"error": message, "exit_code": code})
            finish_streams()
    return code


def _report_interruption(ended: BaseException | None) -> int:
    """Says that it was interrupted, and how to go on; returns the exit code."""
    echo("zoo: interrupted", err=True)
    for advice in getattr(ended, "__notes__", ()):
        echo(advice, err=True, whole=True)
    return ended.exit_code if isinstance(ended, Terminated) else INTERRUPTED


def _explain(fault: Exception) -> str:
    if isinstance(fault, ZooError):
        return str(fault)
    if isinstance(fault, OSError):
        place = f"{printable(fault.filename)}: " if fault.filename else ""
        said, notes = f"{place}{printable(fault.strerror or fault)}", getattr(fault, "__notes__", ())
        if fault.filename == STDOUT:
            return "; ".join([said, *(notes or ("the rest of what it would show is lost",))])
        kept = [] if fault.errno in _NOT_THERE else ["what was written whole before is kept"]
        return "; ".join([said, *kept, *notes])
    said = in_one_line(fault, at_most=LONGEST_LINE - 100)
    return f"{said}; zoo did not foresee this: 'zoo --debug ...' shows where it happened"


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", package_name="zoo")
@click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
def main(debug: bool) -> None:
    """Fine-tune convolutional networks, and share how it was done.

    \b
    zoo list                                        what to build on
    zoo finetune quickstart                         a first one, offline
    zoo finetune efficientnet_lite0 --data photos/  one of your own photos
    zoo predict runs/... photo.jpg                  what it sees
    zoo help finetune                               a verb, with examples
    """
