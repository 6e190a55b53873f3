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
	"strings"
	"testing"
)

var listening = regexp.MustCompile(`listening on (\S+:\d+),`)

// Gateway is a process that listens, until its test is over.
type Gateway struct {
	Address string
}

// Start runs a gateway with its built-in model and a store of its own.
func Start(t testing.TB, environ ...string) *Gateway {
	t.Helper()
	return StartAt(t, "127.0.0.1:0", environ...)
}

// StartAt does the same on an address.
func StartAt(t testing.TB, address string, environ ...string) *Gateway {
	t.Helper()
	process := python(t, "-m", "gateway", "serve", "--workers", "1", "--address", address)
	process.Env = append(process.Env, "RERANK_GATEWAY__RETRIEVAL__PATH="+t.TempDir())
	process.Env = append(process.Env, environ...)
	lines, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	said := bufio.NewScanner(lines)
	var before strings.Builder
	for said.Scan() {
		if found := listening.FindStringSubmatch(said.Text()); found != nil {
			// Its log must never be full, or it would stand still.
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return &Gateway{Address: found[1]}
		}
		fmt.Fprintln(&before, said.Text())
	}
	t.Fatalf("the gateway ended without listening:\n%s", before.String())
	return nil
}

// Conformance runs the gateway of the table that all clients are held to.
func Conformance(t testing.TB) *Gateway {
	t.Helper()
	process := python(t, "-m", "clients.conformance")
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
	return &Gateway{Address: ready.Address}
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
func python(t testing.TB, arguments ...string) *exec.Cmd {
	t.Helper()
	interpreter := filepath.Join(Root(), ".venv", "bin", "python")
	if _, err := os.Stat(interpreter); err != nil {
		t.Fatalf("no gateway to test with: run 'make setup' at the root (%v)", err)
	}
	process := exec.Command(interpreter, arguments...)
	process.Dir = Root()
	process.Env = []string{"PYTHONPATH=." + string(os.PathListSeparator) + "protos"}
	for _, each := range os.Environ() {
		if !strings.HasPrefix(each, "RERANK_GATEWAY") && !strings.HasPrefix(each, "PYTHONPATH=") {
			process.Env = append(process.Env, each)
		}
	}
	return process
}
