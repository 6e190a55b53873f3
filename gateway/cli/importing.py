"""`rerank-gateway import`."""

import time
from typing import TYPE_CHECKING, Annotated

import grpc
import grpc.aio
import typer

from gateway.cli.asking import asked
from gateway.cli.console import literal_console
from gateway.cli.document_lines import Rejection, Unreadable, batches, opened
from gateway.cli.failing import MISTAKE, fail
from gateway.cli.import_progress import progress_of
from gateway.cli.import_state import Progress, Remembered, source_of
from gateway.cli.import_stream import EndedEarly, Stored, stored
from gateway.cli.import_summary import Tally
from gateway.cli.listing import listed
from gateway.cli.options import Options, asks_a_gateway
from gateway.cli.search import CollectionOption
from gateway.cli.search_tables import in_words
from rerank.v1 import collection_pb2, document_service_pb2, document_service_pb2_grpc

if TYPE_CHECKING:  # known to the type checker alone
    from rerank.v1.document_service_pb2_grpc import DocumentServiceAsyncStub

_STANDARD_INPUT = "-"


@asks_a_gateway
def import_(  # noqa: PLR0917 - options of the command line, given by name
    options: Options,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="JSON lines as BEIR has them, or .gz of it; - for standard input.",
            show_default=False,
        ),
    ],
    collection: CollectionOption = "default",
    field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:TYPE",
            help="A field of the metadata to filter by, for a new collection: "
            "string, int64, double, bool or timestamp. May be repeated.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[
        int, typer.Option(min=1, max=1000, help="Documents in one message.")
    ] = 256,
    resume: Annotated[  # noqa: FBT002 - a flag of the command line
        bool,
        typer.Option("--resume", help="Go on where an earlier run was interrupted."),
    ] = False,
) -> None:
    """Store documents in a collection, which is created if there is none.

    A document that is stored already is replaced. Lines that are no document are
    rejected and told, and do not stop the import.
    """
    fields = [_field(each) for each in field or ()]
    if resume and _STANDARD_INPUT in files:
        fail("--resume: standard input cannot be read again", MISTAKE)
    try:
        for file in files:
            if file != _STANDARD_INPUT:
                opened(file).close()
    except Unreadable as error:
        fail(str(error), MISTAKE)

    tally = Tally(collection)

    async def ask(channel: grpc.aio.Channel) -> None:
        stub = document_service_pb2_grpc.DocumentServiceStub(channel)
        into = await _ensured(stub, collection, fields)
        tally.begun = True
        for file in files:
            await _import(stub, file, into, tally, batch=batch, resume=resume)

    began = time.monotonic()
    try:
        asked(options, ask)
    except _OtherFields as error:
        fail(str(error), MISTAKE)
    except (EndedEarly, OSError, Unreadable) as error:
        fail(str(error))
    finally:
        tally.show(literal_console(), seconds=time.monotonic() - began)


async def _import(
    stub: "DocumentServiceAsyncStub",
    file: str,
    into: collection_pb2.Collection,
    tally: Tally,
    *,
    batch: int,
    resume: bool,
) -> None:
    """Store one file; the tally tells how far it came, in whatever way it ends."""
    remembered, done = None, Progress()
    if file != _STANDARD_INPUT:
        source = source_of(
            file, into.name, create_time_ns=into.create_time.ToNanoseconds()
        )
        remembered = Remembered(source)
        if resume:
            done = remembered.load()
            tally.earlier += done.lines
    with opened(file) as opened_file, progress_of(file) as progress:
        read = batches(opened_file, name=file, at_most=batch, after_line=done.lines)
        if remembered:
            tally.stopped_at = f"line {done.lines} of {file}"
        async for each in stored(stub, into.name, read):
            rejected = _rejected(each)
            done = done.after(
                last_line=each.batch.last_line,
                accepted=each.response.accepted_count,
                rejected=len(rejected),
            )
            # Without an await between, or Ctrl-C could come between what is stored,
            # what is remembered and what is told.
            if remembered:
                remembered.save(done)
                tally.stopped_at = f"line {done.lines} of {file}"
            tally.accepted += each.response.accepted_count
            tally.version = each.response.version
            for rejection in rejected:
                tally.reject(file, rejection)
            progress.show(each.batch.read_bytes, accepted=done.accepted)
    tally.stopped_at = ""


def _rejected(each: Stored) -> list[Rejection]:
    """Join what is no document with what the gateway rejected, in the file's order."""
    by_gateway = [
        Rejection(
            each.batch.lines[one.index],
            document_service_pb2.RejectionReason.Name(one.reason).removeprefix(
                "REJECTION_REASON_"
            ),
            f"{one.id}: {one.message}" if one.id else one.message,
        )
        for one in each.response.rejected
    ]
    return sorted((*each.batch.rejected, *by_gateway), key=lambda one: one.line)


class _OtherFields(Exception):
    """The collection exists with other fields than those asked for."""


async def _ensured(
    stub: "DocumentServiceAsyncStub",
    name: str,
    fields: list[collection_pb2.CollectionField],
) -> collection_pb2.Collection:
    """Find the collection, or create it."""
    request = document_service_pb2.CreateCollectionRequest(name=name, fields=fields)
    try:
        return (await stub.CreateCollection(request)).collection
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
            raise
    found = next((each for each in await listed(stub) if each.name == name), None)
    if found is None:
        message = f"collection {name}: was removed just now"
        raise EndedEarly(message)
    if fields and fields != list(found.fields):
        has = ", ".join(map(in_words, found.fields)) or "no fields"
        message = f"--field: {name} exists already, with {has}"
        raise _OtherFields(message)
    return found


def _field(said: str) -> collection_pb2.CollectionField:
    name, _, kind = said.partition(":")
    types = {
        key.removeprefix("FIELD_TYPE_").lower(): value
        for key, value in collection_pb2.FieldType.items()
        if value
    }
    if kind not in types:
        fail(f"--field {said}: must be NAME:TYPE with {', '.join(types)}", MISTAKE)
    return collection_pb2.CollectionField(name=name, type=types[kind])
