package rerank_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
)

// played is a server that does what a test says, for what no gateway can be brought to do when a
// test wants it.
type played struct {
	rerankv1.UnimplementedRerankServiceServer
	rerankv1.UnimplementedSearchServiceServer
	rerankv1.UnimplementedDocumentServiceServer
	rerankv1.UnimplementedBackendServiceServer

	rerank      func(context.Context, *rerankv1.RerankRequest) (*rerankv1.RerankResponse, error)
	batch       func(grpc.BidiStreamingServer[rerankv1.RerankBatchRequest, rerankv1.RerankBatchResponse]) error
	progressive func(grpc.ServerStreamingServer[rerankv1.SearchProgressiveResponse]) error
	create      func() (*rerankv1.CreateCollectionResponse, error)
	collections func(*rerankv1.ListCollectionsRequest) (*rerankv1.ListCollectionsResponse, error)
	documents   func(*rerankv1.ListDocumentsRequest) (*rerankv1.ListDocumentsResponse, error)
}

// play serves until the test is over, and gives the address.
func play(t testing.TB, server *played, options ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving := grpc.NewServer(options...)
	rerankv1.RegisterRerankServiceServer(serving, server)
	rerankv1.RegisterSearchServiceServer(serving, server)
	rerankv1.RegisterDocumentServiceServer(serving, server)
	rerankv1.RegisterBackendServiceServer(serving, server)
	ended := make(chan error, 1)
	go func() { ended <- serving.Serve(listener) }()
	t.Cleanup(func() {
		serving.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func (p *played) Rerank(ctx context.Context, request *rerankv1.RerankRequest) (*rerankv1.RerankResponse, error) {
	return p.rerank(ctx, request)
}

func (p *played) RerankBatch(stream grpc.BidiStreamingServer[rerankv1.RerankBatchRequest, rerankv1.RerankBatchResponse]) error {
	return p.batch(stream)
}

func (p *played) SearchProgressive(_ *rerankv1.SearchProgressiveRequest, stream grpc.ServerStreamingServer[rerankv1.SearchProgressiveResponse]) error {
	return p.progressive(stream)
}

func (p *played) CreateCollection(context.Context, *rerankv1.CreateCollectionRequest) (*rerankv1.CreateCollectionResponse, error) {
	return p.create()
}

func (p *played) ListCollections(_ context.Context, request *rerankv1.ListCollectionsRequest) (*rerankv1.ListCollectionsResponse, error) {
	return p.collections(request)
}

func (p *played) ListDocuments(_ context.Context, request *rerankv1.ListDocumentsRequest) (*rerankv1.ListDocumentsResponse, error) {
	return p.documents(request)
}
