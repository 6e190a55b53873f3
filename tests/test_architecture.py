"""What may know what, and other rules that no reviewer should have to check.

Each rule is a function from a module to complaints. All are run over the product, and each
over a planted violation, since a rule that never complains proves nothing.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

USE_CASES = {
    "admitting",
    "contract",
    "engine_errors",
    "errors",
    "inspecting",
    "report",
    "reranking",
    "searching",
    "storing",
}

MAY_IMPORT: dict[str, set[str]] = {
    # The core is pure.
    "rows": set(),
    "parts": set(),
    "ranking": {"ranking", "rows"},
    "backends": {"backends", "ranking", "rows"},
    # An embedder is reached and refused like a backend: the same sockets, JSON, errors
    # and encoder, and no scorer.
    "retrieval": {
        "retrieval",
        "ranking",
        "concurrency",
        "identity.caller",
        "observing",
        "backends.authorities",
        "backends.dialect",
        "backends.dialects",
        "backends.errors",
        "backends.facts",
        "backends.in_time",
        "backends.local.encoder",
        "backends.local.features",
        "backends.local.inference",
        "backends.local.threads",
        "backends.local.words.STOP_WORDS",
        "backends.posting",
        "backends.transport",
        "backends.reading",
        "backends.billing",
        "backends.scorer.Payer",
        "backends.scorer.Usage",
        # Who pays for vectors.
        "tenants.metering",
    },
    # Who calls, and what is not there for it. Whatever a call does may ask who makes it.
    "identity": {
        "identity",
        "reloading.watching",
        "retrieval.errors",
        "retrieval.filter",
        "retrieval.retriever",
    },
    "concurrency": set(),
    "connections": {"settings.ServerSettings"},
    "departures": set(),
    "listening": set(),
    "loop_lag": set(),
    "siblings": set(),
    "events": {"backends.errors"},
    # Replaces what it does not know: settings go in, and somebody builds what they want.
    "reloading": {"reloading", "concurrency", "events", "settings"},
    # The shape of what is watched, for types alone.
    "observing": {"backends.errors", "contract", "searching.finding.Candidates"},
    "discovery": {"backends", "events"},
    # Who pays, and for what; written down in a file or in Redis.
    "tenants": {
        "tenants",
        "backends",
        "concurrency",
        "errors",
        "events",
        "identity.caller",
    },
    "layers": {
        "layers",
        "backends",
        "concurrency",
        "events",
        "identity.caller",
        "observing",
        "ranking",
        "rows",
        "parts",
        "tenants.counting",
        "tenants.amounts",
        "tenants.metering",
    },
    **{
        name: {
            "backends",
            "concurrency",
            "departures",
            "identity.caller",
            "retrieval",
            "ranking",
            "events",
            "observing",
            "rows",
            *USE_CASES,
        }
        for name in USE_CASES
    },
    # Another edge: it turns what others speak into calls of the first one.
    "faces": {
        "faces",
        "rpc",
        "errors",
        "identity.entrance",
        "identity.shown",
        "inspecting",
    },
    # The edge knows what is asked and answered, not how.
    "rpc": {
        "rpc",
        "ranking",
        "backends.errors",
        "backends.scorer.CacheMode",
        "backends.scorer.CacheWish",
        "concurrency",
        "events",
        "identity",
        "observing",
        "parts",
        "retrieval.filter",
        "retrieval.retriever",
        "rows",
        "siblings",
        *USE_CASES,
    },
    "settings": {
        "settings",
        "backends.billing",
        "backends.dialect",
        "backends.dialects",
        "backends.endpoint",
        # To say what is wrong with a file of credentials before anything is served.
        "identity.certificates",
        "identity.certified",
        "identity.jwks",
        "identity.keys",
        "ranking",
        "retrieval.embedders.DIALECTS",
        "retrieval.qdrant.place",
        "retrieval.weaviate.place",
    },
    "logs": {"logs", "events", "observing", "settings.LogSettings"},
    "telemetry": {
        "telemetry",
        "backends",
        "concurrency",
        "events",
        "identity.keys",
        "listening",
        "observing",
        "ranking",
        "retrieval.embedder",
        "settings.Export",
        "settings.TelemetrySettings",
        "siblings",
        *USE_CASES,
    },
    "server": {
        "faces",
        "rpc",
        "settings",
        "concurrency",
        "connections",
        "events",
        "identity.entrance",
        "listening",
        "loop_lag",
        "observing",
        "siblings",
        *USE_CASES,
    },
    "compose": {
        "compose",
        "backends",
        "concurrency",
        "departures",
        "discovery",
        "events",
        "faces",
        "identity",
        "layers",
        "observing",
        "ranking",
        "reloading",
        "retrieval",
        "rpc.assembling",
        "rpc.in_process",
        "rpc.requests",
        "server",
        "settings",
        "siblings",
        "telemetry",
        "tenants",
        *USE_CASES,
    },
    # Starts processes, and serves nothing: what they do is none of its business.
    "workers": {
        "workers",
        "concurrency",
        "events",
        "reloading.change",
        "settings.Settings",
        "settings.credentials",
        "telemetry.scrape",
        "telemetry.summing",
    },
    # Orders of documents against judgements; it asks nobody.
    "evaluation": {"evaluation"},
    # Only the commands see the whole.
    "cli": {
        "cli",
        "compose",
        "concurrency",
        "evaluation",
        "events",
        "identity",
        "listening",
        "logs",
        "ranking.method",
        "reloading",
        "server",
        "settings",
        "siblings",
        "tenants",
        "workers",
    },
    "__main__": {"cli"},
}
"""By part: the parts of the gateway that it may know."""

HOMES: dict[str, set[str]] = {
    "Stemmer": {"backends.local", "retrieval.terms"},
    "aiohttp": {"backends.transport", "faces", "server", "telemetry.scrape"},
    "cachetools": {"backends.local", "retrieval"},
    "certifi": {"backends.authorities"},
    "cryptography": {"identity.certified"},
    "google": {
        "rpc",
        "faces",
        "cli",
        "backends.dialects.tei_grpc",
        "retrieval.weaviate",
    },
    "grpc": {
        "rpc",
        "faces",
        "server",
        "cli",
        "backends.grpc",
        "retrieval.qdrant",
        "retrieval.weaviate",
    },
    "grpc_health": {"rpc", "server", "cli.health"},
    "grpc_reflection": {"rpc", "server"},
    "grpc_status": {"rpc"},
    "httpx": {"identity.issuer", "compose.identity"},
    "httpx2": {"backends.local"},
    "huggingface_hub": {"backends.local"},
    "ir_measures": {"evaluation"},
    "jwt": {"identity"},
    "lancedb": {"retrieval.lance"},
    "numpy": {"backends.local", "evaluation", "ranking.diversity", "retrieval"},
    "onnxruntime": {"backends.local"},
    "opentelemetry": {"telemetry"},
    "prometheus_client": {"telemetry", "workers.metrics"},
    "orjson": {"backends", "faces", "logs", "retrieval", "telemetry"},
    "pyarrow": {"retrieval.lance"},
    "pydantic": {"faces", "settings"},
    "pydantic_core": {"faces", "settings"},
    "qdrant_client": {"retrieval.qdrant"},
    "redis": {
        "layers.redis_memory",
        "tenants.redis_ledger",
        "tenants.redis_names",
        "tenants.redis_reading",
    },
    "rerank": {"rpc", "faces", "server", "cli", "telemetry"},
    "rich": {"cli"},
    "tei": {
        "backends.dialects.tei_grpc",
        "rpc.tei_messages",
        "rpc.tei_service",
    },
    "tokenizers": {"backends.local"},
    "typer": {"cli"},
    "typing_extensions": {"faces"},
    "uvloop": {"cli"},
    "weaviate_api": {"retrieval.weaviate"},
}
"""By library: where in the gateway it may be imported."""

EDGES = {"rpc.guard", "rpc.rerank_batch", "telemetry.aside"}
"""Where a call ends, or one request of a batch, and where others' code runs in a thread of
its own: whatever is raised there, nobody else would hear of it."""

NO_NAMES = {"utils", "helpers", "common", "base", "core", "misc", "manager"}
MOST_LINES = 300


@dataclass(frozen=True)
class Module:
    """One file of the product."""

    name: str
    """Below the package, such as `backends.http`; that of a package is its folder."""
    source: str

    @property
    def part(self) -> str:
        return self.name.split(".")[0]

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    def is_in(self, *places: str) -> bool:
        return any(_is_below(self.name, place) for place in places)

    def imports(self) -> Iterator[str]:
        """Give everything imported, by its full dotted name."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = "." * node.level + (node.module or "")
                yield from (f"{above}.{alias.name}" for alias in node.names)


