package rerank_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTheTraceOfAContextGoesAlong(t *testing.T) {
	traceID, _ := trace.TraceIDFromHex("0af7651916cd43dd8448eb211c80319c")
	spanID, _ := trace.SpanIDFromHex("b7ad6b7169203331")
	state, _ := trace.ParseTraceState("vendor=1")
	span := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: trace.FlagsSampled, TraceState: state,
	})
	for _, each := range []struct {
		name string
		ctx  context.Context
		want [2]string
	}{
		{"as OpenTelemetry keeps it", trace.ContextWithSpanContext(t.Context(), span), [2]string{traceparent, "vendor=1"}},
		{"as it was written by hand", metadata.AppendToOutgoingContext(t.Context(), "traceparent", traceparent), [2]string{traceparent, ""}},
		{"and none is made up", t.Context(), [2]string{}},
	} {
		t.Run(each.name, func(t *testing.T) {
			seen := make(chan [2]string, 1)
			client := connect(t, play(t, &played{rerank: func(ctx context.Context, _ *rerankv1.RerankRequest) (*rerankv1.RerankResponse, error) {
				seen <- [2]string{incoming(ctx, "traceparent"), incoming(ctx, "tracestate")}
				return answered, nil
			}}))
			if _, err := client.Rerank(each.ctx, &rerankv1.RerankRequest{}); err != nil {
				t.Fatal(err)
			}
			if got := <-seen; got != each.want {
				t.Errorf("came as %q, not %q", got, each.want)
			}
		})
	}
}

func incoming(ctx context.Context, key string) string {
	values := metadata.ValueFromIncomingContext(ctx, key)
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
