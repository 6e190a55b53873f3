"""Rerank a list of your own, within a deadline, as a part of your trace.

    python examples/rerank.py [ADDRESS]

Needs the extra `opentelemetry`, and `opentelemetry-sdk` for the trace to begin somewhere.
"""

import sys

from opentelemetry.sdk.trace import TracerProvider

from rerank_client import (
    DeadlineExceeded,
    InvalidRequest,
    RerankClient,
    RerankError,
    fallback_reason,
    fell_back,
    in_order,
)

QUERY = "how do I restore a backup?"
DOCUMENTS = [
    "The cafeteria serves vegetable soup on Mondays.",
    "A failed disk should be replaced before the array is rebuilt.",
    "Restoring a backup: stop the database, copy the backup, replay the log.",
]


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "localhost:50051"
    tracer = TracerProvider().get_tracer("example")
    with (
        RerankClient(address) as client,
        tracer.start_as_current_span("answer a question") as span,
    ):
        print(f"trace {span.get_span_context().trace_id:032x}")
        try:
            # Two seconds, repeats included. The gateway knows it, and answers in time
            # with the order received rather than late with a better one.
            answer = client.rerank(
                QUERY, DOCUMENTS, timeout_s=2.0, search_method="vector"
            )
        except DeadlineExceeded:
            sys.exit("the gateway did not answer in time")
        except InvalidRequest as error:
            sys.exit("\n".join(f"{v.field}: {v.description}" for v in error.violations))
        except RerankError as error:
            sys.exit(str(error))
    if fell_back(answer):
        print(f"not reranked, {fallback_reason(answer)}: {answer.message}")
    for result, text in zip(answer.results, in_order(DOCUMENTS, answer), strict=True):
        scored = result.HasField("rerank_score")
        score = f"{result.rerank_score:.3f}" if scored else "    -"
        print(f"{result.rank}  {score}  {result.search_method:14}  {text}")


if __name__ == "__main__":
    main()
