// Command search stores a few recipes in a collection and searches them, with a filter, once and
// progressively:
//
//	go run ./examples/search "something warm with beans"
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
	"github.com/rerank-gateway/rerank-gateway/clients/go/rerank"
)

const collection = "recipes"

func main() {
	address := flag.String("address", "localhost:50051", "HOST:PORT of the gateway")
	flag.Parse()
	query := strings.Join(flag.Args(), " ")
	if query == "" {
		query = "something warm with beans"
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *address, query, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, query string, out io.Writer) error {
	client, err := rerank.New(address)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()

	version, err := store(ctx, client)
	if err != nil {
		return err
	}
	search := &rerankv1.SearchRequest{
		Query:      query,
		Collection: collection,
		Limit:      2,
		Filter: &rerankv1.Filter{Condition: &rerankv1.Filter_Eq{Eq: &rerankv1.EqualCondition{
			Field: "vegan",
			Value: &rerankv1.Value{Kind: &rerankv1.Value_BoolValue{BoolValue: true}},
		}}},
		MinVersion: version, // sees what was just stored
	}

	// The gateway keeps this deadline, and leaves out what there is no time for.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer, err := client.Search(ctx, search)
	if err != nil {
		return err
	}
	show(out, answer)

	for part, err := range client.SearchProgressive(ctx, &rerankv1.SearchProgressiveRequest{Search: search}) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "final: %t, %s\n", part.GetFinal(), part.GetSearchResponse().GetSearchMethod())
	}
	return nil
}

// store gives the version of the collection that has the recipes.
func store(ctx context.Context, client *rerank.Client) (int64, error) {
	_, err := client.CreateCollection(ctx, &rerankv1.CreateCollectionRequest{
		Name:   collection,
		Fields: []*rerankv1.CollectionField{{Name: "vegan", Type: rerankv1.FieldType_FIELD_TYPE_BOOL}},
	})
	var failed *rerank.Error
	if errors.As(err, &failed) && failed.Reason == rerankv1.ErrorReason_ERROR_REASON_COLLECTION_ALREADY_EXISTS {
		err = nil
	}
	if err != nil {
		return 0, err
	}
	recipes := []*rerankv1.Document{
		recipe("chili", "Chili sin carne: a stew of kidney beans, peppers and tomatoes.", true),
		recipe("gazpacho", "Gazpacho: a cold soup of tomatoes and cucumber.", true),
		recipe("cassoulet", "Cassoulet: white beans, baked for hours with sausage and duck.", false),
	}

	// An import is as long as its documents; this one has a minute.
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var version int64
	for stored, err := range client.ImportDocuments(ctx, rerank.Batches(collection, slices.Values(recipes))) {
		if err != nil {
			return 0, err
		}
		if rejected := stored.GetRejected(); len(rejected) > 0 {
			return 0, fmt.Errorf("%d recipes were not stored: %s", len(rejected), rejected[0].GetMessage())
		}
		version = stored.GetVersion()
	}
	return version, nil
}

func recipe(id, text string, vegan bool) *rerankv1.Document {
	return &rerankv1.Document{Id: id, Text: text, Metadata: &structpb.Struct{
		Fields: map[string]*structpb.Value{"vegan": structpb.NewBoolValue(vegan)},
	}}
}

func show(out io.Writer, answer *rerankv1.SearchResponse) {
	for _, result := range answer.GetResults() {
		fmt.Fprintf(out, "%d. %s\n", result.GetRank(), result.GetDocument().GetText())
	}
	fmt.Fprintf(out, "%s: %s\n", answer.GetSearchMethod(), answer.GetMessage())
	if answer.GetFallbackTriggered() {
		for _, stage := range answer.GetExecution().GetStages() {
			if stage.GetReason() != rerankv1.FallbackReason_FALLBACK_REASON_UNSPECIFIED {
				fmt.Fprintf(out, "%s did less: %s\n", stage.GetName(), stage.GetReason())
			}
		}
	}
}
