package rerank

import (
	"iter"

	"google.golang.org/protobuf/proto"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
)

const (
	// What the contract allows in one batch.
	maxBatchDocuments = 1000

	// A quarter of the largest message, so that answers keep coming.
	maxBatchBytes = 8 << 20
)

// Batches divides documents into messages for [Client.ImportDocuments], each with as many as a
// gateway takes at once. An empty collection means the collection named default.
func Batches(collection string, documents iter.Seq[*rerankv1.Document]) iter.Seq[*rerankv1.ImportDocumentsRequest] {
	return func(yield func(*rerankv1.ImportDocumentsRequest) bool) {
		batch := &rerankv1.ImportDocumentsRequest{Collection: collection}
		bytes := 0
		for document := range documents {
			size := proto.Size(document)
			full := len(batch.Documents) == maxBatchDocuments || bytes+size > maxBatchBytes
			if full && len(batch.Documents) > 0 {
				if !yield(batch) {
					return
				}
				batch = &rerankv1.ImportDocumentsRequest{Collection: collection}
				bytes = 0
			}
			batch.Documents = append(batch.Documents, document)
			bytes += size
		}
		if len(batch.Documents) > 0 {
			yield(batch)
		}
	}
}
