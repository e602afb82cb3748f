"""Every sink gets what was published while it listened: once, in order, in few writes."""

import asyncio
import importlib.util
import shutil
import socket
import subprocess
import sysconfig
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from realtime.audience import DIRECT, ENCRYPTED, WAITING, Audience, Sink, WriteAll
from realtime.fanout import SLICE, Fanout
from realtime.hub import Hub
from realtime.traffic import Traffic
from realtime.writers import write_each
from tests.support.sinks import Kernel, Memory, publication
from tests.support.wait import until

SINKS = 12
ROOT = Path(__file__).resolve().parents[2]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["join", "leave", "lane", "publish", "publish", "begin", "serve", "serve"]),
        st.integers(0, SINKS - 1),
        st.sampled_from([DIRECT, ENCRYPTED, WAITING]),
    ),
    max_size=120,
)


@given(STEPS, st.sampled_from([1, 20_000]))
def test_whatever_happens_during_a_walk_each_gets_its_part_once_and_in_order(
    steps: list[tuple[str, int, int]], size: int
) -> None:
    sinks = [Memory(number) for number in range(SINKS)]
    kernel, audience, traffic = Kernel(sinks), Audience("c"), Traffic()
    joined: dict[int, int] = {}
    expected: list[list[tuple[str, int]]] = [[] for _ in sinks]
    published = 0
    for step, number, lane in steps:
        sink = sinks[number]
        if step == "join" and number not in joined:
            audience.join(sink)
            joined[number] = published
        elif step == "leave" and number in joined:
            # What was not on its way to it yet is lost to it, nothing else.
            audience.leave(sink)
            del joined[number]
            expected[number] = list(sink.got)
        elif step == "lane" and lane != sink.lane:
            old, sink.lane = sink.lane, lane
            if number in joined:
                audience.change_lane(sink, old)
        elif step == "publish":
            published += 1
            audience.pending.append([publication(published, size)])
            for each in joined:
                expected[each].append(("c", published))
        elif step == "begin" and audience.walk is None:
            audience.begin("e")
        elif step == "serve" and audience.walk is not None:
            audience.serve(2, kernel, traffic)
    while audience.walk is not None or audience.begin("e"):
        audience.serve(3, kernel, traffic)
    for number, sink in enumerate(sinks):
        assert sink.got == expected[number]
        assert (sink in audience) == (number in joined)
    assert len(audience) == len(joined)


def hub_of(write_all: WriteAll) -> Hub:
    return Hub(lambda _: Raw(b"{}"), write_all)


def audience_of(*sinks: Memory, name: str = "c") -> Audience:
    audience = Audience(name)
    for sink in sinks:
        audience.join(sink)
    return audience


def test_what_one_turn_publishes_is_one_write_a_socket() -> None:
    sinks = [Memory(number) for number in range(6)]
    kernel = Kernel(sinks)
    fanout = Fanout(kernel, Traffic())
    one, two = audience_of(*sinks[:4], name="one"), audience_of(*sinks[2:], name="two")
    large = audience_of(*sinks, *(Memory(6 + n) for n in range(SLICE)), name="large")
    kernel.sinks |= {sink.descriptor: sink for sink in large if isinstance(sink, Memory)}
    for offset in (1, 2):
        for audience in (one, two, large):
            fanout.add(audience, [publication(offset)])
    fanout.flush("e")
    while fanout.busy:
        fanout.flush("e")
    assert [sink.writes for sink in sinks] == [1] * 6
    both = {(name, offset) for name in ("one", "two", "large") for offset in (1, 2)}
    assert [set(sink.got) for sink in sinks[2:4]] == [both, both]
    assert {name for name, _ in sinks[0].got} == {"one", "large"}
    assert {len(sink.got) for sink in large if isinstance(sink, Memory)} == {2, 4, 6}


