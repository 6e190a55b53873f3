package rerank

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
)

// RerankBatch orders the documents of many requests over one stream. It gives each answer as soon
// as it is there, so in any order: match them by their request ids. What would be an error of
// [Client.Rerank] is one of that answer alone; see [BatchError].
//
// An error is the last that comes, and is of the stream as a whole. Leaving the loop cancels what
// is open. The requests are asked for in a goroutine of their own, when the gateway has room for
// them, and are waited for before the loop ends.
func (c *Client) RerankBatch(ctx context.Context, requests iter.Seq[*rerankv1.RerankBatchRequest], options ...grpc.CallOption) iter.Seq2[*rerankv1.RerankBatchResponse, error] {
	return exchange(ctx, c, c.reranking.RerankBatch, requests, options)
}

// ImportDocuments stores batches of documents; [Batches] makes them. Each answer tells which
// version of the collection has the batch, and which of its documents were not stored and why.
//
// An error is the last that comes; batches answered before remain stored. Leaving the loop stops
// the import. The batches are asked for in a goroutine of their own and are waited for before the
// loop ends. Many of them need more time than other calls: a context with a deadline of its own.
func (c *Client) ImportDocuments(ctx context.Context, batches iter.Seq[*rerankv1.ImportDocumentsRequest], options ...grpc.CallOption) iter.Seq2[*rerankv1.ImportDocumentsResponse, error] {
	return exchange(ctx, c, c.storing.ImportDocuments, batches, options)
}

// SearchProgressive searches and gives two answers: at once the order before reranking, and then,
// with final, what [Client.Search] would have given. An error is the last that comes. Leaving the
// loop cancels the search.
func (c *Client) SearchProgressive(ctx context.Context, request *rerankv1.SearchProgressiveRequest, options ...grpc.CallOption) iter.Seq2[*rerankv1.SearchProgressiveResponse, error] {
	return func(yield func(*rerankv1.SearchProgressiveResponse, error) bool) {
		ctx, cancel := c.outgoing(ctx)
		defer cancel()
		stream, err := c.searching.SearchProgressive(ctx, request, options...)
		if err == nil {
			err = receive(stream, yield)
		}
		if err != nil {
			yield(nil, failure(err))
		}
	}
}

type bidirectional[Request, Response any] func(context.Context, ...grpc.CallOption) (grpc.BidiStreamingClient[Request, Response], error)

// exchange sends and receives at the same time, so that neither side waits for the other.
func exchange[Request, Response any](ctx context.Context, c *Client, method bidirectional[Request, Response], requests iter.Seq[*Request], options []grpc.CallOption) iter.Seq2[*Response, error] {
	return func(yield func(*Response, error) bool) {
		ctx, cancel := c.outgoing(ctx)
		defer cancel()
		stream, err := method(ctx, options...)
		if err != nil {
			yield(nil, failure(err))
			return
		}
		sent := make(chan error, 1)
		go func() { sent <- send(stream, requests) }()
		err = receive(stream, yield)
		cancel()
		// What could not be sent says more than the stream that ended for it.
		if unsent := <-sent; err != nil && unsent != nil {
			err = unsent
		}
		if err != nil {
			yield(nil, failure(err))
		}
	}
}

// send gives an error only where this side made it: of the server's, the receiving side knows.
func send[Request, Response any](stream grpc.BidiStreamingClient[Request, Response], requests iter.Seq[*Request]) error {
	for request := range requests {
		if err := stream.Send(request); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return stream.CloseSend()
}

// receive gives nil when the stream has ended well, and when the loop was left.
func receive[Response any](stream interface{ Recv() (*Response, error) }, yield func(*Response, error) bool) error {
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !yield(response, nil) {
			return nil
		}
	}
}
