"""The page as it is sent."""

import base64
import hashlib
import re

from zoo.serving.page import rendered

INSIDE = r"<{0}>(.*?)</{0}>"


def test_the_policy_lets_the_pages_own_style_and_script_run_and_nothing_else(server):
    answer = server.get("/")
    text, policy = answer.content.decode(), answer.headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for kind, rule in {"style": "style-src", "script": "script-src"}.items():
        (content,) = re.findall(INSIDE.format(kind), text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert rules == {
        **{rule: rules[rule] for rule in ("style-src", "script-src")},
        "default-src": "'none'",
        "img-src": "blob: data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_the_page_names_nothing_elsewhere():
    text, _ = rendered()
    named = set(re.findall(r"https?://[^\s'\")]+|(?<=[\"'])//[^\s'\"]+", text))
    assert named == {"http://www.w3.org/2000/svg"}  # a name of XML, in the icon
    assert not re.findall(r"\son\w+=|javascript:|style=", text)


def test_what_the_server_answers_is_put_in_as_text():
    text, _ = rendered()
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
