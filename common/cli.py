"""The edge of every program: a mistake ends in one line instead of a traceback, and text that any
terminal can show."""

import functools
import os
import re
import sys
from collections.abc import Callable


class UserError(Exception):
    """A mistake that the user can correct. The message is one line: what, where, and what to do."""


def require(condition: bool) -> None:
    """Raise ValueError if it is false. Unlike assert, this also works with `python -O`."""
    if not condition:
        raise ValueError


def escape_control_chars(text: str) -> str:
    r"""Show control characters, which would steer the terminal, as escapes: ESC becomes \x1b."""
    control = r"[^\n\t -~\xa0-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]"
    return re.sub(control, lambda match: ascii(match[0])[1:-1], text)


def open_closed_streams() -> None:
    """Replace closed standard streams by an empty file; unencodable characters become "?"."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name) or open(os.devnull, mode)
        setattr(sys, name, stream)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def cli_main(main: Callable) -> Callable:
    """Decorate main(argv) so that it returns an exit status.

    0 or what main returns; 2 after a mistake of the user, 130 after Ctrl-C, 1 on a broken pipe."""

    @functools.wraps(main)
    def run(argv=None):
        open_closed_streams()
        try:
            status = main(argv) or 0
            sys.stdout.flush()
            return status
        except KeyboardInterrupt:
            status, message = 130, "stopped."
        except UserError as error:
            status, message = 2, str(error)
        except OSError as error:
            sys.stdout = open(os.devnull, "w")  # Python would try to flush the old one at exit
            if isinstance(error, BrokenPipeError):
                return 1
            place = error.filename or "the screen or a file"
            reason = error.strerror or error
            status, message = 2, f"{place}: {reason}. Free some space or choose another path."
        except (MemoryError, RuntimeError) as error:
            # PyTorch reports failed allocations as a RuntimeError.
            if isinstance(error, RuntimeError) and "alloc" not in str(error):
                raise
            remedy = "Choose a smaller model, --micro-batch or file."
            status, message = 2, f"not enough memory. {remedy}"
        print("error:", escape_control_chars(" ".join(message.split())), file=sys.stderr)
        return status

    return run
