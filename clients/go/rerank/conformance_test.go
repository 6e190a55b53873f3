package rerank_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
	"github.com/rerank-gateway/rerank-gateway/clients/go/internal/gatewaytest"
	"github.com/rerank-gateway/rerank-gateway/clients/go/rerank"
)

// A file of the table that all clients are held to, see clients/conformance.
type conformanceCase struct {
	Name  string
	Calls []conformanceCall
}

type conformanceCall struct {
	Method    string
	Request   json.RawMessage
	Requests  []json.RawMessage
	TimeoutS  float64 `json:"timeout_s"`
	Volatile  []string
	Response  any
	Responses []any
	Error     any
}

func TestConformance(t *testing.T) {
	gateway := gatewaytest.Conformance(t)
	files, err := filepath.Glob(filepath.Join(gatewaytest.Root(), "clients", "conformance", "cases", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []conformanceCase
		if err := json.Unmarshal(text, &cases); err != nil {
			t.Fatal(err)
		}
		for _, each := range cases {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json")+"/"+each.Name, func(t *testing.T) {
				// Of its own: a client that met many failures repeats nothing for a while.
				client := connect(t, gateway.Address)
				for _, call := range each.Calls {
					call.check(t, client)
				}
			})
		}
	}
}

func (c conformanceCall) check(t *testing.T, client *rerank.Client) {
	t.Helper()
	ctx := t.Context()
	if c.TimeoutS > 0 {
		bounded, cancel := context.WithTimeout(ctx, time.Duration(c.TimeoutS*float64(time.Second)))
		defer cancel()
		ctx = bounded
	}
	answers, err := c.run(ctx, client)
	var got, expected any
	switch {
	case c.Error != nil:
		var failed *rerank.Error
		if !errors.As(err, &failed) {
			t.Fatalf("%s: %v is no *rerank.Error", c.Method, err)
		}
		got, expected = asTold(failed), c.Error
	case err != nil:
		t.Fatalf("%s: %v", c.Method, err)
	case c.Responses != nil:
		got, expected = answers, c.Responses
	default:
		got, expected = answers[0], c.Response
	}
	volatile := append(c.Volatile, "duration")
	if told := difference(steady(got, volatile), steady(expected, volatile), "$"); told != "" {
		t.Errorf("%s: %s", c.Method, told)
	}
}

// run makes the call and gives its answers as JSON says them.
func (c conformanceCall) run(ctx context.Context, client *rerank.Client) ([]any, error) {
	_, method, _ := strings.Cut(c.Method, "/")
	switch method {
	case "Rerank":
		return one(ctx, c, client.Rerank)
	case "Search":
		return one(ctx, c, client.Search)
	case "GetDocument":
		return one(ctx, c, client.GetDocument)
	case "ListDocuments":
		return one(ctx, c, client.ListDocuments)
	case "DeleteDocuments":
		return one(ctx, c, client.DeleteDocuments)
	case "CreateCollection":
		return one(ctx, c, client.CreateCollection)
	case "DeleteCollection":
		return one(ctx, c, client.DeleteCollection)
	case "ListCollections":
		return one(ctx, c, client.ListCollections)
	case "ListBackends":
		return one(ctx, c, client.ListBackends)
	case "CheckBackend":
		return one(ctx, c, client.CheckBackend)
	case "SearchProgressive":
		return all(client.SearchProgressive(ctx, parsed[rerankv1.SearchProgressiveRequest](c.Request)))
	case "ImportDocuments":
		return all(client.ImportDocuments(ctx, sequence[rerankv1.ImportDocumentsRequest](c.Requests)))
	case "RerankBatch":
		answers, err := all(client.RerankBatch(ctx, sequence[rerankv1.RerankBatchRequest](c.Requests)))
		slices.SortFunc(answers, func(a, b any) int { return cmp.Compare(requestID(a), requestID(b)) })
		return answers, err
	default:
		return nil, fmt.Errorf("the client has no %s", c.Method)
	}
}

type message[T any] interface {
	*T
	proto.Message
}

func one[Q, A any, PQ message[Q], PA message[A]](ctx context.Context, c conformanceCall, method func(context.Context, PQ, ...grpc.CallOption) (PA, error)) ([]any, error) {
	answer, err := method(ctx, parsed[Q, PQ](c.Request))
	if err != nil {
		return nil, err
	}
	return []any{asJSON(answer)}, nil
}

func all[A proto.Message](answers iter.Seq2[A, error]) ([]any, error) {
	var told []any
	for answer, err := range answers {
		if err != nil {
			return told, err
		}
		told = append(told, asJSON(answer))
	}
	return told, nil
}

func sequence[Q any, PQ message[Q]](requests []json.RawMessage) iter.Seq[PQ] {
	return func(yield func(PQ) bool) {
		for _, each := range requests {
			if !yield(parsed[Q, PQ](each)) {
				return
			}
		}
	}
}

func parsed[Q any, PQ message[Q]](text json.RawMessage) PQ {
	request := PQ(new(Q))
	must(protojson.Unmarshal(text, request))
	return request
}

func asJSON(answer proto.Message) any {
	text, err := protojson.Marshal(answer)
	must(err)
	var told any
	must(json.Unmarshal(text, &told))
	return told
}

// asTold writes an error as the table does.
func asTold(failed *rerank.Error) any {
	told := map[string]any{"code": codeName(failed)}
	if failed.Reason != rerankv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
		told["reason"] = failed.Reason.String()
		metadata := map[string]any{}
		for key, value := range failed.Metadata {
			metadata[key] = value
		}
		told["metadata"] = metadata
	}
	var violations []any
	for _, each := range failed.Violations {
		violations = append(violations, map[string]any{"field": each.Field, "description": each.Description})
	}
	if violations != nil {
		told["violations"] = violations
	}
	return told
}

func requestID(answer any) string {
	id, _ := answer.(map[string]any)["requestId"].(string)
	return id
}

// steady leaves out the members that differ from one run to the next.
func steady(value any, volatile []string) any {
	switch value := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for key, each := range value {
			if !slices.Contains(volatile, key) {
				kept[key] = steady(each, volatile)
			}
		}
		return kept
	case []any:
		kept := make([]any, 0, len(value))
		for _, each := range value {
			kept = append(kept, steady(each, volatile))
		}
		return kept
	default:
		return value
	}
}

// difference says in words where they differ first, or nothing. Numbers are equal within a
// millionth.
func difference(got, expected any, path string) string {
	switch expected := expected.(type) {
	case map[string]any:
		members, ok := got.(map[string]any)
		names := slices.Sorted(maps.Keys(expected))
		if !ok || !slices.Equal(slices.Sorted(maps.Keys(members)), names) {
			return fmt.Sprintf("%s is %v, not %v", path, got, expected)
		}
		for _, name := range names {
			if told := difference(members[name], expected[name], path+"."+name); told != "" {
				return told
			}
		}
		return ""
	case []any:
		elements, ok := got.([]any)
		if !ok || len(elements) != len(expected) {
			return fmt.Sprintf("%s is %v, not %v", path, got, expected)
		}
		for at, each := range expected {
			if told := difference(elements[at], each, fmt.Sprintf("%s[%d]", path, at)); told != "" {
				return told
			}
		}
		return ""
	case float64:
		number, ok := got.(float64)
		if ok && math.Abs(number-expected) <= 1e-6*max(1, math.Abs(expected)) {
			return ""
		}
	default:
		if got == expected {
			return ""
		}
	}
	return fmt.Sprintf("%s is %v, not %v", path, got, expected)
}

// must ends a test run that cannot go on: the table or the test itself is broken.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
