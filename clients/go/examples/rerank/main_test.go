package main

import (
	"strings"
	"testing"

	"github.com/rerank-gateway/rerank-gateway/clients/go/internal/gatewaytest"
)

const lines = "Soup is served on Mondays.\nTo restore a backup, stop the database first.\n"

func TestRerank(t *testing.T) {
	const traceID = "0af7651916cd43dd8448eb211c80319c"
	t.Setenv("TRACEPARENT", "00-"+traceID+"-b7ad6b7169203331-01")
	gateway := gatewaytest.Start(t,
		gatewaytest.WithoutRetrieval,
		"RERANK_GATEWAY__ROUTES__DOWN__BACKENDS=[\"down\"]",
		"RERANK_GATEWAY__BACKENDS__DOWN__DIALECT=tei",
		"RERANK_GATEWAY__BACKENDS__DOWN__URL=http://"+gatewaytest.FreeAddress(t),
		// Traces are made, and go nowhere.
		"OTEL_TRACES_EXPORTER=otlp",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://"+gatewaytest.FreeAddress(t),
	)
	for _, each := range []struct {
		route string
		says  []string
	}{
		{"", []string{"1. To restore a backup, stop the database first.\n2. Soup is served on Mondays.\nrerank: ", "trace " + traceID}},
		{"down", []string{"1. Soup is served on Mondays.\n2. To restore", "input_order: ", "not reranked: FALLBACK_REASON_UNAVAILABLE\n"}},
	} {
		var out strings.Builder
		if err := run(t.Context(), gateway.Address, each.route, "how do I restore a backup?", strings.NewReader(lines), &out); err != nil {
			t.Fatal(err)
		}
		for _, words := range each.says {
			if !strings.Contains(out.String(), words) {
				t.Errorf("%q is not in\n%s", words, out.String())
			}
		}
	}

	err := run(t.Context(), gateway.Address, "", " ", strings.NewReader(lines), &strings.Builder{})
	if err == nil || !strings.Contains(explained(err), "\n  query must not be blank") {
		t.Errorf("a blank query: %v", err)
	}
}
