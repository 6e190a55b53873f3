package rerank_test

import (
	"log"
	"os"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/code"

	"github.com/rerank-gateway/rerank-gateway/clients/go/internal/gatewaytest"
	"github.com/rerank-gateway/rerank-gateway/clients/go/rerank"
)

// gateway gives the one that tests and examples share, and starts it when the first one asks.
var gateway = sync.OnceValue(func() *gatewaytest.Gateway {
	started, err := gatewaytest.Serve("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	atEnd = started.Stop
	return started
})

var atEnd = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	atEnd()
	os.Exit(code)
}

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
