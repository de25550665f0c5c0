"""The edge of a program: what it adds is an end in one line instead of a traceback, and text that any terminal can show.

You can skip this: it changes nothing that is computed or written to a file.
"""

import functools
import os
import re
import sys

from data import UserError


def visible(text):
    """Control characters, which would steer the terminal, as escapes that can be read: ESC -> \\x1b."""
    return re.sub(r"[^\n\t -~\xa0-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]", lambda sign: ascii(sign[0])[1:-1], text)


def program(main):
    """Wraps a main(argv) -> its exit status: 0, or what it returns; 2 after a mistake, 130 after Ctrl-C, 1 where nobody
    reads on. Letters that the screen lacks become question marks; a closed screen or keyboard is an empty one."""

    @functools.wraps(main)
    def run(argv=None):
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            setattr(sys, name, getattr(sys, name) or open(os.devnull, mode))
            if hasattr(getattr(sys, name), "reconfigure"):
                getattr(sys, name).reconfigure(errors="replace")
        try:
            status = main(argv) or 0
            sys.stdout.flush()
            return status
        except KeyboardInterrupt:
            said, status = "stopped.", 130
        except OSError as error:
            sys.stdout = open(os.devnull, "w")  # Python would try once more to write to the old one
            if isinstance(error, BrokenPipeError):
                return 1
            place = error.filename or "the screen or a file"
            said, status = f"{place}: {error.strerror or error}. Free some space or choose another place.", 2
        except (UserError, MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "alloc" not in str(error):  # torch's way to say that memory is short
                raise
            short = "not enough memory. Choose a smaller model, --micro-batch or file."
            said, status = str(error) if isinstance(error, UserError) else short, 2
        print("error:", visible(" ".join(said.split())), file=sys.stderr)
        return status

    return run
