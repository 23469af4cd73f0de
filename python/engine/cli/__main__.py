"""The process of `engine`: exit codes, and one line where something went wrong."""

import contextlib
import difflib
import os
import sys
from collections.abc import Sequence

from cyclopts.exceptions import CoercionError, CycloptsError, UnknownCommandError

from engine.cli.app import COMMANDS, application
from engine.cli.contexts import chosen, in_context
from engine.errors import ConfigError, EngineError

__all__ = ["main", "run"]

DONE, FAILED, NOT_UNDERSTOOD, INTERRUPTED = 0, 1, 2, 130
_NUMBERS: dict[object, str] = {int: "a whole number", float: "a number"}


def main() -> None:
    """Run the command that the arguments name, and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 not understood, 130 Ctrl-C."""
    try:
        try:
            arguments, context, write = chosen(arguments, os.environ)
            has_nats = any(one == "--nats" or one.startswith("--nats=") for one in arguments)
            app = application(called=arguments)
            with in_context(context, write=write, nats=has_nats):
                code = app(
                    arguments, result_action="return_value", exit_on_error=False, print_error=False
                )
            sys.stdout.flush()
        except BaseExceptionGroup as group:
            raise _first(group) from None
    except KeyboardInterrupt:
        return _said("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader of a pipe has had enough: no complaint
        _leave_stdout()
        return FAILED
    except OSError as error:
        if error.strerror is None:  # none of the system's, such as a TimeoutError
            raise
        _leave_stdout()
        where = f"{error.filename}: " if error.filename else ""
        return _said(f"{where}{error.strerror}", FAILED)  # the disk is full, and the like
    except CycloptsError as error:
        return _said(_usage(error, arguments), NOT_UNDERSTOOD)
    except ConfigError as error:
        return _said(str(error), NOT_UNDERSTOOD, error)
    except EngineError as error:
        return _said(str(error), FAILED, error)
    except ImportError as error:  # of a command's own module, or of an extra it needs
        return _said(f"{error.__cause__ or error}", FAILED)
    return code if isinstance(code, int) else DONE


def _leave_stdout() -> None:
    """Let the exit's flush go nowhere: what could not be written now cannot be written then."""
    with contextlib.suppress(OSError):  # a stdout that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def _usage(error: CycloptsError, arguments: Sequence[str]) -> str:
    if isinstance(error, UnknownCommandError):
        # cyclopts' own words would import every command there is, to look for near names.
        unknown = next(iter(error.unused_tokens or arguments), "")
        near = difflib.get_close_matches(unknown, COMMANDS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"no command {unknown!r}{hint}; engine --help lists them"
    if isinstance(error, CoercionError) and error.token and error.target_type in _NUMBERS:
        name = error.token.keyword or (error.argument.name if error.argument else "")
        return f"{name}: {_NUMBERS[error.target_type]}, found {error.token.value!r}"
    return " ".join(str(error).split())


def _said(line: str, code: int, error: BaseException | None = None) -> int:
    from engine.messaging.credentials import masked  # `engine --help` imports nothing

    notes = getattr(error, "__notes__", [])
    print(f"engine: {masked('; '.join([line, *notes]))}", file=sys.stderr)  # noqa: T201 - for a person
    return code


if __name__ == "__main__":
    main()
