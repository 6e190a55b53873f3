package rerank

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rerankv1 "github.com/rerank-gateway/rerank-gateway/clients/go/gen/rerank/v1"
)

const (
	domain       = "rerank.v1"
	reasonPrefix = "ERROR_REASON_"
)

// Error is why a call failed. Take it out of an error with [errors.As]:
//
//	var failed *rerank.Error
//	if errors.As(err, &failed) && failed.Reason == rerankv1.ErrorReason_ERROR_REASON_ROUTE_NOT_FOUND {
//
// A deadline that passed is also [context.DeadlineExceeded], and a call that was cancelled
// [context.Canceled], for [errors.Is].
type Error struct {
	// Code of gRPC.
	Code codes.Code

	// Message for people. Its wording may change: never parse it.
	Message string

	// Reason for programs. Unspecified where gRPC itself made the error, and for a reason that
	// is newer than this client.
	Reason rerankv1.ErrorReason

	// Metadata has the changing parts of the message, as rerankv1.ErrorReason describes them.
	Metadata map[string]string

	// Violations has every fault of the request, in its order. Only with INVALID_ARGUMENT.
	Violations []Violation

	// RetryDelay is how long to wait before the call is made again. 0: repeating is useless, or
	// needs no wait.
	RetryDelay time.Duration

	// Execution is how it came about. Only with the reason RERANK_FAILED, otherwise nil.
	Execution *rerankv1.Execution

	status *status.Status
}

// Violation is one fault of a request.
type Violation struct {
	// Field is its path, for example documents[3].text.
	Field string

	// Description says in one sentence what is wrong and what is allowed.
	Description string
}

// Error says what happened, in one line.
func (e *Error) Error() string {
	return fmt.Sprintf("rerank: %s: %s", e.Code, e.Message)
}

// GRPCStatus gives all that the server sent, for the package status of gRPC.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Unwrap gives the error of the context that the code stands for, where it stands for one.
func (e *Error) Unwrap() error {
	switch e.Code {
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	case codes.Canceled:
		return context.Canceled
	default:
		return nil
	}
}

// failure reads an error of gRPC.
func failure(err error) *Error {
	told := status.Convert(err)
	failed := &Error{Code: told.Code(), Message: told.Message(), status: told}
	for _, detail := range told.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == domain {
				failed.Reason = rerankv1.ErrorReason(rerankv1.ErrorReason_value[reasonPrefix+detail.GetReason()])
				failed.Metadata = detail.GetMetadata()
			}
		case *errdetails.BadRequest:
			for _, each := range detail.GetFieldViolations() {
				failed.Violations = append(failed.Violations, Violation{each.GetField(), each.GetDescription()})
			}
		case *errdetails.RetryInfo:
			failed.RetryDelay = detail.GetRetryDelay().AsDuration()
		case *rerankv1.Execution:
			failed.Execution = detail
		}
	}
	return failed
}

// BatchError gives the error of one request of a batch as an [*Error], or nil where it was
// answered.
func BatchError(response *rerankv1.RerankBatchResponse) error {
	told := response.GetError()
	if told == nil {
		return nil
	}
	failed := &Error{
		Code:      codes.Code(told.GetCode()),
		Message:   told.GetMessage(),
		Reason:    told.GetReason(),
		Metadata:  told.GetMetadata(),
		Execution: told.GetExecution(),
	}
	for _, each := range told.GetViolations() {
		failed.Violations = append(failed.Violations, Violation{each.GetField(), each.GetDescription()})
	}
	if told.GetRetryDelay() != nil {
		failed.RetryDelay = told.GetRetryDelay().AsDuration()
	}
	failed.status = status.New(failed.Code, failed.Message)
	return failed
}
