"""`engine completion`: what makes a shell complete commands, flags and choices."""

from typing import Literal

from engine.cli.output import say

__all__ = ["command"]


def command(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print the completion of commands, flags and choices for a shell.

    bash: source <(engine completion bash), in ~/.bashrc
    zsh: engine completion zsh > a folder of $fpath, as _engine
    fish: engine completion fish > ~/.config/fish/completions/engine.fish

    Parameters
    ----------
    shell
        Which shell.
    """
    from engine.cli.app import application

    say(application().generate_completion(prog_name="engine", shell=shell))
    return 0
