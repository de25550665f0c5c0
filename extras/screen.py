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
            if getattr(sys, name) is None:
                setattr(sys, name, open(os.devnull, mode))
            if hasattr(getattr(sys, name), "reconfigure"):
                getattr(sys, name).reconfigure(errors="replace")
        try:
            status = main(argv) or 0
            sys.stdout.flush()
            return status
        except UserError as error:
            said, status = str(error), 2
        except KeyboardInterrupt:
            said, status = "stopped", 130
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w")  # Python would try once more to write there
            return 1
        except OSError as error:
            sys.stdout = open(os.devnull, "w")
            place = error.filename or "the screen or a file"
            said, status = f"{place}: {error.strerror or error}. Free some space or choose another place.", 2
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "alloc" not in str(error):  # torch says so that memory is too small
                raise
            said, status = "not enough memory. Choose a smaller model, --micro-batch or file.", 2
        print("error:", visible(" ".join(said.split())), file=sys.stderr)
        return status

    return run
