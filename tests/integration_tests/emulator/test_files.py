"""Files over HTTP: uploads, downloads, ranges, thumbnails, hostile names."""

from __future__ import annotations

import io
import os
import re
from urllib.parse import quote

import pytest
from PIL import Image

NOBODY = "00000000-0000-4000-8000-000000000000"


def encoded(name):
    """Nothing on the way may read a name as path."""
    return quote(name, safe="").replace(".", "%2E")


@pytest.fixture
def files(wire):
    """Uploads to one session and reads from it."""

    class Files:
        session = wire.session("files")

        def put(self, name, content, **headers):
            url = f"/api/sessions/{self.session}/files/upload"
            return wire.http.post(url, files={"file": (name, content)}, headers=headers)

        def get(self, name, session=None, **options):
            return wire.http.get(f"/api/sessions/{session or self.session}/files/{encoded(name)}", **options)

        def delete(self, name, session=None):
            return wire.http.delete(f"/api/sessions/{session or self.session}/files/{encoded(name)}")

        def private(self, name, content):
            (wire.server.state.files.workspace(self.session) / name).write_bytes(content)

    return Files()


def picture(width=400, height=200):
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("wire", ["0.5", "0.6", "0.6.5", "0.7", "0.8", "next"], indirect=True)
def test_uploads_come_back_as_they_were(wire, files):
    content = os.urandom(1 << 20)
    reply = files.put("data.bin", content)
    assert reply.status_code == 201
    info = reply.json()
    assert (info["name"], info["size"], info["isDir"], info["modified"]) == ("data.bin", 1 << 20, False, 0)
    assert info["url"] == f"{wire.server.url}/api/sessions/{files.session}/files/data.bin"
    assert wire.http.get(info["url"]).content == content
    listed = wire.http.get(f"/api/sessions/{files.session}/files").json()
    assert listed == [info]


def test_urls_follow_the_host_header_and_the_forwarded_scheme_q28(make):
    wire = make("0.8", hosts=["mix.example"])
    session = wire.session()
    headers = {"Host": "mix.example:9", "X-Forwarded-Proto": "https"}
    reply = wire.http.post(f"/api/sessions/{session}/files/upload", files={"file": ("a b.txt", b"x")}, headers=headers)
    assert reply.json()["url"] == f"https://mix.example:9/api/sessions/{session}/files/a_b.txt"


def test_directories_in_names_are_dropped(files):
    assert files.put("../etc/passwd", b"x").json()["name"] == "passwd"
    assert files.get("passwd").content == b"x"


def test_large_uploads_are_spooled(wire, files):
    size = 40 << 20
    assert files.put("large.bin", io.BytesIO(bytes(size))).json()["size"] == size
    assert (wire.server.state.files.uploads / "large.bin").stat().st_size == size
    record = next(r for r in wire.server.requests if r.path.endswith("/upload"))
    assert record.size > size
    assert len(record.body) == 1 << 20


def test_uploads_are_shared_by_all_sessions_q27(wire, files):
    other = wire.session("other")
    files.put("shared.txt", b"mine")
    assert files.get("shared.txt", session=other).content == b"mine"
    assert files.delete("shared.txt", session=other).status_code == 204
    assert wire.error(files.get("shared.txt")) == (404, "not_found", "File with ID 'shared.txt' not found")
    assert wire.error(files.delete("shared.txt"))[0] == 404


def test_private_files_are_seen_by_their_session_only_and_come_first(wire, files):
    files.put("a.txt", b"upload")
    files.private("a.txt", b"private")
    assert files.get("a.txt").content == b"private"
    assert files.get("a.txt", session=wire.session()).content == b"upload"


