"""Where a stranger may send a judge's requests: nowhere but to the public internet, in whatever spelling."""

import socket

import pytest
from PIL import Image

from milr_core import CriticError, InputError, load_critic
from milr_core.critics import endpoint as module
from milr_core.critics.endpoint import Policy, check_endpoint, is_public
from tests.critics.loopback import Endpoint

IMAGE = Image.new("RGB", (16, 16), "red")
PUBLIC = Policy(public_only=True)


@pytest.fixture
def inside(monkeypatch):
    """A service on this machine that no stranger should reach."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "MILR_JUDGE_URLS", "MILR_JUDGE_HOSTS"):
        monkeypatch.delenv(name, raising=False)
    server = Endpoint()
    yield server
    server.close()


def entries(*addresses):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]


SPELLINGS = (
    "127.0.0.1 127.1 127.0.1 0x7f000001 0x7f.1 2130706433 017700000001 0177.0.0.1 0 0.0.0.0 localhost LOCALHOST "
    "localhost. [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [0:0:0:0:0:0:0:1] 127.127.127.127"
).split()


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_this_machine_is_taken(inside, host):
    url = f"http://{host}:{inside.server.server_port}/v1"
    with pytest.raises(InputError, match="not on the public internet|names a host"):
        load_critic("gpt-4o", base_url=url, key="k", policy=PUBLIC)
    assert inside.requests == []


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16",
     "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "0.0.0.0", "::", "::1", "fe80::1",
     "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "::ffff:8.8.8.8", "64:ff9b::7f00:1",
     "2002:7f00:1::1", "2001:0:7f00:1::1", "2001:db8::1", "::7f00:1"],
)  # fmt: skip
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111"])
def test_addresses_that_are(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://x", "//x/v1", "http://", "http:///v1", "file:///etc/passwd", "gopher://127.0.0.1", "http://[::1",
     "x" * 5000,
     "http://a b/", "http://x:99999/", "http://ex\x00ample/", None, 3],
)  # fmt: skip
def test_what_is_no_address(url, inside):
    with pytest.raises(InputError, match="begins with http"):
        check_endpoint(url, Policy())


def test_passwords_and_tricks_with_them(inside):
    for url in ("http://u:p@host/v1", "http://8.8.8.8@127.0.0.1/v1", "http://8.8.8.8\\@127.0.0.1/v1"):
        with pytest.raises(InputError, match="password|not on the public|names a host"):
            check_endpoint(url, PUBLIC)


def test_one_internal_address_among_public_ones_is_enough(inside, monkeypatch):
    for found in (["8.8.8.8", "10.0.0.1"], ["127.0.0.1"], []):
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, found=found, **k: entries(*found))
        with pytest.raises(
            InputError, match="not on the public internet: this page does not ask 'judge.example'"
        ) as said:
            check_endpoint("https://judge.example/v1", PUBLIC)
        assert "10.0.0.1" not in str(said.value), "what a name resolves to is not told"
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: entries("8.8.8.8"))
    check_endpoint("https://judge.example/v1", PUBLIC)


def test_a_name_that_is_bound_anew_is_checked_again(inside, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: entries("8.8.8.8"))
    url = f"http://judge.example:{inside.server.server_port}/v1"
    critic = load_critic("gpt-4o", base_url=url, key="k", policy=PUBLIC, retries=0)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: entries("127.0.0.1"))
    with pytest.raises(InputError, match="not on the public internet"):
        critic.score([IMAGE], "x")
    assert inside.requests == []


def test_the_connection_goes_to_the_address_that_was_checked(inside, monkeypatch):
    monkeypatch.setattr(module, "is_public", lambda address: True)  # this machine, for once, as if it were out there
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    real, asked = socket.getaddrinfo, []

    def lookup(host, *more, **how):
        asked.append(host)
        return entries("127.0.0.1") if host == "judge.example" else real(host, *more, **how)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    url = f"http://judge.example:{inside.server.server_port}/v1"
    critic = load_critic("gpt-4o", base_url=url, key="k", policy=PUBLIC, retries=0)
    asked.clear()
    assert critic.score([IMAGE], "x")[0].value == 0.7
    assert (
        asked.count("judge.example") == 1 and inside.requests[0][1]["host"] == f"judge.example:{url.split(':')[2][:-3]}"
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(inside, status):
    secret = Endpoint()
    inside.replies = [lambda handler: handler.say(status, b"", [("Location", secret.url + "/chat/completions")])]
    with pytest.raises(CriticError, match="sends requests elsewhere") as said:
        load_critic("gpt-4o", base_url=inside.url, key="k").score([IMAGE], "x")
    secret.close()
    assert secret.requests == [] and str(secret.server.server_port) not in str(said.value)


def test_the_operator_allows_forbids_and_is_exempt(inside, monkeypatch):
    url = inside.url
    check_endpoint(url, Policy.of_environment())
    with pytest.raises(InputError, match="not on the public"):
        check_endpoint(url, Policy.of_environment(public_only=True))
    monkeypatch.setenv("MILR_JUDGE_URLS", "public")
    with pytest.raises(InputError, match="not on the public"):
        load_critic("gpt-4o", base_url=url, key="k")
    monkeypatch.setenv("MILR_JUDGE_HOSTS", f"*.example, 127.0.0.1:{inside.server.server_port}")
    policy = Policy.of_environment(public_only=True)
    for allowed in (url, "https://a.example/v1"):
        check_endpoint(allowed, policy)
    for refused in (
        "http://127.0.0.1:1/v1",
        "https://example/v1",
        "https://notexample/v1",
        "https://api.openai.com/v2",
    ):
        with pytest.raises(InputError, match="asks judges at .* only"):
            check_endpoint(refused, policy)
    assert load_critic("gpt-4o", base_url=url, key="k").score([IMAGE], "x")[0].value == 0.7
    monkeypatch.setenv("MILR_JUDGE_URLS", "off")
    with pytest.raises(InputError, match="no other judge than its own"):
        load_critic("gpt-4o", base_url=url, key="k")
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    assert load_critic("gpt-4o").score([IMAGE], "y")[0].value == 0.7, "the operator's own endpoint is where it is"
    monkeypatch.setenv("MILR_JUDGE_URLS", "any")
    assert Policy.of_environment(public_only=True).public_only is False, "said by the operator"
    monkeypatch.setenv("MILR_JUDGE_URLS", "maybe")
    with pytest.raises(InputError, match="any, public or off"):
        Policy.of_environment()
