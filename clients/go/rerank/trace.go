package rerank

import (
	"context"
	"maps"
	"slices"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/metadata"
)

// traced puts the trace of a context into the metadata of its call, as W3C says. Without one,
// what the caller wrote there stays.
func traced(ctx context.Context) context.Context {
	headers, ok := metadata.FromOutgoingContext(ctx)
	if !ok {
		headers = metadata.MD{}
	}
	propagation.TraceContext{}.Inject(ctx, carrier(headers))
	return metadata.NewOutgoingContext(ctx, headers)
}

// carrier is metadata, as OpenTelemetry writes to it.
type carrier metadata.MD

func (c carrier) Get(key string) string {
	if values := metadata.MD(c).Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (c carrier) Set(key, value string) { metadata.MD(c).Set(key, value) }

func (c carrier) Keys() []string { return slices.Collect(maps.Keys(c)) }
