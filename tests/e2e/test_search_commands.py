"""The commands of two-stage search, and the demo, run as users run them."""

import asyncio
import gzip
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.configurations import SEARCHED
from tests.e2e.shapes import SHAPES
from tests.e2e.subprocesses import ENVIRONMENT, ROOT, command, serving
from tests.e2e.vendor import Exchange, Vendor

pytestmark = pytest.mark.real_time

_SAMPLE = ROOT / "clients/demo/scifact"
_QUERIES = ("--queries", str(_SAMPLE / "queries.jsonl"))
_JUDGED = (*_QUERIES, "--qrels", str(_SAMPLE / "qrels.tsv"))
_CLAIM = "A deficiency of vitamin B12 increases blood levels of homocysteine."


def _environ(folder: Path, **more: str) -> dict[str, str]:
    return {
        "RERANK_GATEWAY__RETRIEVAL__ENGINE": "embedded",
        "RERANK_GATEWAY__RETRIEVAL__PATH": str(folder / "data"),
        "XDG_STATE_HOME": str(folder / "state"),
        **more,
    }


def _words_only(folder: Path) -> dict[str, str]:
    return _environ(folder, RERANK_GATEWAY__EMBEDDER__DIALECT="none")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return _words_only(tmp_path)


@pytest.fixture(scope="module")
async def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give an environment in which the demo's abstracts are stored."""
    environ = _environ(tmp_path_factory.mktemp("sample"))
    finished = await command(
        *("import", str(_SAMPLE / "corpus.jsonl.gz"), "--collection", "scifact"),
        environ=environ,
    )
    assert finished.code == 0, finished.err
    assert finished.out.startswith("scifact: 300 documents accepted, 0 rejected, in ")
    return environ


def _corpus(file: Path, count: int) -> Path:
    file.write_text(
        "".join(
            json.dumps({"_id": f"d{number}", "title": "", "text": f"number {number}"})
            + "\n"
            for number in range(count)
        )
    )
    return file


