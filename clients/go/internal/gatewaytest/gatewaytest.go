// Package gatewaytest runs real gateways for tests.
package gatewaytest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var listening = regexp.MustCompile(`listening on (\S+:\d+),`)

// WithoutRetrieval makes a gateway that only reranks, and starts sooner.
const WithoutRetrieval = "RERANK_GATEWAY__RETRIEVAL__ENGINE=none"

// A test that ends in the middle, or is killed, closes its end of the pipe too, so that no gateway
// is left behind.
const untilStdinCloses = `"$@" & exec 2>/dev/null; cat >/dev/null; kill -9 $!; wait`

// Gateway is a process that listens.
type Gateway struct {
	Address string

	end func()
}

// Serve runs a gateway with its built-in model and a store of its own, until it is stopped.
func Serve(address string, environ ...string) (*Gateway, error) {
	process, err := python("-m", "gateway", "serve", "--workers", "1", "--address", address)
	if err != nil {
		return nil, err
	}
	process.Args = append([]string{"sh", "-c", untilStdinCloses, "sh"}, process.Args...)
	process.Path = "/bin/sh"
	store, err := os.MkdirTemp("", "gatewaytest-")
	if err != nil {
		return nil, err
	}
	if !slices.Contains(environ, WithoutRetrieval) { // which takes no path
		process.Env = append(process.Env, "RERANK_GATEWAY__RETRIEVAL__PATH="+store)
	}
	process.Env = append(process.Env, environ...)
	until, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	lines, err := process.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	gateway := &Gateway{end: func() {
		_ = until.Close()
		_ = process.Wait()
		_ = os.RemoveAll(store)
	}}
	said := bufio.NewScanner(lines)
	var before strings.Builder
	for said.Scan() {
		if found := listening.FindStringSubmatch(said.Text()); found != nil {
			gateway.Address = found[1]
			// Its log must never be full, or it would stand still.
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return gateway, nil
		}
		fmt.Fprintln(&before, said.Text())
	}
	gateway.Stop()
	return nil, fmt.Errorf("the gateway ended without listening:\n%s", before.String())
}

// Stop ends it at once.
func (g *Gateway) Stop() { g.end() }

// Start runs a gateway until a test is over.
func Start(t testing.TB, environ ...string) *Gateway {
	t.Helper()
	return StartAt(t, "127.0.0.1:0", environ...)
}

// StartAt does the same on an address.
func StartAt(t testing.TB, address string, environ ...string) *Gateway {
	t.Helper()
	gateway, err := Serve(address, environ...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gateway.Stop)
	return gateway
}

// Conformance runs the gateway of the table that all clients are held to.
func Conformance(t testing.TB) *Gateway {
	t.Helper()
	process, err := python("-m", "clients.conformance")
	if err != nil {
		t.Fatal(err)
	}
	process.Stderr = os.Stderr
	until, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	lines, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Not killed, or the gateway that it started would go on.
		_ = until.Close()
		_ = process.Wait()
	})
	var ready struct{ Address string }
	if err := json.NewDecoder(lines).Decode(&ready); err != nil {
		t.Fatalf("the gateway ended without an address: %v", err)
	}
	return &Gateway{Address: ready.Address, end: func() {}}
}

// FreeAddress gives an address where nobody listens.
func FreeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// Root is the folder of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
}

// python prepares a command of the repository, with nothing of the user's own configuration.
func python(arguments ...string) (*exec.Cmd, error) {
	interpreter := filepath.Join(Root(), ".venv", "bin", "python")
	if _, err := os.Stat(interpreter); err != nil {
		return nil, fmt.Errorf("no gateway to test with: run 'make setup' at the root (%w)", err)
	}
	process := exec.Command(interpreter, arguments...)
	process.Dir = Root()
	process.Env = []string{"PYTHONPATH=." + string(os.PathListSeparator) + "protos"}
	for _, each := range os.Environ() {
		if !strings.HasPrefix(each, "RERANK_GATEWAY") && !strings.HasPrefix(each, "PYTHONPATH=") {
			process.Env = append(process.Env, each)
		}
	}
	return process, nil
}
