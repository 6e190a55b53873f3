package rerank_test

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
	"github.com/rerank-gateway/rerank-gateway/clients/go/rerank"
)

type batchStream = grpc.BidiStreamingServer[rerankv1.RerankBatchRequest, rerankv1.RerankBatchResponse]

func request(id string) *rerankv1.RerankBatchRequest {
	return &rerankv1.RerankBatchRequest{
		RequestId: id,
		Request:   &rerankv1.RerankRequest{Query: id, Documents: rerank.Texts("a", "b")},
	}
}

// echo answers each request as it comes.
func echo(stream batchStream) error {
	for {
		asked, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		answer := &rerankv1.RerankBatchResponse{
			RequestId: asked.GetRequestId(),
			Result:    &rerankv1.RerankBatchResponse_Response{Response: answered},
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

func TestABatchIsAnsweredWhileItIsStillSent(t *testing.T) {
	client := connect(t, play(t, &played{batch: echo}))
	heard := make(chan string)
	// The next request is made of the answer before: if one side waited for the other to be
	// done, there would be none.
	conversation := func(yield func(*rerankv1.RerankBatchRequest) bool) {
		if !yield(request("1")) {
			return
		}
		yield(request((<-heard) + "+1"))
	}

	var got []string
	for answer, err := range client.RerankBatch(t.Context(), conversation) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, answer.GetRequestId())
		if len(got) == 1 {
			heard <- answer.GetRequestId()
		}
	}
	if !slices.Equal(got, []string{"1", "1+1"}) {
		t.Errorf("got %q", got)
	}
}

func TestLeavingABatchEndsItOnBothSides(t *testing.T) {
	ended := make(chan error, 1)
	client := connect(t, play(t, &played{batch: func(stream batchStream) error {
		err := echo(stream)
		ended <- err
		return err
	}}))
	endless := func(yield func(*rerankv1.RerankBatchRequest) bool) {
		for number := 0; yield(request(fmt.Sprint(number))); number++ {
		}
	}

	for _, err := range client.RerankBatch(t.Context(), endless) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}

	if err := <-ended; status.Code(err) != codes.Canceled {
		t.Errorf("the server saw %v", err)
	}
}

func TestABatchThatFailsSaysSoLast(t *testing.T) {
	client := connect(t, play(t, &played{batch: func(stream batchStream) error {
		if _, err := stream.Recv(); err != nil {
			return err
		}
		return status.Error(codes.ResourceExhausted, "played")
	}}))

	answers, err := drained(client.RerankBatch(t.Context(), slices.Values([]*rerankv1.RerankBatchRequest{request("1")})))

	var failed *rerank.Error
	if !errors.As(err, &failed) || failed.Code != codes.ResourceExhausted || len(answers) != 0 {
		t.Errorf("%v after %d answers", err, len(answers))
	}
}

func TestARequestThatCannotBeSentIsTheError(t *testing.T) {
	client := connect(t, play(t, &played{batch: echo}))

	_, err := drained(client.RerankBatch(t.Context(), slices.Values([]*rerankv1.RerankBatchRequest{request("\xff")})))

	if status.Code(err) != codes.Internal {
		t.Errorf("%v", err)
	}
}

func TestOneErrorOfABatchReadsLikeThatOfACall(t *testing.T) {
	told := &rerankv1.RerankBatchResponse{
		Result: &rerankv1.RerankBatchResponse_Error{Error: &rerankv1.RerankBatchError{
			Code:       int32(codes.InvalidArgument),
			Message:    "the request is wrong",
			Reason:     rerankv1.ErrorReason_ERROR_REASON_INVALID_REQUEST,
			Metadata:   map[string]string{"field": "query"},
			Violations: []*rerankv1.FieldViolation{{Field: "query", Description: "must not be blank"}},
			RetryDelay: durationpb.New(time.Second),
		}},
	}

	var failed *rerank.Error
	if !errors.As(rerank.BatchError(told), &failed) {
		t.Fatal("no *rerank.Error")
	}
	if failed.Code != codes.InvalidArgument || failed.Reason != rerankv1.ErrorReason_ERROR_REASON_INVALID_REQUEST ||
		failed.Metadata["field"] != "query" || failed.RetryDelay != time.Second ||
		!slices.Equal(failed.Violations, []rerank.Violation{{Field: "query", Description: "must not be blank"}}) ||
		status.Code(failed) != codes.InvalidArgument {
		t.Errorf("%+v", failed)
	}
	if err := rerank.BatchError(&rerankv1.RerankBatchResponse{}); err != nil {
		t.Errorf("an answer is the error %v", err)
	}
}

