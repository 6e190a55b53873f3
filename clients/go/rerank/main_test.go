package rerank_test

import (
	"testing"

	"google.golang.org/genproto/googleapis/rpc/code"

	"github.com/rerank-gateway/rerank-gateway/clients/go/rerank"
)

// connect makes a client that is closed when its test is over.
func connect(t testing.TB, address string, options ...rerank.Option) *rerank.Client {
	t.Helper()
	client, err := rerank.New(address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// codeName writes a code as the contract does, for example INVALID_ARGUMENT.
func codeName(failed *rerank.Error) string {
	return code.Code(failed.Code).String()
}
