package rerank

import (
	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
)

// Answer is what the answers of Rerank and Search have in common.
type Answer interface {
	GetResults() []*rerankv1.RankedDocument
	GetSearchMethod() string
	GetMessage() string
	GetFallbackTriggered() bool
	GetExecution() *rerankv1.Execution
}

// FellBack tells whether a rerank was wanted and no backend scored anything, so that the results
// stand in the order before it. GetExecution().GetFallbackReason() says why.
func FellBack(answer Answer) bool {
	outcome := answer.GetExecution().GetOutcome()
	if _, known := rerankv1.Outcome_name[int32(outcome)]; known {
		return outcome == rerankv1.Outcome_OUTCOME_FELL_BACK
	}
	// How the contract has an outcome read that is newer than its reader.
	for _, result := range answer.GetResults() {
		if result.RerankScore != nil {
			return false
		}
	}
	return true
}

// InOrder gives what the documents of a request stood for, such as rows of a table, in the order
// of its answer. There must be as many of them, in the same order, as the request had documents.
func InOrder[T any](answer *rerankv1.RerankResponse, originals []T) []T {
	ordered := make([]T, 0, len(answer.GetResults()))
	for _, result := range answer.GetResults() {
		ordered = append(ordered, originals[result.GetIndex()])
	}
	return ordered
}

// Texts makes documents that are nothing but text.
func Texts(texts ...string) []*rerankv1.Document {
	documents := make([]*rerankv1.Document, 0, len(texts))
	for _, text := range texts {
		documents = append(documents, &rerankv1.Document{Text: text})
	}
	return documents
}
