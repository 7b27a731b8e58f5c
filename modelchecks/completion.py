"""`modelchecks completion`: the script that lets a shell complete commands, suites and names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from modelchecks.shell import tell

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

VARIABLE = "_MODELCHECKS_COMPLETE"
_INSTALL = {
    "bash": 'eval "$(modelchecks completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(modelchecks completion zsh)"   # in ~/.zshrc, after compinit',
    "fish": "modelchecks completion fish > ~/.config/fish/completions/modelchecks.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(_INSTALL)))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that lets a shell complete commands, options, variants and checks.

    \b
    Example, in ~/.bashrc:
      eval "$(modelchecks completion bash)"
    """
    from click.shell_completion import get_completion_class

    cls = get_completion_class(shell)
    if cls is None:
        raise click.UsageError(f"this version of click completes for no {shell}")
    script = cls(context.find_root().command, {}, "modelchecks", VARIABLE).source()
    tell(f"# {_INSTALL[shell]}\n{script}\n")
    return 0


def asked_by_a_shell() -> bool:
    """Return whether a shell asks for completions; a stray variable must not replace a verdict."""
    return bool(os.environ.get(VARIABLE)) and "COMP_WORDS" in os.environ


def completing(names: Callable[[click.Context], Iterable[str]]) -> Callable[..., object]:
    """Return a click completer for names that can only be known by looking; it never fails."""

    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            return [CompletionItem(name) for name in names(context) if name.startswith(incomplete)]
        except Exception:
            return []

    return complete


def variants(context: click.Context) -> Iterable[str]:
    """Return the variants of the suites that the line names already."""
    from modelchecks.load import read_suite

    # Half a line (`--variant` without a value) is not parsed; what is on it is there all the same.
    given = context.params.get("suites") or [context.params.get("suite_path"), *context.args]
    for path in filter(None, given):
        suite, _ = read_suite(path)
        yield from () if suite is None else (variant.name for variant in suite.variants)


def checks(context: click.Context) -> Iterable[str]:
    """Return the registered checks."""
    from modelchecks.registry import names

    return names("checks")