async def test_a_large_channel_goes_out_in_slices_and_a_small_one_does_not_wait_for_it() -> None:
    crowd = [Memory(number) for number in range(20 * SLICE)]
    few = [Memory(len(crowd) + number) for number in range(3)]
    kernel = Kernel([*crowd, *few])
    fanout = Fanout(kernel, Traffic())
    large, small = audience_of(*crowd), audience_of(*few, name="small")
    running = asyncio.create_task(fanout.run(lambda: "e"), name="fan out under test")
    fanout.add(large, [publication(1)])
    fanout.flush("e")
    assert fanout.busy
    fanout.add(small, [publication(2)])
    fanout.add(large, [publication(3)])
    fanout.flush("e")
    assert [sink.got for sink in few] == [[("small", 2)]] * 3
    await until(lambda: not fanout.busy, within=10, what="all slices are out")
    assert {tuple(sink.got) for sink in crowd} == {(("c", 1), ("c", 3))}
    assert max(kernel.calls) == SLICE
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_who_takes_less_gets_the_rest_and_moves_to_those_who_wait() -> None:
    sinks = [Memory(number) for number in range(3)]
    kernel = Kernel(sinks)
    hub = hub_of(kernel)
    for name in ("a", "b"):
        hub.sinks[name] = audience_of(*sinks, name=name)
    kernel.full.add(1)
    hub.fanout.add(hub.sinks["a"], [publication(1)])
    hub.fanout.flush("e")
    assert sinks[1].got == [("a", 1)]
    hub.change_lane(sinks[1], ["a", "b"], WAITING)
    hub.fanout.add(hub.sinks["b"], [publication(2)])
    hub.fanout.flush("e")
    hub.change_lane(sinks[1], ["a", "b"], DIRECT)
    kernel.full.clear()
    hub.fanout.add(hub.sinks["b"], [publication(3)])
    hub.fanout.flush("e")
    assert [sink.got for sink in sinks] == [[("a", 1), ("b", 2), ("b", 3)]] * 3


def native(folder: Path) -> WriteAll:
    """The loop in C, built for this test."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: the pure writer is all there is here")
    built = folder / f"_sendall{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = sysconfig.get_path("include")
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{include}"]
    source = ROOT / "realtime" / "_sendall.c"
    subprocess.run([compiler, *flags, str(source), "-o", str(built)], check=True)
    spec = importlib.util.spec_from_file_location("_sendall", built)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    send_all: WriteAll = module.send_all
    return send_all


@pytest.fixture(params=["pure", "native"])
def write_all(request: pytest.FixtureRequest, tmp_path: Path) -> WriteAll:
    return native(tmp_path) if request.param == "native" else write_each


def test_both_writers_say_who_took_less_and_who_is_dead(write_all: WriteAll) -> None:
    pairs = [socket.socketpair() for _ in range(8)]
    try:
        for ours, _ in pairs:
            ours.setblocking(False)
        full, dead = pairs[3][0], pairs[5][0]
        assert 0 < full.send(b"y" * 10_000_000) < 10_000_000
        pairs[5][1].close()
        descriptors = array("i", [ours.fileno() for ours, _ in pairs])
        short = write_all(descriptors, 2, 8, b"frame")
        assert sorted(short) == [(3, 0), (5, -1)]
        assert dead.fileno() > 0
        for number in (2, 4, 6, 7):
            assert pairs[number][1].recv(100) == b"frame"
        for _, theirs in pairs[:2]:
            theirs.setblocking(False)
            with pytest.raises(BlockingIOError):
                theirs.recv(1)
        (place, taken), *others = write_all(descriptors, 7, 8, b"z" * 10_000_000)
        assert (place, others) == (7, [])
        assert 0 < taken < 10_000_000
    finally:
        for pair in pairs:
            for each in pair:
                each.close()


def test_the_native_writer_refuses_a_range_that_is_not_there(tmp_path: Path) -> None:
    send_all = native(tmp_path)
    for start, stop in ((-1, 0), (0, 2), (1, 0)):
        with pytest.raises(IndexError):
            send_all(array("i", [1]), start, stop, b"x")


def test_an_audience_is_what_joined_it() -> None:
    sinks: list[Sink] = [Memory(1), Memory(2, ENCRYPTED), Memory(3, WAITING)]
    audience = Audience("c")
    for sink in sinks:
        audience.join(sink)
    assert list(audience) == sinks
    audience.clear()
    assert (len(audience), list(audience)) == (0, [])