async def _importing(
    *arguments: str, environ: dict[str, str]
) -> asyncio.subprocess.Process:
    """Begin an import that takes a while."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway", "import", "--batch", "1", *arguments),
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _until_some_is_stored(folder: Path) -> None:
    def nothing() -> bool:
        return not any((folder / "state").rglob("*.json"))

    async with asyncio.timeout(60):
        while nothing():  # noqa: ASYNC110 - it is another process that makes it
            await asyncio.sleep(0.05)


async def _collections(environ: dict[str, str]) -> dict[str, dict[str, Any]]:
    finished = await command("collections", "--json", environ=environ)
    assert finished.code == 0, finished.err
    listed = [json.loads(line) for line in finished.out.splitlines()]
    return {each["name"]: each for each in listed}


# import


async def test_import_stores_what_it_can_and_tells_what_it_rejected(
    environ: dict[str, str],
) -> None:
    lines = [
        '{"_id": "a", "title": "A", "text": "first", "metadata": {"year": 2020}}',
        "",
        "no JSON",
        '{"id": 7, "text": "second", "year": 2021}',
        '{"_id": "b", "text": "third", "year": "old"}',
        '{"_id": "c", "text": " "}',
        '{"text": "fourth"}',
        '{"_id": "a", "text": "fifth"}',
    ]

    finished = await command(
        *("import", "-", "--collection", "notes", "--field", "year:int64"),
        environ=environ,
        stdin="\n".join(lines),
    )

    assert finished.code == 0, finished.err
    first, *rejected = finished.out.splitlines()
    assert first.startswith("notes: 2 documents accepted, 5 rejected, in ")
    assert [line.split(": ", 1)[0] for line in rejected] == [
        *("NOT_JSON", "  -:3"),
        *("INVALID_FIELD", "  -:5"),
        *("BLANK", "  -:6"),
        *("INVALID_ID", "  -:7"),
        *("DUPLICATE_ID", "  -:8"),
    ]
    stored = (await _collections(environ))["notes"]
    assert stored["document_count"] == "2"
    assert stored["fields"] == [{"name": "year", "type": "FIELD_TYPE_INT64"}]


async def test_import_reads_several_files_and_replaces_what_is_there(
    environ: dict[str, str], tmp_path: Path
) -> None:
    plain = _corpus(tmp_path / "plain.jsonl", 30)
    compressed = tmp_path / "more.jsonl.gz"
    more = _corpus(tmp_path / "more.jsonl", 40).read_bytes()
    compressed.write_bytes(gzip.compress(more))

    for _ in range(2):
        finished = await command(
            *("import", str(plain), str(compressed), "--batch", "7"), environ=environ
        )
        assert finished.code == 0, finished.err
        assert finished.out.startswith("default: 70 documents accepted, 0 rejected")

    assert (await _collections(environ))["default"]["document_count"] == "40"


async def test_an_import_goes_on_where_it_was_interrupted(
    environ: dict[str, str], tmp_path: Path
) -> None:
    corpus = str(_corpus(tmp_path / "corpus.jsonl", 3000))
    process = await _importing(corpus, environ=environ)
    await _until_some_is_stored(tmp_path)
    process.send_signal(signal.SIGINT)
    out, err = (each.decode() for each in await process.communicate())

    assert process.returncode == 1
    assert err == "rerank-gateway: interrupted\n"
    accepted = int(out.split()[1])
    assert 0 < accepted < 3000
    assert f"stopped after line {accepted} of {corpus}; --resume goes on there" in out

    resumed = await command(
        "import", corpus, "--resume", "--batch", "1000", environ=environ
    )
    again = await command("import", corpus, "--resume", environ=environ)

    assert resumed.code == again.code == 0
    assert f"default: {3000 - accepted} documents accepted" in resumed.out
    assert f"{accepted} lines were done by an earlier run" in resumed.out
    assert "default: 0 documents accepted" in again.out
    assert (await _collections(environ))["default"]["document_count"] == "3000"


async def test_an_import_survives_that_its_gateway_is_killed_and_started_again(
    environ: dict[str, str], tmp_path: Path
) -> None:
    corpus = str(_corpus(tmp_path / "corpus.jsonl", 200))
    async with serving(environ=environ) as server:
        process = await _importing(corpus, "--address", server.address, environ=environ)
        await _until_some_is_stored(tmp_path)
        await server.stop(signal.SIGKILL)
    async with serving("--address", server.address, environ=environ):
        out, err = (each.decode() for each in await process.communicate())

        assert process.returncode == 0, err
        assert out.startswith("default: 200 documents accepted, 0 rejected")
        stored = await command(
            "collections", "--json", "--address", server.address, environ=environ
        )
    assert json.loads(stored.out)["document_count"] == "200"


# collections


async def test_collections_shows_what_there_is(environ: dict[str, str]) -> None:
    for name, field in (("papers", "year:int64"), ("books", "lent:bool")):
        await command(
            *("import", "-", "--collection", name, "--field", field),
            environ=environ,
            stdin='{"_id": "a", "text": "x"}',
        )

    finished = await command("collections", environ=environ)

    assert finished.code == 0, finished.err
    heading, *rows = (line.split() for line in finished.out.splitlines())
    assert heading == [
        *("collection", "documents", "dimension", "version", "created", "fields")
    ]
    assert [(row[0], row[1], row[2], row[-1]) for row in rows] == [
        ("books", "1", "-", "lent:bool"),
        ("papers", "1", "-", "year:int64"),
    ]


# search


async def test_search_shows_what_was_found_and_what_happened(
    sample: dict[str, str],
) -> None:
    finished = await command(
        *("search", _CLAIM, "--collection", "scifact", "--limit", "5"), environ=sample
    )

    assert finished.code == 0, finished.err
    heading, *rows = finished.out.splitlines()
    assert heading.split() == [
        *("rank", "before", "score", "search_method", "id", "document")
    ]
    assert [row.split()[0] for row in rows[:5]] == ["1", "2", "3", "4", "5"]
    assert all("rrf_hybrid+rerank" in row for row in rows[:5])
    assert any("homocysteine" in row for row in rows[:5])
    assert rows[6] == "RERANKED: RRF + Cross-Encoder Reranking"
    assert "with local (all-minilm-l6-v2+bm25)" in rows[7]


async def test_search_explains_what_each_leg_said(sample: dict[str, str]) -> None:
    finished = await command(
        *("search", _CLAIM, "--collection", "scifact", "--no-rerank", "--explain"),
        *("--limit", "3", "--offset", "1", "--mmr", "--relevance-weight", "0.5"),
        environ=sample,
    )

    assert finished.code == 0, finished.err
    heading, *rows = finished.out.splitlines()
    assert heading.split()[:7] == [
        *("rank", "before", "score", "fused", "vector", "BM25", "MMR")
    ]
    assert [row.split()[0] for row in rows[:3]] == ["2", "3", "4"]
    assert "#" in rows[0]
    assert "MMR diversification (λ=0.50)" in rows[4]


@pytest.mark.parametrize(
    ("options", "search_method"),
    [
        (["--mode", "fulltext", "--no-rerank"], "fulltext"),
        (["--mode", "vector", "--no-rerank"], "vector"),
        (["--fusion", "zscore", "--top-k", "5"], "zscore_hybrid+rerank"),
        (["--mmr"], "rrf_hybrid+mmr+rerank"),
    ],
)
async def test_search_asks_for_what_the_options_say(
    sample: dict[str, str], options: list[str], search_method: str
) -> None:
    finished = await command(
        *("search", _CLAIM, "--collection", "scifact", "--json", *options),
        environ=sample,
    )

    assert finished.code == 0, finished.err
    response = json.loads(finished.out)
    assert response["search_method"] == search_method
    assert len(response["results"]) == 10


async def test_search_says_when_nothing_is_found(environ: dict[str, str]) -> None:
    await command("import", "-", environ=environ, stdin='{"_id": "a", "text": "x"}')

    finished = await command("search", "zebra", environ=environ)

    assert finished.code == 0, finished.err
    assert "nothing found" in finished.out
    assert "NOTHING_TO_SCORE: Full-text search (BM25)" in finished.out


# evaluate


async def test_evaluate_measures_and_compares(sample: dict[str, str]) -> None:
    finished = await command(
        *("evaluate", "scifact", *_JUDGED, "--json"),
        *("--configuration", "fulltext", "--configuration", "rrf_hybrid+mmr+rerank"),
        environ=sample,
    )

    assert finished.code == 0, finished.err
    told = json.loads(finished.out)
    assert (told["collection"], told["queries"]) == ("scifact", 8)
    words, reranked = told["configurations"]
    assert words["search_method"] == "fulltext"
    assert 0.4 < words["measures"]["MRR@10"] < reranked["measures"]["MRR@10"] < 1
    assert reranked["measures"]["Recall@100"] > 0.9
    assert 0 < reranked["latency"]["p50_s"] <= reranked["latency"]["p99_s"]
    assert reranked["degraded"] == {}
    assert reranked["compared_with"] == "fulltext"
    assert (
        reranked["differences"]["Recall@100"]["verdict"] == "no significant difference"
    )


async def test_evaluate_shows_tables_for_the_first_queries(
    sample: dict[str, str],
) -> None:
    finished = await command(
        *("evaluate", "scifact", *_JUDGED, "--limit-queries", "2"), environ=sample
    )

    assert finished.code == 0, finished.err
    lines = finished.out.splitlines()
    assert lines[0] == "scifact: 2 queries"
    assert [line.split()[0] for line in lines[3:9]] == [
        *("fulltext", "vector", "rrf_hybrid", "zscore_hybrid"),
        *("rrf_hybrid+rerank", "rrf_hybrid+mmr+rerank"),
    ]
    assert "rrf_hybrid+mmr+rerank against rrf_hybrid+rerank" in lines
    assert "no significant difference" in finished.out


async def test_every_way_of_searching_answers_with_its_own_name(
    sample: dict[str, str],
) -> None:
    ways = [option for each in SEARCHED for option in ("--configuration", each)]

    finished = await command(
        *("evaluate", "scifact", *_JUDGED, "--limit-queries", "1", "--json", *ways),
        environ=sample,
    )

    assert finished.code == 0, finished.err
    found = json.loads(finished.out)["configurations"]
    assert [each["search_method"] for each in found] == list(SEARCHED)
    assert len(SEARCHED) == 20


@pytest.fixture
async def refusing() -> AsyncIterator[Vendor]:
    async def reset(exchange: Exchange) -> None:
        exchange.reset()

    (shape,) = SHAPES["tei"]
    async with Vendor(reset, info=shape.info) as vendor:
        yield vendor


async def test_evaluate_does_not_pass_off_answers_that_degraded(
    sample: dict[str, str], refusing: Vendor
) -> None:
    finished = await command(
        *("evaluate", "scifact", *_JUDGED, "--limit-queries", "3"),
        *("--configuration", "rrf_hybrid+rerank"),
        environ={**sample, "RERANK_GATEWAY_BACKEND": f"tei+{refusing.url}"},
    )

    assert finished.code == 1
    assert finished.err.endswith("rerank-gateway: 3 answers degraded\n")
    assert (
        "rrf_hybrid+rerank: 3 of 3 answers degraded: answered as rrf_hybrid\n"
        in finished.out
    )


async def test_evaluate_says_what_to_install(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "ir_measures.py").write_text(
        "raise ModuleNotFoundError('as if not there', name='ir_measures')"
    )
    path = f"{tmp_path}:{ENVIRONMENT['PYTHONPATH']}"

    finished = await command(
        *("evaluate", "scifact", *_JUDGED), environ={**environ, "PYTHONPATH": path}
    )

    assert finished.code == 1
    assert finished.err.startswith("rerank-gateway: ir_measures is missing: pip inst")


# Mistakes and failures


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import"], "file"),
        (["import", "no-such-file"], "no-such-file: No such file"),
        (["import", "-", "--field", "year"], "--field year: must be NAME:TYPE"),
        (["import", "-", "--field", "year:date"], "string, int64, double"),
        (["import", "-", "--field", "1:bool"], "INVALID_ARGUMENT"),
        (["import", "-", "--collection", "No!"], "INVALID_ARGUMENT"),
        (["import", "-", "--batch", "1001"], "batch"),
        (["import", "-", "--resume"], "--resume: standard input"),
        (["search"], "query"),
        (["search", "q", "--collection", "nowhere"], "NOT_FOUND"),
        (["search", "q", "--limit", "1001"], "INVALID_ARGUMENT"),
        (["search", "q", "--mode", "magic"], "mode"),
        (["evaluate", "c", *_JUDGED, "--configuration", "rerank"], "must be one of"),
        (
            ["evaluate", "c", *_QUERIES, "--qrels", "no-such-file"],
            "no-such-file: No such",
        ),
        (["evaluate", "nowhere", *_JUDGED], "NOT_FOUND"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
async def test_a_users_mistake_is_told_in_one_line(
    environ: dict[str, str], arguments: list[str], said: str
) -> None:
    finished = await command(*arguments, environ=environ)

    assert finished.code == 2, finished.err
    assert len(finished.err.splitlines()) == 1, finished.err
    assert said in finished.err or said in finished.err.lower()
    assert not finished.out


async def test_an_import_says_that_a_collection_has_other_fields(
    environ: dict[str, str],
) -> None:
    await command("import", "-", "--field", "year:int64", environ=environ)

    finished = await command("import", "-", "--field", "year:bool", environ=environ)

    assert finished.code == 2
    assert finished.err == (
        "rerank-gateway: --field: default exists already, with year:int64\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [["import", "-"], ["search", "q"], ["collections"], ["evaluate", "c", *_JUDGED]],
    ids=lambda value: value[0],
)
async def test_a_gateway_that_is_not_there_is_a_failure(
    environ: dict[str, str], arguments: list[str]
) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        finished = await command(*arguments, "--address", address, environ=environ)

    assert finished.code == 1
    assert len(finished.err.splitlines()) == 1, finished.err
    assert "UNAVAILABLE" in finished.err


# The demo


async def test_the_demo_shows_four_ways_and_leaves_no_data(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "clients/demo/demo.py",
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT, "TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = (each.decode() for each in await process.communicate())

    assert process.returncode == 0, err
    assert not err
    assert "300 abstracts stored" in out
    for method in ("fulltext", "rrf_hybrid+rerank", "rrf_hybrid+mmr+rerank"):
        assert method in out
    assert "★" in out
    assert "vector+rerank" in out
    assert not _left(tmp_path)


def _left(folder: Path) -> list[str]:
    # onnxruntime leaves a file of its own there.
    return [path.name for path in folder.iterdir() if "demo" in path.name]
