package rerank

import (
	"context"
	"iter"

	"google.golang.org/protobuf/proto"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
)

// Documents goes through the documents of a collection, from the page that the request names on,
// and asks for a page when it comes to it. An error is the last that comes.
func (c *Client) Documents(ctx context.Context, request *rerankv1.ListDocumentsRequest) iter.Seq2[*rerankv1.Document, error] {
	return pages(request.GetPageToken(), func(token string) ([]*rerankv1.Document, string, error) {
		asked := &rerankv1.ListDocumentsRequest{}
		proto.Merge(asked, request)
		asked.PageToken = token
		page, err := c.ListDocuments(ctx, asked)
		return page.GetDocuments(), page.GetNextPageToken(), err
	})
}

// Collections goes through all collections, by name, and asks for a page when it comes to it. An
// error is the last that comes.
func (c *Client) Collections(ctx context.Context) iter.Seq2[*rerankv1.Collection, error] {
	return pages("", func(token string) ([]*rerankv1.Collection, string, error) {
		page, err := c.ListCollections(ctx, &rerankv1.ListCollectionsRequest{PageToken: token})
		return page.GetCollections(), page.GetNextPageToken(), err
	})
}

// Backends goes through all that the gateway uses, by name and worker, and asks for a page when it
// comes to it. An error is the last that comes.
func (c *Client) Backends(ctx context.Context) iter.Seq2[*rerankv1.Backend, error] {
	return pages("", func(token string) ([]*rerankv1.Backend, string, error) {
		page, err := c.ListBackends(ctx, &rerankv1.ListBackendsRequest{PageToken: token})
		return page.GetBackends(), page.GetNextPageToken(), err
	})
}

func pages[Entry any](first string, page func(token string) ([]*Entry, string, error)) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		for token := first; ; {
			entries, next, err := page(token)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, entry := range entries {
				if !yield(entry, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			token = next
		}
	}
}
