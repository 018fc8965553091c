# SPDX-License-Identifier: Apache-2.0
"""A download over a real connection: resumed, retried, and never something else in place of the file."""

import shutil
import socket
import ssl
import subprocess
import time
from email.utils import formatdate

import pytest

from evitsam_ros.fetch.download import BLOCK, Patience, download
from evitsam_ros.fetch.errors import FetchError

from .conftest import QUICK, entry
from .server import (
    FileServer,
    chunked,
    cut,
    endless,
    html,
    other_range,
    redirect,
    slow,
    status,
    without_ranges,
)

PATH = "/official/small_sam.pt"


@pytest.fixture
def part(tmp_path):
    return tmp_path / "small_sam.pt.part"


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def get(server, small, part, lines):
    """Download the small file from the server; returns what arrived."""
    server.files[PATH] = small

    def get(**changes) -> bytes:
        download(server.url + PATH, part, entry(server.url, small, **changes), lines.append, QUICK)
        return part.read_bytes()

    return get


def test_a_file_arrives_as_it_is(get, small, server, lines):
    assert get() == small
    assert server.requests == [(PATH, None)] and not lines


def test_existing_bytes_are_not_downloaded_again(get, small, server, part):
    part.write_bytes(small[:100_000])
    assert get() == small
    assert server.requests == [(PATH, "bytes=100000-")]


def test_a_complete_part_needs_no_byte(get, small, part):
    part.write_bytes(small)
    assert get() == small


def test_a_part_that_is_too_long_is_discarded(get, small, server, part):
    part.write_bytes(small + b"more")
    assert get() == small
    assert [expected for _, expected in server.requests] == [f"bytes={len(small) + 4}-", None]


@pytest.mark.parametrize("after", [0, 1, 20_000, 70_000])
def test_cut_connections_are_resumed(get, small, server, lines, after):
    server.faults[PATH] = [cut(after), cut(after)]
    assert get() == small
    starts = [int(expected[6:-1]) if expected else 0 for _, expected in server.requests]
    # Of what arrived, less than a block may be lost.
    assert all(n * (after - BLOCK) < start + 1 <= n * after + 1 for n, start in enumerate(starts))
    assert len(lines) == 2 and all("next try in" in line for line in lines)


def test_progress_counts_more_than_the_number_of_cuts(get, small, server):
    server.faults[PATH] = [cut(20_000) for _ in range(QUICK.tries + 2)]
    assert get() == small


def test_a_server_without_ranges_begins_again(get, small, server):
    server.faults[PATH] = [cut(70_000), without_ranges]
    assert get() == small


def test_an_unrequested_range_is_not_appended(get, small, server):
    server.faults[PATH] = [cut(70_000), other_range]
    assert get() == small


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_passing_failures_are_retried(get, small, server, lines, code):
    server.faults[PATH] = [status(code)]
    assert get() == small
    assert str(code) in lines[0]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_of_the_server_is_obeyed(get, small, server, form):
    value = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
    server.faults[PATH] = [status(503, {"Retry-After": value})]
    started = time.monotonic()
    assert get() == small
    assert time.monotonic() - started > 0.5


def test_a_wait_without_end_is_limited(server, small, part, lines):
    server.files[PATH] = small
    server.faults[PATH] = [status(503, {"Retry-After": "86400"})]
    download(server.url + PATH, part, entry(server.url, small), lines.append, QUICK)
    assert part.read_bytes() == small and "next try in 1 s" in lines[0]


def test_it_gives_up_after_failures_without_progress(get, server, small, part):
    server.faults[PATH] = [cut(70_000)] + [status(503)] * QUICK.tries
    with pytest.raises(FetchError, match=r"503.*gave up after 4 tries"):
        get()
    assert part.read_bytes() == small[: part.stat().st_size] and part.stat().st_size > 70_000 - BLOCK


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_lasting_failures_are_not_retried(get, server, code, part):
    server.faults[PATH] = [status(code)]
    with pytest.raises(FetchError, match=rf"small_sam\.pt: {code} .*--mirror.*--from FILE"):
        get()
    assert len(server.requests) == 1 and not part.exists()


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
@pytest.mark.parametrize("size_known", [True, False])
def test_a_page_with_status_200_is_never_the_file(get, small, server, part, kind, size_known):
    changes = {} if size_known else {"size": None}
    server.faults[PATH] = [html(kind)]
    if size_known and "html" not in kind:
        with pytest.raises(FetchError, match=rf"has \d+ bytes; expected {len(small)}"):
            get(**changes)
        assert not part.exists()
    else:
        assert get(**changes) == small
    server.faults[PATH] = [html("text/html")] * QUICK.tries
    part.unlink(missing_ok=True)
    with pytest.raises(FetchError, match="an HTML page came in place of the file"):
        get(**changes)
    assert not part.exists() or not part.stat().st_size


