package rerank_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
	"github.com/rerank-gateway/rerank-gateway/clients/go/internal/gatewaytest"
	"github.com/rerank-gateway/rerank-gateway/clients/go/rerank"
)

func TestCallsAreSpreadOverTheAddressesOfAName(t *testing.T) {
	one, two := named(t, "one"), named(t, "two")
	client := behind(t, one, two)
	seen := map[string]int{}
	// The second connection may come later than the first; from then on they take turns.
	for seen["one"] == 0 || seen["two"] == 0 {
		seen[method(t, client)]++
	}
	clear(seen)
	for range 10 {
		seen[method(t, client)]++
	}
	if seen["one"] != 5 || seen["two"] != 5 {
		t.Errorf("asked %v", seen)
	}
}

func TestAnAddressWhereNobodyListensDisturbsNoCall(t *testing.T) {
	client := behind(t, gatewaytest.FreeAddress(t), named(t, "the other"))
	for range 10 {
		if got := method(t, client); got != "the other" {
			t.Errorf("asked %s", got)
		}
	}
}

func TestTLSTrustsOnlyWhomItIsTold(t *testing.T) {
	// Go's own certificate for tests, for example.com.
	source := httptest.NewTLSServer(nil)
	defer source.Close()
	served := credentials.NewServerTLSFromCert(&source.TLS.Certificates[0])
	address := play(t, &played{rerank: func(context.Context, *rerankv1.RerankRequest) (*rerankv1.RerankResponse, error) {
		return answered, nil
	}}, grpc.Creds(served))
	trusted := x509.NewCertPool()
	trusted.AddCert(source.Certificate())

	client := connect(t, address, rerank.WithTLS(&tls.Config{RootCAs: trusted, ServerName: "example.com"}), rerank.WithToken("s3cret"))
	if _, err := client.Rerank(t.Context(), &rerankv1.RerankRequest{}); err != nil {
		t.Error(err)
	}

	// Health, because it does not wait for somebody whom it can trust.
	stranger := connect(t, address, rerank.WithTLS(nil))
	if _, err := stranger.Health(t.Context(), ""); status.Code(err) != codes.Unavailable {
		t.Errorf("trusted a stranger: %v", err)
	}
}

// named serves, and answers with its name where a gateway has its search_method.
func named(t *testing.T, name string) string {
	t.Helper()
	return play(t, &played{rerank: func(context.Context, *rerankv1.RerankRequest) (*rerankv1.RerankResponse, error) {
		return &rerankv1.RerankResponse{SearchMethod: name}, nil
	}})
}

// behind makes a client for a name that has several addresses.
func behind(t *testing.T, addresses ...string) *rerank.Client {
	t.Helper()
	name := manual.NewBuilderWithScheme("played")
	var state resolver.State
	for _, each := range addresses {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: each}}})
	}
	name.InitialState(state)
	return connect(t, "played:///gateways", rerank.WithDialOptions(grpc.WithResolvers(name)))
}

func method(t *testing.T, client *rerank.Client) string {
	t.Helper()
	answer, err := client.Rerank(t.Context(), &rerankv1.RerankRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetSearchMethod()
}