def test_private_files_have_ranges_and_are_not_cached(files):
    files.private("a.txt", b"0123456789")
    reply = files.get("a.txt")
    assert reply.headers["content-type"].startswith("text/plain")
    assert reply.headers["cache-control"] == "no-cache, no-store, must-revalidate"
    assert (reply.headers["pragma"], reply.headers["expires"]) == ("no-cache", "0")
    assert "last-modified" in reply.headers
    part = files.get("a.txt", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert files.get("a.txt", headers={"Range": "bytes=99-"}).status_code == 416


@pytest.mark.parametrize(
    ("since", "status"),
    [
        ("Sat, 01 Jan 2022 00:00:01 GMT", 304),
        ("Sat, 01 Jan 2022 00:00:00 GMT", 304),
        ("Fri, 31 Dec 2021 23:59:59 GMT", 200),
        ("yesterday", 200),
    ],
)
def test_requests_for_private_files_may_be_conditional(wire, files, since, status):
    files.private("a.txt", b"0123456789")
    os.utime(wire.server.state.files.workspace(files.session) / "a.txt", (1640995200.7, 1640995200.7))
    reply = files.get("a.txt", headers={"If-Modified-Since": since})
    assert (reply.status_code, reply.content) == (status, b"" if status == 304 else b"0123456789")
    assert reply.headers["last-modified"] == "Sat, 01 Jan 2022 00:00:00 GMT"
    assert "no-store" in reply.headers["cache-control"]


def test_uploads_have_no_modification_time(files):
    files.put("a.txt", b"0123456789")
    reply = files.get("a.txt", headers={"If-Modified-Since": "Fri, 31 Dec 2100 23:59:59 GMT"})
    assert (reply.status_code, reply.content) == (200, b"0123456789")
    assert "last-modified" not in reply.headers


def test_uploads_are_plain_copies_without_ranges(files):
    files.put('qu"ote.txt', b"<html>hi</html>")
    name = files.put("page", b"<html>hi</html>").json()["name"]
    reply = files.get(name, headers={"Range": "bytes=2-4"})
    assert (reply.status_code, reply.content) == (200, b"<html>hi</html>")
    assert reply.headers["content-disposition"] == f'inline; filename="{name}"'
    assert reply.headers["content-type"] == "text/html; charset=utf-8"


def test_names_of_other_scripts(files):
    name = files.put("résumé 漢字.txt", "ü".encode()).json()["name"]
    assert name == "résumé_漢字.txt"
    assert files.get(name).content == "ü".encode()


def test_hostile_names_lead_nowhere(wire, files):
    for name in ("..", "../x", "../../etc/passwd", "a/../../x", "..\\x", "/etc/passwd", "\0", "x" * 300):
        reply = files.get(name)
        assert reply.status_code in {400, 404, 500}
        assert wire.error(reply)[1] in {"validation_error", "not_found", "internal_error"}
        assert files.delete(name).status_code in {400, 404, 500}


def test_links_out_of_the_directory_are_refused(wire, files, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (wire.server.state.files.workspace(files.session) / "link").symlink_to(secret)
    assert b"secret" not in files.get("link").content


def test_directories_are_not_served(wire, files):
    (wire.server.state.files.uploads / "sub").mkdir()
    (wire.server.state.files.uploads / "sub" / "a.txt").write_text("deep")
    reply = files.get("sub")
    assert (reply.status_code, reply.text) == (400, "Cannot serve directory\n")
    assert files.get("sub/a.txt").text == "deep"
    assert "sub/a.txt" in [f["name"] for f in wire.http.get(f"/api/sessions/{files.session}/files").json()]


@pytest.mark.parametrize("session", ["nonsense", "..%2f", NOBODY])
def test_bad_sessions(wire, session):
    status = 404 if session == NOBODY else 400
    base = f"/api/sessions/{session}/files"
    replies = [
        wire.http.get(base),
        wire.http.get(f"{base}/a.txt"),
        wire.http.delete(f"{base}/a.txt"),
        wire.http.post(f"{base}/upload", files={"file": ("a", b"x")}),
        wire.http.post(f"{base}/upload", content=b"no form"),
    ]
    assert [reply.status_code for reply in replies] == [status] * 5
    if status == 400:
        assert "field 'id'" in wire.error(replies[0])[2]


def test_bad_forms(wire, files):
    url = f"/api/sessions/{files.session}/files/upload"
    assert "field 'form'" in wire.error(wire.http.post(url, content=b"x"))[2]
    assert "field 'file'" in wire.error(wire.http.post(url, files={"other": ("a", b"x")}))[2]
    head = {"content-type": "multipart/form-data"}
    assert "field 'form'" in wire.error(wire.http.post(url, content=b"x", headers=head))[2]
    head = {"content-type": "multipart/form-data; boundary=b"}
    assert wire.error(wire.http.post(url, content=b"nonsense", headers=head))[0] == 400
    cut = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf'
    assert wire.error(wire.http.post(url, content=cut, headers=head)) == (
        400,
        "validation_error",
        "Validation error for field 'form': multipart: NextPart: EOF",
    )
    value = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nno file\r\n--b--\r\n'
    assert "field 'file'" in wire.error(wire.http.post(url, content=value, headers=head))[2]
    assert wire.http.get(f"/api/sessions/{files.session}/files").json() == []


def test_thumbnails(files):
    files.put("p.png", picture())
    for spec, size in {"100": (100, 50), "w200": (200, 100), "h50": (100, 50)}.items():
        reply = files.get("p.png", params={"thumb": spec})
        assert reply.headers["content-type"] == "image/jpeg"
        assert reply.headers["cache-control"] == "public, max-age=86400"
        assert Image.open(io.BytesIO(reply.content)).size == size


def test_thumbnail_errors(files):
    files.put("a.txt", b"text")
    files.put("p.png", picture())
    for spec in ("100", "nonsense"):
        reply = files.get("a.txt", params={"thumb": spec})
        assert (reply.status_code, reply.text) == (400, "Thumbnails only supported for video and image files\n")
    for options in ({"thumb": "15"}, {"thumb": "nonsense"}, {"thumb": "100", "time": "soon"}):
        reply = files.get("p.png", params=options)
        assert reply.status_code == 500
        assert reply.text.startswith("Thumbnail generation failed: ")


def test_parallel_uploads_to_several_sessions(wire):
    sessions = [wire.session(str(n)) for n in range(5)]

    def put(session):
        url = f"/api/sessions/{session}/files/upload"
        return wire.http.post(url, files={"file": (f"{session}.txt", session.encode())}).status_code

    assert list(wire.pool.map(put, sessions)) == [201] * 5


@pytest.mark.parametrize("wire", ["0.8", "next"], indirect=True)
def test_screenshots(wire):
    session, other = wire.session(), wire.session()
    address = wire.server.state.save_screenshot(session, picture())
    assert re.fullmatch(rf"{wire.server.url}/api/sessions/{session}/screenshots/[0-9]+\.png", address)
    assert wire.server.state.save_screenshot(session, b"") != address
    reply = wire.http.get(address)
    assert (reply.status_code, reply.content) == (200, picture())
    assert reply.headers["content-type"] == "image/png"
    assert reply.headers["cache-control"] == "public, max-age=31536000"
    for missing in (address + "x", address.replace(session, other), address.replace(session, "nobody")):
        reply = wire.http.get(missing)
        assert (reply.status_code, reply.headers["content-type"]) == (404, "text/plain; charset=utf-8")
    for bad in ("a..png", "%2E%2E", "..%2Fx.png", "a%2Fb", "a%5Cb"):
        reply = wire.http.get(f"/api/sessions/{session}/screenshots/{bad}")
        assert (reply.status_code, reply.text) == (400, "Invalid filename\n")
    assert wire.http.get(f"/api/sessions/{session}/files").json() == []
    wire.http.delete(f"/api/sessions/{session}")
    assert wire.http.get(address).status_code == 404
    assert not list((wire.server.data_dir / "screenshots").iterdir())


@pytest.mark.parametrize("wire", ["0.5", "0.7"], indirect=True)
def test_older_servers_have_no_route_of_screenshots(wire):
    assert wire.http.get(f"/api/sessions/{wire.session()}/screenshots/1.png").text == "404 page not found\n"
