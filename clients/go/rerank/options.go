package rerank

import (
	"context"
	"crypto/tls"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	defaultTimeout = 10 * time.Second

	// The most that a gateway sends; gRPC itself would stop at 4 MiB, which an answer with its
	// documents can exceed.
	maxResponseBytes = 32 << 20
)

// Option is a choice at [New].
type Option func(*choices)

type choices struct {
	timeout   time.Duration
	transport credentials.TransportCredentials
	further   []grpc.DialOption
}

func defaults() choices {
	return choices{timeout: defaultTimeout, transport: insecure.NewCredentials()}
}

// WithTimeout bounds each call whose context has no deadline; for a stream it is the time of the
// whole stream. More than 0. Default: 10 seconds.
func WithTimeout(timeout time.Duration) Option {
	return func(c *choices) { c.timeout = timeout }
}

// WithTLS encrypts. With nil, whom the system trusts is trusted. Default: plaintext.
func WithTLS(config *tls.Config) Option {
	return func(c *choices) { c.transport = credentials.NewTLS(config) }
}

// WithToken sends "authorization: Bearer TOKEN" with each call. Without [WithTLS] whoever is on
// the way can read it.
func WithToken(token string) Option {
	return WithDialOptions(grpc.WithPerRPCCredentials(bearer(token)))
}

// WithDialOptions passes on whatever else gRPC offers, such as a stats handler of otelgrpc. Later
// ones win.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(c *choices) { c.further = append(c.further, options...) }
}

func (c choices) dial() []grpc.DialOption {
	return append([]grpc.DialOption{
		grpc.WithTransportCredentials(c.transport),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxResponseBytes)),
	}, c.further...)
}

// bearer is a token that accompanies each call.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity leaves the choice to the caller: beside a sidecar that encrypts, a
// connection is plaintext and safe.
func (bearer) RequireTransportSecurity() bool { return false }
