"""One frame to many sockets: by a loop in C where it was built, else by `map`."""

import os
from array import array
from itertools import repeat
from operator import length_hint

from realtime.audience import WriteAll

try:
    from realtime._sendall import send_all
except ImportError:  # no compiler was there
    send_all = None

DEAD = -1


def write_each(
    descriptors: "array[int]", start: int, stop: int, frame: bytes
) -> list[tuple[int, int]]:
    """As `WriteAll` says, one comparison in Python a socket."""
    short: list[tuple[int, int]] = []
    size = len(frame)
    left = iter(descriptors[start:stop].tolist())
    taken = map(os.write, left, repeat(frame))
    while True:
        count = 0
        try:
            for count in taken:
                if count != size:
                    break
            else:
                return short
        except BlockingIOError:
            count = 0
        except OSError:
            count = DEAD
        short.append((stop - length_hint(left) - 1, count))


def writer(native: bool = True) -> WriteAll:
    """The best there is."""
    return send_all if native and send_all is not None else write_each
