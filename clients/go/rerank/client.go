package rerank

import (
	"context"
	_ "embed"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
)

// What is repeated and how calls are spread over the addresses of a name, the same in the clients
// of all languages.
//
//go:embed service_config.json
var serviceConfig string

// Client calls one gateway, or several equal ones behind one name. It is safe for concurrent use,
// and one for a whole program is enough.
type Client struct {
	conn      *grpc.ClientConn
	timeout   time.Duration
	reranking rerankv1.RerankServiceClient
	searching rerankv1.SearchServiceClient
	storing   rerankv1.DocumentServiceClient
	operating rerankv1.BackendServiceClient
	health    healthpb.HealthClient
}

// New makes a client for the gateway at address, HOST:PORT or any target that gRPC knows. It does
// not connect yet: the first call does. The error tells of an address that cannot be one.
func New(address string, options ...Option) (*Client, error) {
	chosen := defaults()
	for _, option := range options {
		option(&chosen)
	}
	conn, err := grpc.NewClient(address, chosen.dial()...)
	if err != nil {
		return nil, err
	}
	return &Client{
		conn:      conn,
		timeout:   chosen.timeout,
		reranking: rerankv1.NewRerankServiceClient(conn),
		searching: rerankv1.NewSearchServiceClient(conn),
		storing:   rerankv1.NewDocumentServiceClient(conn),
		operating: rerankv1.NewBackendServiceClient(conn),
		health:    healthpb.NewHealthClient(conn),
	}, nil
}

// Close ends the connections, and with them every call that is still open.
func (c *Client) Close() error {
	return c.conn.Close()
}

// Rerank orders the documents of one request.
func (c *Client) Rerank(ctx context.Context, request *rerankv1.RerankRequest, options ...grpc.CallOption) (*rerankv1.RerankResponse, error) {
	return call(ctx, c, c.reranking.Rerank, request, options)
}

// Search finds documents in a collection and orders them.
func (c *Client) Search(ctx context.Context, request *rerankv1.SearchRequest, options ...grpc.CallOption) (*rerankv1.SearchResponse, error) {
	return call(ctx, c, c.searching.Search, request, options)
}

// GetDocument brings one stored document.
func (c *Client) GetDocument(ctx context.Context, request *rerankv1.GetDocumentRequest, options ...grpc.CallOption) (*rerankv1.GetDocumentResponse, error) {
	return call(ctx, c, c.storing.GetDocument, request, options)
}

// ListDocuments brings one page of the documents of a collection. [Client.Documents] goes through
// all.
func (c *Client) ListDocuments(ctx context.Context, request *rerankv1.ListDocumentsRequest, options ...grpc.CallOption) (*rerankv1.ListDocumentsResponse, error) {
	return call(ctx, c, c.storing.ListDocuments, request, options)
}

// DeleteDocuments removes documents; those that are not stored are skipped.
func (c *Client) DeleteDocuments(ctx context.Context, request *rerankv1.DeleteDocumentsRequest, options ...grpc.CallOption) (*rerankv1.DeleteDocumentsResponse, error) {
	return call(ctx, c, c.storing.DeleteDocuments, request, options)
}

// CreateCollection creates an empty collection.
func (c *Client) CreateCollection(ctx context.Context, request *rerankv1.CreateCollectionRequest, options ...grpc.CallOption) (*rerankv1.CreateCollectionResponse, error) {
	return call(ctx, c, c.storing.CreateCollection, request, options)
}

// DeleteCollection removes a collection and all of its documents. It cannot be undone.
func (c *Client) DeleteCollection(ctx context.Context, request *rerankv1.DeleteCollectionRequest, options ...grpc.CallOption) (*rerankv1.DeleteCollectionResponse, error) {
	return call(ctx, c, c.storing.DeleteCollection, request, options)
}

// ListCollections brings one page of the collections. [Client.Collections] goes through all.
func (c *Client) ListCollections(ctx context.Context, request *rerankv1.ListCollectionsRequest, options ...grpc.CallOption) (*rerankv1.ListCollectionsResponse, error) {
	return call(ctx, c, c.storing.ListCollections, request, options)
}

// ListBackends brings one page of what the gateway uses. [Client.Backends] goes through all.
func (c *Client) ListBackends(ctx context.Context, request *rerankv1.ListBackendsRequest, options ...grpc.CallOption) (*rerankv1.ListBackendsResponse, error) {
	return call(ctx, c, c.operating.ListBackends, request, options)
}

// CheckBackend asks one backend now. One that does not work is an answer, not an error.
func (c *Client) CheckBackend(ctx context.Context, request *rerankv1.CheckBackendRequest, options ...grpc.CallOption) (*rerankv1.CheckBackendResponse, error) {
	return call(ctx, c, c.operating.CheckBackend, request, options)
}

// Health tells whether the gateway serves. An empty service means all of it; one by its full name,
// for example rerank.v1.SearchService, means that one. It does not wait for a gateway that is not
// there.
func (c *Client) Health(ctx context.Context, service string, options ...grpc.CallOption) (*healthpb.HealthCheckResponse, error) {
	return call(ctx, c, c.health.Check, &healthpb.HealthCheckRequest{Service: service}, options)
}

type unary[Request, Response any] func(context.Context, *Request, ...grpc.CallOption) (*Response, error)

func call[Request, Response any](ctx context.Context, c *Client, method unary[Request, Response], request *Request, options []grpc.CallOption) (*Response, error) {
	ctx, cancel := c.outgoing(ctx)
	defer cancel()
	response, err := method(ctx, request, options...)
	if err != nil {
		return nil, failure(err)
	}
	return response, nil
}

// outgoing gives a call its deadline, its trace, and an end.
func (c *Client) outgoing(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = traced(ctx)
	if _, bounded := ctx.Deadline(); bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, c.timeout)
}
