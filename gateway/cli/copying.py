"""`rerank-gateway collections copy`."""

import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import grpc
import grpc.aio
import typer

from gateway.cli.asking import answered, asked_gateway, opened
from gateway.cli.console import literal_console
from gateway.cli.copy_passes import Copying, Outcome, Side, Vanished
from gateway.cli.copy_progress import progress_to
from gateway.cli.copy_state import Copied
from gateway.cli.failing import MISTAKE, fail
from gateway.cli.options import Options, asks_a_gateway
from rerank.v1 import collection_pb2, document_service_pb2, document_service_pb2_grpc

_SHOWN = 5


class _Unlike(Exception):
    """The target cannot be a copy of the source."""


@asks_a_gateway
def copy(  # noqa: PLR0917 - options of the command line, given by name
    options: Options,
    source: Annotated[str, typer.Argument(help="Name of the collection.")],
    to: Annotated[
        str | None,
        typer.Option(help="Name of the copy; otherwise the same.", show_default=False),
    ] = None,
    to_config: Annotated[
        Path | None,
        typer.Option(
            help="TOML file of a gateway that has the copy; one is started.",
            show_default=False,
        ),
    ] = None,
    to_address: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT or grpcs://HOST:PORT of a gateway that is running and"
            " has the copy.",
            show_default=False,
        ),
    ] = None,
    embed: Annotated[  # noqa: FBT002 - a flag of the command line
        bool,
        typer.Option("--embed", help="Have vectors computed anew for the copy."),
    ] = False,
    batch: Annotated[
        int, typer.Option(min=1, max=1000, help="Documents in one message.")
    ] = 256,
    passes: Annotated[
        int, typer.Option(min=1, help="Times that the source is read at most.")
    ] = 5,
) -> None:
    """Copy a collection to another gateway, while it is searched and written to.

    Reads it once, then again until nothing has changed meanwhile; what has not changed
    is not sent again, and what was removed is removed. An interrupted copy goes on where
    it was, and a finished one brings the copy up to date.
    """
    if not (to_config or to_address):
        fail("--to-address or --to-config: one of them is required", MISTAKE)
    reads = asked_gateway(options)
    writes = asked_gateway(_other(options, to_config, to_address))

    async def run() -> Outcome:
        async with opened(reads) as first, opened(writes) as second:
            return await _copied(
                Side(
                    stub=document_service_pb2_grpc.DocumentServiceStub(first),
                    name=source,
                ),
                Side(
                    stub=document_service_pb2_grpc.DocumentServiceStub(second),
                    name=to or source,
                ),
                batch=batch,
                embed=embed,
                passes=passes,
            )

    began = time.monotonic()
    try:
        outcome = answered(run(), reads, writes)
    except _Unlike as error:
        fail(str(error), MISTAKE)
    except (Vanished, OSError, sqlite3.Error) as error:
        fail(str(error))
    _tell(outcome, seconds=time.monotonic() - began)


def _other(options: Options, config: Path | None, address: str | None) -> Options:
    """Say how the gateway of the copy is asked.

    One that is running, and has no configuration of its own here, is shown what the first
    one is.
    """
    if address:
        return replace(options, config=config or options.config, address=address)
    return Options(config=config)


async def _copied(
    source: Side, target: Side, *, batch: int, embed: bool, passes: int
) -> Outcome:
    found = await source.described()
    if found is None:
        message = f"there is no collection {source.name!r}"
        raise _Unlike(message)
    with_vectors = bool(found.embedding_dimension) and not embed
    made = await _ensured(target, found, with_vectors=with_vectors)
    how = "vectors" if with_vectors else "texts"
    with (
        Copied.between(found, made, how=how) as copied,
        progress_to(target.name, total=found.document_count) as show,
    ):
        copying = Copying(
            source,
            target,
            copied,
            batch=batch,
            with_vectors=with_vectors,
            show=show,
        )
        return await copying.run(most_passes=passes)


async def _ensured(
    target: Side, source: collection_pb2.Collection, *, with_vectors: bool
) -> collection_pb2.Collection:
    """Find the copy, or make it; either can hold what the source has."""
    request = document_service_pb2.CreateCollectionRequest(
        name=target.name,
        fields=source.fields,
        embedding_dimension=source.embedding_dimension if with_vectors else 0,
    )
    is_new = True
    try:
        made = (await target.stub.CreateCollection(request)).collection
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
            raise
        made, is_new = await target.there(), False
    problem = _unlike(source, made, with_vectors=with_vectors)
    if not problem:
        return made
    if is_new:
        await target.stub.DeleteCollection(
            document_service_pb2.DeleteCollectionRequest(name=target.name)
        )
    raise _Unlike(problem)


def _unlike(
    source: collection_pb2.Collection,
    target: collection_pb2.Collection,
    *,
    with_vectors: bool,
) -> str:
    """Say why one cannot be the copy of the other; empty: it can."""
    named = f"collection {target.name!r} of the other gateway"
    if (source.name, source.create_time) == (target.name, target.create_time):
        return f"{named} is the one to copy"
    if list(source.fields) != list(target.fields):
        return f"{named} has other fields"
    if not with_vectors:
        return ""
    if source.embedding_dimension != target.embedding_dimension:
        return (
            f"{named} has vectors of dimension {target.embedding_dimension}, not of"
            f" {source.embedding_dimension}; --embed computes them anew"
        )
    if source.embedder != target.embedder:
        return (
            f"{named} has vectors of {target.embedder or 'its callers'}, not of"
            f" {source.embedder or 'its callers'}; --embed computes them anew"
        )
    return ""


def _tell(outcome: Outcome, *, seconds: float) -> None:
    """Say what was done, and end the command with a failure if the copy is none."""
    out = literal_console()
    for number, each in enumerate(outcome.passes, start=1):
        out.print(
            f"pass {number}: {each.seen} documents read, {each.stored} stored,"
            f" {each.removed} removed, {len(each.rejected)} rejected",
            soft_wrap=True,
        )
    last, source, target = outcome.passes[-1], outcome.source, outcome.target
    for words in last.rejected[:_SHOWN]:
        out.print(f"  {words}", soft_wrap=True)
    out.print(
        f"{target.name}: {target.document_count} documents of {source.document_count},"
        f" in {seconds:.1f} s; version {target.version}",
        soft_wrap=True,
    )
    if last.rejected:
        fail(f"{len(last.rejected)} documents were rejected by the other gateway")
    if not outcome.settled:
        fail(f"{source.name} is still written to: copy again when nobody does")
    if target.document_count != source.document_count:
        fail("the counts differ: one of them is written to by others")
