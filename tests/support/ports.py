"""Free loopback ports."""

import random
import socket

# Below the kernel's ephemeral range: loopback clients cannot take the port before its server does.
LOWEST, HIGHEST = 20000, 32767


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    dice = random.SystemRandom()
    while True:
        port = dice.randint(LOWEST, HIGHEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
