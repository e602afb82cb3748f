"""Free ports of this machine for the parts of a stack."""

import socket
from itertools import islice
from typing import NamedTuple

from deploy.rabbitmq import HOST

# Below the kernel's ephemeral range, where loopback clients take ports at random.
HIGHEST_PORT = 32767
LOWEST_PORT = 20000


class PortTaken(Exception):
    """The port that was asked for is not free."""


class Ports(NamedTuple):
    """Where the parts listen."""

    front: int
    api: int
    nodes: tuple[int, int]
    broker: int
    broker_dist: int
    epmd: int


def choose_ports(front: int) -> Ports:
    """The first free ports after `front`, which has to be free itself."""
    if not is_free(front):
        raise PortTaken(f"port {front} of {HOST} is taken; choose another with GATECAST_PORT")
    start = front + 1 if front + 100 < HIGHEST_PORT else LOWEST_PORT
    free = (port for port in range(start, HIGHEST_PORT + 1) if is_free(port))
    api, node_1, node_2, broker, broker_dist, epmd = islice(free, 6)
    return Ports(front, api, (node_1, node_2), broker, broker_dist, epmd)


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
