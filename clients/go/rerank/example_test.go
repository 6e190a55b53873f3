package rerank_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"time"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
	"github.com/rerank-gateway/rerank-gateway/clients/go/rerank"
)

func Example() {
	client, err := rerank.New(gateway().Address) // such as "localhost:50051"
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	texts := []string{
		"The cafeteria serves vegetable soup on Mondays.",
		"Restoring a backup: stop the database, copy the backup, replay the log.",
	}
	answer, err := client.Rerank(context.Background(), &rerankv1.RerankRequest{
		Query:     "how do I restore a backup?",
		Documents: rerank.Texts(texts...),
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range rerank.InOrder(answer, texts) {
		fmt.Println(text)
	}
	// Output:
	// Restoring a backup: stop the database, copy the backup, replay the log.
	// The cafeteria serves vegetable soup on Mondays.
}

// A context's deadline is the call's. What cannot be scored in time comes back in the order
// received, and the answer says so.
func ExampleFellBack() {
	client, err := rerank.New(gateway().Address)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	answer, err := client.Rerank(ctx, &rerankv1.RerankRequest{
		Query:     "how do I restore a backup?",
		Documents: rerank.Texts("Soup is served on Mondays.", "Stop the database first."),
	})
	if err != nil {
		log.Fatal(err)
	}
	if rerank.FellBack(answer) {
		fmt.Println("not reranked:", answer.GetExecution().GetFallbackReason())
	} else {
		fmt.Println("reranked by", answer.GetExecution().GetBackend())
	}
	// Output: reranked by local
}

func ExampleError() {
	client, err := rerank.New(gateway().Address)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	_, err = client.Rerank(context.Background(), &rerankv1.RerankRequest{Query: " ", TopN: -1})

	var failed *rerank.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Code, failed.Reason)
		for _, each := range failed.Violations {
			fmt.Println(each.Field, each.Description)
		}
	}
	// Output:
	// InvalidArgument ERROR_REASON_INVALID_REQUEST
	// query must not be blank
	// top_n must not be negative; 0 sets no bound
}

func ExampleClient_RerankBatch() {
	client, err := rerank.New(gateway().Address)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	requests := []*rerankv1.RerankBatchRequest{
		{RequestId: "monday", Request: &rerankv1.RerankRequest{
			Query: "lunch on Monday", Documents: rerank.Texts("a disk failed", "soup for lunch on Monday"),
		}},
		{RequestId: "wrong", Request: &rerankv1.RerankRequest{Query: " "}},
	}
	said := map[string]string{}
	for answer, err := range client.RerankBatch(context.Background(), slices.Values(requests)) {
		if err != nil {
			log.Fatal(err)
		}
		if err := rerank.BatchError(answer); err != nil {
			said[answer.GetRequestId()] = err.Error()
			continue
		}
		said[answer.GetRequestId()] = fmt.Sprint("first is ", answer.GetResponse().GetResults()[0].GetIndex())
	}
	fmt.Println(said["monday"])
	fmt.Println(said["wrong"])
	// Output:
	// first is 1
	// rerank: InvalidArgument: query: must not be blank
}

func ExampleClient_ImportDocuments() {
	client, err := rerank.New(gateway().Address, rerank.WithTimeout(time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	documents := []*rerankv1.Document{
		{Id: "soup", Text: "The cafeteria serves vegetable soup on Mondays."},
		{Id: "restore", Text: "Restoring a backup: stop the database, copy the backup."},
		{Id: "blank"},
	}
	var version int64
	for stored, err := range client.ImportDocuments(context.Background(), rerank.Batches("", slices.Values(documents))) {
		if err != nil {
			log.Fatal(err)
		}
		for _, each := range stored.GetRejected() {
			fmt.Println(each.GetId(), each.GetReason())
		}
		version = stored.GetVersion()
	}
	answer, err := client.Search(context.Background(), &rerankv1.SearchRequest{
		Query:      "how do I restore a backup?",
		MinVersion: version, // sees what was just stored
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, result := range answer.GetResults() {
		fmt.Println(result.GetRank(), result.GetId(), result.GetSearchMethod())
	}
	// Output:
	// blank REJECTION_REASON_BLANK
	// 1 restore rrf_hybrid+rerank
	// 2 soup rrf_hybrid+rerank
}
