// Command rerank orders the lines of its standard input by how well they answer a question:
//
//	printf '%s\n' "Soup is served on Mondays." "Stop the database first." |
//		go run ./examples/rerank "how do I restore a backup?"
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
	"github.com/rerank-gateway/rerank-gateway/clients/go/rerank"
)

func main() {
	address := flag.String("address", "localhost:50051", "HOST:PORT of the gateway")
	route := flag.String("route", "", "route to ask; empty: the default one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *address, *route, strings.Join(flag.Args(), " "), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, explained(err))
		os.Exit(1)
	}
}

func run(ctx context.Context, address, route, query string, in io.Reader, out io.Writer) error {
	client, err := rerank.New(address)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	lines, err := read(in)
	if err != nil {
		return err
	}

	// The trace that this program is a part of, if there is one. A server that OpenTelemetry
	// instruments has it in the context of each request already.
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": os.Getenv("TRACEPARENT")})

	// The gateway keeps this deadline, and answers in the order received if it must.
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var trailer metadata.MD
	answer, err := client.Rerank(ctx, &rerankv1.RerankRequest{
		Query:     query,
		Documents: rerank.Texts(lines...),
		Route:     route,
	}, grpc.Trailer(&trailer))
	if err != nil {
		return err
	}

	for place, line := range rerank.InOrder(answer, lines) {
		fmt.Fprintf(out, "%d. %s\n", place+1, line)
	}
	fmt.Fprintf(out, "%s: %s\n", answer.GetSearchMethod(), answer.GetMessage())
	switch execution := answer.GetExecution(); {
	case rerank.FellBack(answer):
		fmt.Fprintf(out, "not reranked: %s\n", execution.GetFallbackReason())
	case answer.GetFallbackTriggered():
		fmt.Fprintf(out, "reranked by %s, after %d attempts\n", execution.GetBackend(), len(execution.GetAttempts()))
	}
	for _, trace := range trailer.Get("x-trace-id") {
		fmt.Fprintf(out, "trace %s\n", trace)
	}
	return nil
}

func read(in io.Reader) ([]string, error) {
	var lines []string
	scanner := bufio.NewScanner(in)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	return lines, scanner.Err()
}

// explained adds what a program could act on.
func explained(err error) string {
	said := err.Error()
	var failed *rerank.Error
	if errors.As(err, &failed) {
		for _, each := range failed.Violations {
			said += fmt.Sprintf("\n  %s %s", each.Field, each.Description)
		}
		if failed.RetryDelay > 0 {
			said += fmt.Sprintf("\n  again in %s", failed.RetryDelay)
		}
	}
	return said
}