def test_a_file_of_another_size_is_rejected_before_it_is_downloaded(get, server, small, part):
    server.files[PATH] = small[:-5]
    with pytest.raises(FetchError, match=rf"has {len(small) - 5} bytes; expected {len(small)}"):
        get()
    assert not part.exists()


def test_sizes_that_are_rounded_allow_one_percent(get, small, server):
    assert get(size=round(len(small) * 1.005), exact=False) == small
    with pytest.raises(FetchError, match="expected about"):
        server.files[PATH] = small
        get(size=round(len(small) * 1.02), exact=False)


def test_a_body_without_a_length_arrives(get, small, server):
    server.faults[PATH] = [chunked]
    assert get() == small


def test_bytes_without_end_are_stopped(get, server, small, part):
    server.faults[PATH] = [endless]
    with pytest.raises(FetchError, match=f"more than {len(small)} bytes came"):
        get()
    assert not part.exists() or not part.stat().st_size


def test_a_slow_server_is_waited_for_and_one_that_hangs_is_left(server, small, part, lines):
    server.files[PATH] = small
    patience = Patience(connect_s=60, read_s=2.0, tries=3, pause_s=0.01)
    server.faults[PATH] = [slow(8, 0.4)]  # longer than the limit in all, not between two pieces
    download(server.url + PATH, part, entry(server.url, small), lines.append, patience)
    assert part.read_bytes() == small and not lines
    part.unlink()
    server.faults[PATH] = [slow(2, 30.0)]
    download(server.url + PATH, part, entry(server.url, small), lines.append, patience)
    assert part.read_bytes() == small and "no bytes came" in lines[0]


def test_redirects_are_followed_with_their_range(get, small, server, part):
    server.files["/cdn/object"] = small
    server.faults[PATH] = [redirect("/hop"), redirect("/hop")]
    server.faults["/hop"] = [redirect("/cdn/object"), redirect("/cdn/object")]
    server.faults["/cdn/object"] = [cut(70_000)]
    assert get() == small
    path, expected = server.requests[-1]
    assert path == "/cdn/object" and 70_000 - BLOCK < int(expected[6:-1]) <= 70_000


def test_redirects_without_end_are_named(get, server):
    server.faults[PATH] = [redirect(PATH)] * 50
    with pytest.raises(FetchError, match="redirected too often"):
        get()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_no_network_is_one_line_with_a_remedy(small, part, lines, host):
    url = f"http://{host}:{free_port()}/x.pt"
    with pytest.raises(FetchError) as caught:
        download(url, part, entry(url, small), lines.append, QUICK)
    text = str(caught.value)
    assert host in text and "cannot be reached" in text and "--from FILE" in text
    assert "\n" not in text and "0x" not in text and len(text) < 400


def test_a_proxy_is_used_and_one_that_is_not_there_is_named(small, part, lines, server, monkeypatch):
    server.files[PATH] = small
    monkeypatch.setenv("http_proxy", server.url)
    url = f"http://weights.example{PATH}"
    download(url, part, entry(url, small), lines.append, QUICK)
    assert part.read_bytes() == small and server.requests == [(url, None)]
    part.unlink()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(FetchError, match=r"the proxy of HTTPS_PROXY or HTTP_PROXY.*refused"):
        download(url, part, entry(url, small), lines.append, QUICK)


@pytest.fixture
def encrypted(tmp_path):
    """A server with a certificate of its own, and the certificate's file."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        certificate,
    ]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = FileServer(context)
    yield server, certificate
    server.close()


def test_certificates_are_checked(encrypted, small, part, lines, monkeypatch):
    server, certificate = encrypted
    server.files[PATH] = small
    with pytest.raises(FetchError, match=r"localhost.*certificate is not trusted.*REQUESTS_CA_BUNDLE"):
        download(server.url + PATH, part, entry(server.url, small), lines.append, QUICK)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    download(server.url + PATH, part, entry(server.url, small), lines.append, QUICK)
    assert part.read_bytes() == small and not lines


def test_a_redirect_to_an_unencrypted_place_is_rejected(encrypted, small, part, lines, server, monkeypatch):
    secure, certificate = encrypted
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    server.files["/plain"] = small
    secure.faults[PATH] = [redirect(f"{server.url}/plain")]
    with pytest.raises(FetchError, match="is not encrypted"):
        download(secure.url + PATH, part, entry(secure.url, small), lines.append, QUICK)