func TestLeavingAProgressiveSearchEndsItOnBothSides(t *testing.T) {
	ended := make(chan struct{})
	client := connect(t, play(t, &played{progressive: func(stream grpc.ServerStreamingServer[rerankv1.SearchProgressiveResponse]) error {
		if err := stream.Send(&rerankv1.SearchProgressiveResponse{}); err != nil {
			return err
		}
		<-stream.Context().Done()
		close(ended)
		return nil
	}}))

	for _, err := range client.SearchProgressive(t.Context(), &rerankv1.SearchProgressiveRequest{}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}

	<-ended
}

func TestPagesFollowEachOther(t *testing.T) {
	pages := map[string]*rerankv1.ListCollectionsResponse{
		"":  {Collections: []*rerankv1.Collection{{Name: "a"}, {Name: "b"}}, NextPageToken: "2"},
		"2": {NextPageToken: "3"},
		"3": {Collections: []*rerankv1.Collection{{Name: "c"}}},
	}
	client := connect(t, play(t, &played{collections: func(asked *rerankv1.ListCollectionsRequest) (*rerankv1.ListCollectionsResponse, error) {
		return pages[asked.GetPageToken()], nil
	}}))

	collections, err := drained(client.Collections(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, each := range collections {
		names = append(names, each.GetName())
	}
	if !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("got %q", names)
	}
}

func TestPagesOfDocumentsAreThoseAskedFor(t *testing.T) {
	pages := map[string]*rerankv1.ListDocumentsResponse{
		"2": {Documents: []*rerankv1.Document{{Id: "b"}}, NextPageToken: "3"},
		"3": {Documents: []*rerankv1.Document{{Id: "c"}}},
	}
	client := connect(t, play(t, &played{documents: func(asked *rerankv1.ListDocumentsRequest) (*rerankv1.ListDocumentsResponse, error) {
		if asked.GetCollection() != "papers" || asked.GetPageSize() != 1 || !asked.GetReturnEmbeddings() {
			return nil, status.Errorf(codes.Internal, "asked for %v", asked)
		}
		return pages[asked.GetPageToken()], nil
	}}))

	request := &rerankv1.ListDocumentsRequest{Collection: "papers", PageSize: 1, PageToken: "2", ReturnEmbeddings: true}
	for range 2 { // the request is the caller's, and stays as it is
		documents, err := drained(client.Documents(t.Context(), request))
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, each := range documents {
			ids = append(ids, each.GetId())
		}
		if !slices.Equal(ids, []string{"b", "c"}) {
			t.Errorf("got %q", ids)
		}
	}
}

func TestPagesEndWithTheirError(t *testing.T) {
	client := connect(t, play(t, &played{documents: func(asked *rerankv1.ListDocumentsRequest) (*rerankv1.ListDocumentsResponse, error) {
		if asked.GetPageToken() != "" {
			return nil, status.Error(codes.NotFound, "it is gone")
		}
		return &rerankv1.ListDocumentsResponse{Documents: []*rerankv1.Document{{Id: "a"}}, NextPageToken: "2"}, nil
	}}))

	documents, err := drained(client.Documents(t.Context(), nil))
	var failed *rerank.Error
	if !errors.As(err, &failed) || failed.Code != codes.NotFound || len(documents) != 1 {
		t.Errorf("got %v and %v", documents, err)
	}
}

// drained collects a stream, up to its error.
func drained[A any](answers iter.Seq2[A, error]) ([]A, error) {
	var got []A
	for answer, err := range answers {
		if err != nil {
			return got, err
		}
		got = append(got, answer)
	}
	return got, nil
}
