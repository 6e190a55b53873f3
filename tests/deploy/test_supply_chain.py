"""What we depend on: its licences, its vulnerabilities, and a list of it."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from deploy.checks import licences, sbom
from deploy.checks.audited import NOT_AUDITED, NOTHING_KNOWN, VULNERABLE, verdict
from tests.deploy.places import DEPLOY, ROOT

TERMS = licences.read(DEPLOY / "checks" / "licences.toml")

# Licences


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("Apache-2.0 AND MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND (GPL-3.0-only OR BSD-3-Clause)", True),
        ("MIT AND (GPL-3.0-only OR AGPL-3.0-only)", False),
        ("", False),
    ],
)
def test_an_expression_is_allowed_where_one_can_keep_to_the_list(
    expression: str, *, allowed: bool
) -> None:
    assert TERMS.allow(expression) is allowed


def test_what_is_pinned_keeps_to_the_list() -> None:
    packages = licences.pinned((ROOT / "requirements.txt").read_text())
    assert len(packages) > 50
    assert list(licences.problems(packages, TERMS)) == []


def test_terms_that_are_not_allowed_are_named() -> None:
    narrow = licences.Terms(frozenset({"MIT"}), TERMS.names, {})
    found = list(licences.problems(["grpcio", "pydantic"], narrow))
    assert found == ["grpcio: Apache-2.0 is not on the list"]


def test_an_exception_holds_for_what_it_was_made_for() -> None:
    other = {"grpcio": {"licence": "MPL-2.0", "reason": ""}}
    found = list(licences.problems(["grpcio"], licences.Terms(frozenset(), {}, other)))
    assert found == ["grpcio: is Apache-2.0 now, and was taken for MPL-2.0"]


def test_an_exception_that_nobody_needs_is_named() -> None:
    gone = {"gone": {"licence": "MIT", "reason": ""}}
    found = list(licences.problems([], licences.Terms(frozenset(), {}, gone)))
    assert found == ["gone: is an exception, and is not pinned"]


def test_every_exception_has_its_reason() -> None:
    for name, each in TERMS.exceptions.items():
        assert len(each["reason"]) > 10, name


# Vulnerabilities


def report(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(dependencies)})


CLEAN = {"name": "a", "version": "1", "vulns": []}
UNASKED = {"name": "b", "skip_reason": "not found"}
ILL = {"name": "c", "version": "2", "vulns": [{"id": "X-1", "fix_versions": ["3"]}]}


@pytest.mark.parametrize(
    ("reports", "code"),
    [
        ([report(CLEAN)], NOTHING_KNOWN),
        ([report(CLEAN), report(CLEAN)], NOTHING_KNOWN),
        ([report(CLEAN, UNASKED)], NOT_AUDITED),
        ([report(CLEAN), ""], NOT_AUDITED),
        ([""], NOT_AUDITED),
        ([report()], NOT_AUDITED),
        ([report(ILL, UNASKED), ""], VULNERABLE),
    ],
)
def test_what_was_not_looked_up_is_no_pass(reports: list[str], code: int) -> None:
    found, lines = verdict(reports, "one\ntwo\n")
    assert found == code
    assert lines[0].startswith("NOT AUDITED") is (code == NOT_AUDITED)


def test_a_vulnerability_is_named_with_what_mends_it() -> None:
    assert verdict([report(ILL)], "")[1] == ["c 2: X-1, mended in 3"]


class _Osv(BaseHTTPRequestHandler):
    """As api.osv.dev answers: of one package it knows something."""

    ill = ""

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        asked = json.loads(self.rfile.read(size))["package"]["name"]
        body = b"{}"
        if asked == self.ill:
            known = {
                "id": "GHSA-test",
                "summary": "of a test",
                "published": "2026-01-01T00:00:00Z",
                "modified": "2026-01-01T00:00:00Z",
                "affected": [{"package": {"name": asked, "ecosystem": "PyPI"}}],
            }
            body = json.dumps({"vulns": [known]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def osv(ill: str = "") -> Iterator[str]:
    handler = type("Osv", (_Osv,), {"ill": ill})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()


def audited(url: str) -> subprocess.CompletedProcess[str]:
    if not (ROOT / "build/tools/python/.ready").exists() and not os.environ.get("CI"):
        pytest.skip("no pip-audit: deploy/checks/tools python")
    return subprocess.run(  # noqa: S603 - ours
        [str(DEPLOY / "checks" / "audit")],
        env={**os.environ, "OSV_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.real_time
def test_an_audit_passes_where_everything_was_asked_for() -> None:
    with osv() as url:
        done = audited(url)
    assert done.returncode == NOTHING_KNOWN, done.stderr
    assert "no known vulnerability" in done.stdout


@pytest.mark.real_time
def test_an_audit_fails_for_a_vulnerability() -> None:
    with osv(ill="grpcio") as url:
        done = audited(url)
    assert done.returncode == VULNERABLE
    assert "grpcio" in done.stderr
    assert "GHSA-test" in done.stderr


@pytest.mark.real_time
def test_an_audit_that_nobody_answers_says_so() -> None:
    with osv() as url:
        pass
    done = audited(url)
    assert done.returncode == NOT_AUDITED
    assert done.stderr.startswith("NOT AUDITED")


# The list


def test_the_list_has_what_the_image_has_and_its_hashes() -> None:
    whole = {
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [
            {"name": "Gr_pc", "version": "1", "bom-ref": "g"},
            {"name": "grpc", "version": "2", "bom-ref": "other"},
            {"name": "pytest", "version": "9", "bom-ref": "p"},
        ],
        "dependencies": [
            {"ref": "root", "dependsOn": ["g", "p"]},
            {"ref": "p"},
            {"ref": "g"},
        ],
    }
    digest = "a" * 64
    pins = sbom.hashes(f"gr-pc==1 ; x \\\n    --hash=sha256:{digest}\n")
    made = sbom.pruned(whole, pins)
    (only,) = made["components"]
    assert only["bom-ref"] == "g"
    assert only["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert made["dependencies"] == [
        {"ref": "root", "dependsOn": ["g"]},
        {"ref": "g", "dependsOn": []},
    ]
