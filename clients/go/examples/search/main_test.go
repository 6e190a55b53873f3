package main

import (
	"strings"
	"testing"

	"github.com/rerank-gateway/rerank-gateway/clients/go/internal/gatewaytest"
)

func TestSearch(t *testing.T) {
	gateway := gatewaytest.Start(t)
	// Twice, because the second time the collection is there already.
	for range 2 {
		var out strings.Builder
		if err := run(t.Context(), gateway.Address, "something warm with beans", &out); err != nil {
			t.Fatal(err)
		}
		const expected = `1. Chili sin carne: a stew of kidney beans, peppers and tomatoes.
2. Gazpacho: a cold soup of tomatoes and cucumber.
rrf_hybrid+rerank: RRF + Cross-Encoder Reranking
final: false, rrf_hybrid
final: true, rrf_hybrid+rerank
`
		if out.String() != expected {
			t.Errorf("said\n%s", out.String())
		}
	}
}
