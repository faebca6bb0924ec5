"""The load and the hostile requests, on a server of this process."""

import asyncio
import dataclasses

import pytest

from tests.serving.made import LIMITS, form, photo, running


def target(script, server):
    content_type, body = form(("a.png", photo(255)))
    return script("http_load").Target(port=server.port, path="/predict", bodies=[body], content_type=content_type)


def test_clients_count_what_is_answered_and_what_is_not(script):
    http_load = script("http_load")
    with running() as server:
        heard = asyncio.run(http_load.load(target(script, server), clients=2, seconds=0.3))
        counted = server.get("/metrics").content.decode()
        wrong = dataclasses.replace(target(script, server), path="/nothing")
        lost = asyncio.run(http_load.load(wrong, clients=1, seconds=0.1))
    assert len(heard.seconds) >= 2 and not heard.others
    assert f'zoo_photos_total{{model="light"}} {len(heard.seconds)}.0' in counted
    assert not lost.seconds and set(lost.others) == {"404"}


def test_percentiles_are_those_of_the_ordered_seconds(script):
    heard = script("http_load").Heard(seconds=[0.4, 0.1, 0.3, 0.2])
    assert [heard.percentile(share) for share in (0, 0.5, 0.99)] == [0.1, 0.3, 0.4]


@pytest.mark.slow
def test_hostile_requests_are_refused_while_good_ones_go_on(script):
    serving, hostile_requests = script("serving"), script("hostile_requests")
    limits = dataclasses.replace(LIMITS, body_seconds=3, head_seconds=3)

    async def attack(server):
        good = asyncio.create_task(script("http_load").load(target(script, server), clients=2, seconds=8))
        outcomes = await asyncio.gather(*(hostile_requests.send(server.port, one) for one in serving.fifty("light")))
        return await good, outcomes

    with running(limits=limits) as server:
        heard, outcomes = asyncio.run(attack(server))
        held = server.service.held.held
    assert [(one.name, one.outcome) for one in outcomes if one.outcome not in hostile_requests.REFUSED] == []
    assert len(outcomes) == 50
    assert heard.seconds and not heard.others
    assert held == 0 and server.said == []
