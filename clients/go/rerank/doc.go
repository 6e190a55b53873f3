// Package rerank calls a rerank gateway: it orders documents by how well they answer a query,
// finds them in collections, and stores them there.
//
// A [Client] has a method for every call of the contract. Requests and answers are the messages of
// the contract itself, in the package rerankv1, whose comments say what every field means.
//
// Every call has a deadline: that of its context or, where the context has none, the client's own
// (see [WithTimeout]). A call ends when its context does. What the server cannot do at this moment
// (UNAVAILABLE) is asked up to four times in all, where the call is safe to repeat, and a call
// waits within its deadline for a server that does not listen yet.
//
// A failed call gives an [*Error]. An answer whose documents nobody could score is none: it has
// them in the order received, and says so; see [FellBack].
//
// The trace of a context, as OpenTelemetry keeps it there, goes along as W3C trace context.
package rerank
