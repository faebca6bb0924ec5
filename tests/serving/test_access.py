"""Who may ask."""

import contextlib
import http.client

import pytest

from tests.serving.made import form, photo, running
from zoo.serving.access import knows_token
from zoo.serving.settings import Access, is_loopback

TOKEN = "0123456789abcdef"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def guarded():
    with running(access=Access(token=TOKEN)) as server:
        yield server


PATHS = [
    ("POST", "/predict"),
    ("POST", "/explain"),
    ("GET", "/models"),
    ("GET", "/metrics"),
    ("GET", "/v2"),
    ("GET", "/v2/models/light"),
    ("GET", "/v2/models/light/ready"),
    ("POST", "/v2/models/light/infer"),
    ("POST", "/reload"),
    ("GET", "/nothing"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_without_the_token_nothing_is_told(guarded, method, path):
    for given in ({}, {"Authorization": "Bearer 0123456789abcdeF"}, {"Authorization": f"Basic {TOKEN}"}):
        answer = guarded.ask(method, path, headers=given)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.document == {"error": "the token is missing or wrong; expected 'Authorization: Bearer TOKEN'"}
    assert guarded.ask(method, path, headers=RIGHT).status != 401


@pytest.mark.parametrize("path", ["/", "/healthz", "/openapi.json", "/v2/health/live", "/v2/health/ready"])
def test_that_the_server_lives_is_told_to_everybody(guarded, path):
    assert guarded.get(path).status == 200


def test_the_token_lets_a_photo_through(guarded):
    content_type, body = form(("a.png", photo()))
    answer = guarded.ask("POST", "/predict", body, {"Content-Type": content_type, **RIGHT})
    assert answer.status == 200


def test_a_client_that_sends_much_hears_why_it_is_refused(guarded):
    """Else its connection ended while it sends, and what it saw would be that alone."""
    answer = guarded.ask("POST", "/predict", b"x" * 20_000_000)
    assert (answer.status, answer.headers["connection"]) == (401, "close")  # as the client asked
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=20)) as connection:
        for _ in range(2):
            connection.request("POST", "/predict", b"x" * 5_000_000)
            refused = connection.getresponse()
            assert (refused.status, refused.getheader("connection")) == (401, None)
            refused.read()


def test_a_path_that_only_looks_open_is_not(guarded):
    for path in ("/healthz/", "//healthz", "/healthz/../metrics", "/HEALTHZ", "/metrics?/healthz", "/%2fhealthz"):
        assert guarded.get(path).status == 401, path


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer   {TOKEN} ", True),
        (f"Bearer {TOKEN}x", False),
        (TOKEN, False),
        ("Bearer", False),
        ("", False),
        ("Bearer ä", False),
    ],
)
def test_the_token_is_the_whole_of_it(header, expected):
    assert knows_token(header, TOKEN) is expected


def test_a_page_of_another_site_is_refused(server):
    for origin in ("http://example.com", "null", f"https://127.0.0.1:{server.port + 1}"):
        answer = server.send(("a.png", photo()), Origin=origin)
        assert (answer.status, answer.document) == (
            403,
            {"error": "the request comes from a page of another site; expected a token"},
        )
    assert server.send(("a.png", photo()), Origin=f"http://127.0.0.1:{server.port}").status == 200


def test_a_name_that_leads_to_this_machine_is_refused(server):
    """A page of evil.example whose name was turned to 127.0.0.1 asks with its own name."""
    for host in ("evil.example", "evil.example:8000", "[::1", "127.0.0.1.evil.example"):
        answer = server.ask("GET", "/models", headers={"Host": host})
        assert answer.status == 403, host
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
        assert server.ask("GET", "/models", headers={"Host": host}).status == 200, host


def test_without_a_token_nobody_reloads_by_http(server):
    answer = server.ask("POST", "/reload")
    assert (answer.status, answer.document) == (
        403,
        {"error": "reload needs a token (--token-file); or send SIGHUP to the process"},
    )


def test_answers_are_nobody_elses(server):
    headers = server.send(("a.png", photo())).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers and "server" not in headers


def test_what_a_loopback_address_is():
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.1.2.3", "::1"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.1.1", "example.com", ""]))
