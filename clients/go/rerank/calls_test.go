package rerank_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
	"github.com/rerank-gateway/rerank-gateway/clients/go/internal/gatewaytest"
	"github.com/rerank-gateway/rerank-gateway/clients/go/rerank"
)

var answered = &rerankv1.RerankResponse{SearchMethod: "rerank"}

func TestACallWithoutADeadlineGetsTheClientsOwn(t *testing.T) {
	left := make(chan time.Duration, 1)
	address := play(t, &played{rerank: func(ctx context.Context, _ *rerankv1.RerankRequest) (*rerankv1.RerankResponse, error) {
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
		return answered, nil
	}})
	for _, each := range []struct {
		name    string
		options []rerank.Option
		ctx     func() (context.Context, context.CancelFunc)
		most    time.Duration
		least   time.Duration
	}{
		{name: "by default", most: 10 * time.Second, least: 5 * time.Second},
		{
			name:    "that it was made with",
			options: []rerank.Option{rerank.WithTimeout(4 * time.Second)},
			most:    4 * time.Second,
			least:   time.Second,
		},
		{
			name:    "and keeps a shorter one",
			ctx:     func() (context.Context, context.CancelFunc) { return context.WithTimeout(t.Context(), 3*time.Second) },
			options: nil,
			most:    3 * time.Second,
			least:   time.Second,
		},
		{
			name:  "and keeps a longer one",
			ctx:   func() (context.Context, context.CancelFunc) { return context.WithTimeout(t.Context(), time.Hour) },
			most:  time.Hour,
			least: 59 * time.Minute,
		},
	} {
		t.Run(each.name, func(t *testing.T) {
			client := connect(t, address, each.options...)
			ctx := t.Context()
			if each.ctx != nil {
				bounded, cancel := each.ctx()
				defer cancel()
				ctx = bounded
			}
			if _, err := client.Rerank(ctx, &rerankv1.RerankRequest{}); err != nil {
				t.Fatal(err)
			}
			if got := <-left; got > each.most || got < each.least {
				t.Errorf("%v were left, not from %v to %v", got, each.least, each.most)
			}
		})
	}
}

func TestACallThatIsTooLateIsAlsoAnErrorOfItsContext(t *testing.T) {
	address := play(t, &played{rerank: func(ctx context.Context, _ *rerankv1.RerankRequest) (*rerankv1.RerankResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	client := connect(t, address, rerank.WithTimeout(50*time.Millisecond))

	_, err := client.Rerank(t.Context(), &rerankv1.RerankRequest{})

	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is no context.DeadlineExceeded", err)
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("%v has another code for gRPC", err)
	}
}

func TestACallEndsWithItsContextOnBothSides(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	address := play(t, &played{rerank: func(ctx context.Context, _ *rerankv1.RerankRequest) (*rerankv1.RerankResponse, error) {
		close(begun)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}})
	client := connect(t, address)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()

	_, err := client.Rerank(ctx, &rerankv1.RerankRequest{})

	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v is no context.Canceled", err)
	}
	<-ended
}

func TestWhatIsUnavailableOnceIsAskedAgain(t *testing.T) {
	var asked atomic.Int32
	address := play(t, &played{rerank: func(context.Context, *rerankv1.RerankRequest) (*rerankv1.RerankResponse, error) {
		if asked.Add(1) == 1 {
			return nil, status.Error(codes.Unavailable, "played")
		}
		return answered, nil
	}})

	answer, err := connect(t, address).Rerank(t.Context(), &rerankv1.RerankRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if answer.GetSearchMethod() != "rerank" || asked.Load() != 2 {
		t.Errorf("%v after %d calls", answer, asked.Load())
	}
}

func TestWhatWouldFailAgainIsAskedOnce(t *testing.T) {
	for _, code := range []codes.Code{codes.InvalidArgument, codes.ResourceExhausted, codes.Internal} {
		var asked atomic.Int32
		address := play(t, &played{rerank: func(context.Context, *rerankv1.RerankRequest) (*rerankv1.RerankResponse, error) {
			asked.Add(1)
			return nil, status.Error(code, "played")
		}})

		_, err := connect(t, address).Rerank(t.Context(), &rerankv1.RerankRequest{})

		var failed *rerank.Error
		if !errors.As(err, &failed) || failed.Code != code {
			t.Errorf("%v, not %v", err, code)
		}
		if asked.Load() != 1 {
			t.Errorf("%v was asked %d times", code, asked.Load())
		}
	}
}

func TestWhatIsNotSafeToRepeatIsAskedOnce(t *testing.T) {
	var asked atomic.Int32
	address := play(t, &played{create: func() (*rerankv1.CreateCollectionResponse, error) {
		asked.Add(1)
		return nil, status.Error(codes.Unavailable, "played")
	}})

	_, err := connect(t, address).CreateCollection(t.Context(), &rerankv1.CreateCollectionRequest{Name: "papers"})

	if status.Code(err) != codes.Unavailable || asked.Load() != 1 {
		t.Errorf("%v after %d calls", err, asked.Load())
	}
}

func TestACallWaitsForAGatewayThatComesLate(t *testing.T) {
	address := gatewaytest.FreeAddress(t)
	client := connect(t, address, rerank.WithTimeout(time.Minute))
	answers := make(chan error, 1)
	go func() {
		_, err := client.Rerank(t.Context(), &rerankv1.RerankRequest{Query: "late?", Documents: rerank.Texts("late", "early")})
		answers <- err
	}()
	// Health does not wait: that it fails shows that nobody listens, and that it was tried.
	if _, err := client.Health(t.Context(), ""); status.Code(err) != codes.Unavailable {
		t.Fatalf("somebody listens already: %v", err)
	}

	gatewaytest.StartAt(t, address, gatewaytest.WithoutRetrieval)

	if err := <-answers; err != nil {
		t.Error(err)
	}
}

func TestATokenGoesWithEachCallAndIntoNoError(t *testing.T) {
	seen := make(chan []string, 1)
	address := play(t, &played{rerank: func(ctx context.Context, _ *rerankv1.RerankRequest) (*rerankv1.RerankResponse, error) {
		seen <- metadata.ValueFromIncomingContext(ctx, "authorization")
		return nil, status.Error(codes.Unauthenticated, "played")
	}})

	_, err := connect(t, address, rerank.WithToken("s3cret")).Rerank(t.Context(), &rerankv1.RerankRequest{})

	if got := <-seen; len(got) != 1 || got[0] != "Bearer s3cret" {
		t.Errorf("came as %q", got)
	}
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("told as %v", err)
	}
}

func TestAnAddressThatCannotBeOneIsToldAtOnce(t *testing.T) {
	if client, err := rerank.New("\x00"); err == nil {
		t.Errorf("made %v", client)
	}
}
