"""How the verbs show their help: whole summaries, and no line wider than the screen."""

import sys
from typing import Any

import click

from zoo.errors import nearest
from zoo.system.text_tables import fold, screen_width

# Longer than any summary: none is broken off.
WHOLE = 1000
# Beyond, lines are hard to read, however wide the screen is.
WIDEST = 80

# What other tools call a verb -> what it may be here, in its group or another.
ALSO_CALLED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("train", "training", "fit", "fine-tune", "tune", "learn", "resume", "run"), ("finetune",)),
    **dict.fromkeys(("test", "score", "measure", "validate"), ("evaluate", "check", "verify")),
    **dict.fromkeys(("infer", "inference", "classify", "label"), ("predict",)),
    **dict.fromkeys(("embed", "extract", "embeddings"), ("features",)),
    **dict.fromkeys(("list", "ls", "models"), ("list", "ls")),
    **dict.fromkeys(("info", "describe", "summary", "cat", "print"), ("show",)),
    **dict.fromkeys(("download", "get", "pull"), ("pull", "fetch", "weights")),
    **dict.fromkeys(("remove", "rm", "delete", "clean", "purge", "empty", "forget"), ("clear", "remove", "cache")),
    **dict.fromkeys(("dataset", "inspect", "lint"), ("check", "data")),
    **dict.fromkeys(("find-lr", "lr", "lr_find"), ("lr-find",)),
    **dict.fromkeys(("publish", "upload", "share"), ("push", "recipe")),
    **dict.fromkeys(("create", "init", "generate", "propose"), ("new",)),
    **dict.fromkeys(("compare", "difference"), ("diff", "recipe")),
    **dict.fromkeys(("server", "deploy", "host", "http", "api"), ("serve",)),
    "eval": ("evaluate",),
    **dict.fromkeys(("benchmark", "bench", "diagnose", "env"), ("doctor",)),
}


def nearest_verb(typed: str, known: list[str]) -> str:
    """Returns `" Did you mean 'x'?"` for the verb of a group that is nearest, also by what other tools call it."""
    by_name = {also: verb for also, verbs in ALSO_CALLED.items() if (verb := _first(verbs, known))}
    by_name.update({verb: verb for verb in known})
    best = nearest(typed, by_name)
    return f" Did you mean '{by_name[best]}'?" if best is not None else ""


def _first(verbs: tuple[str, ...], known: list[str]) -> str | None:
    return next((verb for verb in verbs if verb in known), None)


class Formatter(click.HelpFormatter):
    """Folds also what click leaves as it is: examples, and everything on a screen of less than 50 columns."""

    def getvalue(self) -> str:
        """Returns the help's text."""
        width = screen_width(sys.stdout)
        return fold(super().getvalue(), max(width, 30) if width else None, indent="      ")


class VerbContext(click.Context):
    """A context whose help is as wide as the screen, at most 80 columns."""

    formatter_class = Formatter

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        width = screen_width(sys.stdout)
        if width is not None and width < WIDEST:
            self.terminal_width = width


class Verb(click.Command):
    """A verb of a group of verbs."""

    context_class = VerbContext


class VerbGroup(click.Group):
    """A group of verbs whose summaries are whole sentences."""

    context_class = VerbContext
    command_class = Verb

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes each verb with the whole first sentence of its help."""
        verbs = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.get_short_help_str(WHOLE)) for name, verb in verbs if verb is not None])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the verb that was typed; an unknown one is answered with the nearest."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"No such command '{args[0]}'.{nearest_verb(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)
