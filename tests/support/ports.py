"""Free loopback ports."""

import random

from deploy.ports import HIGHEST_PORT, LOWEST_PORT, is_free


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens; at random, as tests run side by side."""
    dice = random.SystemRandom()
    while True:
        port = dice.randint(LOWEST_PORT, HIGHEST_PORT)
        if is_free(port):
            return port