def _is_below(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}.")


def _modules() -> list[Module]:
    found = []
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        parts = list(path.relative_to(ROOT / "gateway").with_suffix("").parts)
        if parts[-1] == "__init__":
            del parts[-1]
        found.append(Module(".".join(parts), path.read_text("utf-8")))
    return [module for module in found if module.name]


# The rules


def imports_point_one_way(module: Module) -> Iterator[str]:
    if module.part not in MAY_IMPORT:
        yield f"{module.part} has no place among the parts"
        return
    for name in module.imports():
        if name.startswith("."):
            yield f"{name} is relative"
        elif _is_below(name, "gateway"):
            below = name.removeprefix("gateway.")
            if not any(_is_below(below, place) for place in MAY_IMPORT[module.part]):
                yield f"{module.part} must not know {below}"


def each_library_has_its_homes(module: Module) -> Iterator[str]:
    for name in module.imports():
        library = name.split(".")[0]
        if library in sys.stdlib_module_names or library in ("gateway", ""):
            continue
        if library not in HOMES:
            yield f"{library} has no home"
        elif not module.is_in(*HOMES[library]):
            yield f"{library} may not be imported here"


def only_settings_read_the_environment(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        reads = isinstance(node, ast.Attribute) and node.attr in (
            "environ",
            "environb",
            "getenv",
        )
        imported = isinstance(node, ast.ImportFrom) and any(
            node.module == "os" and alias.name in ("environ", "getenv")
            for alias in node.names
        )
        if (reads or imported) and not _is_allowed_to(module, node):
            yield "it reads the environment"


def _is_allowed_to(module: Module, node: ast.AST) -> bool:
    """Allow the settings, what OpenSSL is told, and a default that gRPC has nowhere else."""
    if module.name in ("settings.sources", "settings.places", "backends.authorities"):
        return True
    line = module.source.splitlines()[getattr(node, "lineno", 1) - 1]
    return module.name == "cli" and 'os.environ.setdefault("GRPC_VERBOSITY"' in line


def a_module_begins_with_its_charter(module: Module) -> Iterator[str]:
    if not ast.get_docstring(module.tree):
        yield "it does not say what lives in it"


def no_module_is_too_long(module: Module) -> Iterator[str]:
    lines = len(module.source.splitlines())
    if lines > MOST_LINES:
        yield f"{lines} lines are too many"


def no_module_is_a_drawer(module: Module) -> Iterator[str]:
    for name in module.name.split("."):
        if name.strip("_") in NO_NAMES:
            yield f"{name} is no idea"


def only_the_edges_catch_everything(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = {
            each.id
            for each in ast.walk(node.type or node)
            if isinstance(each, ast.Name)
        }
        if node.type is None:
            yield "it catches whatever there is"
        elif "BaseException" in caught:
            if not isinstance(node.body[-1], ast.Raise):
                yield "it swallows a BaseException"
        elif "Exception" in caught and module.name not in EDGES:
            yield "it catches every Exception"


def only_one_place_makes_consoles(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or module.name == "cli.console":
            continue
        name = ast.unparse(node.func)
        if name == "Console" or name.endswith(".Console"):
            yield "it makes a console, which takes text for markup by default"


_EXEMPTION = re.compile(
    r"#\s*(?:noqa|type:\s*ignore|pragma|mypy:|ruff:|nosec|pylint)", re.IGNORECASE
)
_WITH_REASON = re.compile(
    r"#\s*(?:noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\]|pragma: no branch)"
    r"\s+(?:- |# )\S.{7,}"
)


def every_exemption_has_its_reason(module: Module) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(module.source).readline):
        if token.type != tokenize.COMMENT or not _EXEMPTION.search(token.string):
            continue
        if not _WITH_REASON.search(token.string):
            yield f"line {token.start[0]}: no reason for {token.string!r}"


Rule = Callable[[Module], Iterator[str]]

RULES: tuple[Rule, ...] = (
    imports_point_one_way,
    each_library_has_its_homes,
    only_settings_read_the_environment,
    a_module_begins_with_its_charter,
    no_module_is_too_long,
    no_module_is_a_drawer,
    only_the_edges_catch_everything,
    only_one_place_makes_consoles,
    every_exemption_has_its_reason,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_the_product_keeps_every_rule(rule: Rule) -> None:
    modules = _modules()
    assert len(modules) > 40
    complaints = [
        f"gateway.{module.name}: {complaint}"
        for module in modules
        for complaint in rule(module)
    ]
    assert not complaints, "\n".join(complaints)


def test_the_tests_use_fakes_and_no_mocks() -> None:
    complaints = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for name in Module(path.stem, path.read_text("utf-8")).imports()
        if _is_below(name, "unittest") or _is_below(name, "mock")
    ]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (imports_point_one_way, "ranking.mmr", "from gateway.backends import scorer"),
        (imports_point_one_way, "ranking.mmr", "import gateway.events"),
        (imports_point_one_way, "backends.tei", "from gateway.layers.chunk import X"),
        (imports_point_one_way, "backends.tei", "from gateway import events"),
        (imports_point_one_way, "layers.chunk", "from gateway.settings import X"),
        (
            imports_point_one_way,
            "retrieval.embedders.http",
            "from gateway.backends.http import HttpScorer",
        ),
        (imports_point_one_way, "layers.chunk", "from gateway import report"),
        (imports_point_one_way, "reranking", "from gateway.layers import chunk"),
        (imports_point_one_way, "rpc.status", "from gateway.settings import Settings"),
        (imports_point_one_way, "rpc.status", "import gateway.backends.http"),
        (imports_point_one_way, "settings.models", "import gateway.backends.http"),
        (imports_point_one_way, "server", "from gateway.compose import gateway"),
        (imports_point_one_way, "server", "def f():\n    import gateway.compose"),
        (imports_point_one_way, "logs", "from gateway.reranking import Reranking"),
        (imports_point_one_way, "workers.process", "from gateway.compose import X"),
        (imports_point_one_way, "layers.chunk", "from . import limit"),
        (imports_point_one_way, "drawer", ""),
        (each_library_has_its_homes, "ranking.answer", "import numpy as np"),
        (each_library_has_its_homes, "layers.record", "import opentelemetry.trace"),
        (each_library_has_its_homes, "reranking", "from rerank.v1 import ranking_pb2"),
        (each_library_has_its_homes, "backends.http", "import requests"),
        (each_library_has_its_homes, "backends.http", "import grpc"),
        (only_settings_read_the_environment, "server", "import os\nos.environ['A']"),
        (only_settings_read_the_environment, "cli.serve", "import os\nos.getenv('A')"),
        (only_settings_read_the_environment, "cli", "from os import environ"),
        (only_settings_read_the_environment, "cli", "import os\nos.environ['A']"),
        (a_module_begins_with_its_charter, "x", "import os"),
        (a_module_begins_with_its_charter, "x", ""),
        (no_module_is_too_long, "x", "\n" * 301),
        (no_module_is_a_drawer, "backends.utils", ""),
        (no_module_is_a_drawer, "backends._base", ""),
        (no_module_is_a_drawer, "core.answer", ""),
        (only_one_place_makes_consoles, "cli.tables", "Console(highlight=False)"),
        (only_one_place_makes_consoles, "cli.tables", "rich.console.Console()"),
        (
            only_the_edges_catch_everything,
            "server",
            "try:\n    x\nexcept Exception:\n    pass",
        ),
        (
            only_the_edges_catch_everything,
            "server",
            "try:\n    x\nexcept (ValueError, Exception):\n    pass",
        ),
        (only_the_edges_catch_everything, "rpc.guard", "try:\n    x\nexcept:\n    x"),
        (
            only_the_edges_catch_everything,
            "layers.limit",
            "try:\n    x\nexcept BaseException:\n    pass",
        ),
        (every_exemption_has_its_reason, "x", "import os  # noqa"),
        (every_exemption_has_its_reason, "x", "import os  # noqa: F401"),
        (every_exemption_has_its_reason, "x", "x = 1  # type: ignore"),
        (every_exemption_has_its_reason, "x", "x = 1  # type: ignore[misc]"),
        (every_exemption_has_its_reason, "x", "if x:  # pragma: no cover\n    x"),
    ],
)
def test_each_rule_sees_its_violation(rule: Rule, name: str, source: str) -> None:
    assert list(rule(Module(name, source)))


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (imports_point_one_way, "rpc.status", "from gateway.backends.errors import X"),
        (imports_point_one_way, "reranking", "from gateway import report"),
        (each_library_has_its_homes, "ranking.diversity", "import numpy"),
        (each_library_has_its_homes, "telemetry", "from opentelemetry import trace"),
        (only_settings_read_the_environment, "server", "import os\nos.strerror(1)"),
        (
            only_the_edges_catch_everything,
            "layers.limit",
            "try:\n    x\nexcept BaseException:\n    raise",
        ),
        (
            every_exemption_has_its_reason,
            "x",
            "import a  # noqa: F401 - for its effect",
        ),
        (
            every_exemption_has_its_reason,
            "x",
            "x = 1  # type: ignore[misc]  # untyped lib",
        ),
        (every_exemption_has_its_reason, "x", "x = '# noqa'"),
    ],
)
def test_no_rule_complains_of_what_is_right(rule: Rule, name: str, source: str) -> None:
    assert not list(rule(Module(name, source)))
