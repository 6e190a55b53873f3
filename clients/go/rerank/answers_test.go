package rerank_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
	"github.com/rerank-gateway/rerank-gateway/clients/go/rerank"
)

func TestInOrderFollowsThePlacesInTheRequest(t *testing.T) {
	answer := &rerankv1.RerankResponse{Results: []*rerankv1.RankedDocument{{Index: 2}, {Index: 0}}}

	if got := rerank.InOrder(answer, []string{"a", "b", "c"}); !slices.Equal(got, []string{"c", "a"}) {
		t.Errorf("got %q", got)
	}
}

func TestFellBackReadsOutcomesThatAreNewer(t *testing.T) {
	const newer = 77
	scored := []*rerankv1.RankedDocument{{RerankScore: proto.Float64(0)}}
	for _, each := range []struct {
		outcome rerankv1.Outcome
		results []*rerankv1.RankedDocument
		want    bool
	}{
		{rerankv1.Outcome_OUTCOME_FELL_BACK, nil, true},
		{rerankv1.Outcome_OUTCOME_RERANKED, scored, false},
		{rerankv1.Outcome_OUTCOME_NOT_REQUESTED, nil, false},
		{newer, nil, true},
		{newer, scored, false},
	} {
		answer := &rerankv1.SearchResponse{
			Results:   each.results,
			Execution: &rerankv1.Execution{Outcome: each.outcome},
		}
		if got := rerank.FellBack(answer); got != each.want {
			t.Errorf("%v with %d results: %v", each.outcome, len(each.results), got)
		}
	}
}

func TestBatchesAreAsLargeAsAGatewayTakes(t *testing.T) {
	megabyte := strings.Repeat("x", 1<<20)
	for _, each := range []struct {
		name string
		text string
		all  int
		want []int
	}{
		{"none", "", 0, nil},
		{"one", "short", 1, []int{1}},
		{"exactly full", "short", 1000, []int{1000}},
		{"by number", "short", 2001, []int{1000, 1000, 1}},
		{"by bytes", megabyte, 10, []int{7, 3}},
		{"of one that is too large for any", strings.Repeat(megabyte, 9), 2, []int{1, 1}},
	} {
		t.Run(each.name, func(t *testing.T) {
			documents := make([]*rerankv1.Document, each.all)
			for place := range documents {
				documents[place] = &rerankv1.Document{Text: each.text}
			}
			var got []int
			for batch := range rerank.Batches("papers", slices.Values(documents)) {
				if batch.GetCollection() != "papers" {
					t.Errorf("for %q", batch.GetCollection())
				}
				got = append(got, len(batch.GetDocuments()))
			}
			if !slices.Equal(got, each.want) {
				t.Errorf("batches of %v, not %v", got, each.want)
			}
		})
	}
}
