package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// wire is a connection that is used by one call at a time.
type wire struct {
	net.Conn
	reader *bufio.Reader
}

type overHTTP struct {
	address  string
	requests [][]byte
	trusted  *tls.Config
	lock     sync.Mutex
	free     []*wire
}

func newHTTP(address, path string, bodies [][]byte, authority string) target {
	made := &overHTTP{address: address}
	head := "POST %s HTTP/1.1\r\nhost: %s\r\ncontent-type: application/json\r\n" +
		"authorization: Bearer sk-bench\r\ncontent-length: %d\r\n\r\n"
	for _, body := range bodies {
		made.requests = append(made.requests, append(fmt.Appendf(nil, head, path, address, len(body)), body...))
	}
	if authority != "" {
		made.trusted = trusting(authority)
	}
	return made
}

func (t *overHTTP) wire() (*wire, error) {
	t.lock.Lock()
	if last := len(t.free) - 1; last >= 0 {
		found := t.free[last]
		t.free = t.free[:last]
		t.lock.Unlock()
		return found, nil
	}
	t.lock.Unlock()
	connection, err := net.Dial("tcp", t.address)
	if err != nil {
		return nil, err
	}
	if t.trusted != nil {
		connection = tls.Client(connection, t.trusted)
	}
	return &wire{connection, bufio.NewReaderSize(connection, 1<<16)}, nil
}

func (t *overHTTP) call(number uint64, _ int) (int, error) {
	on, err := t.wire()
	if err != nil {
		return 0, err
	}
	length, err := t.on(on, t.requests[number%uint64(len(t.requests))])
	if err != nil {
		_ = on.Close()
		return 0, err
	}
	t.lock.Lock()
	t.free = append(t.free, on)
	t.lock.Unlock()
	return length, nil
}

func (t *overHTTP) on(on *wire, request []byte) (int, error) {
	if err := on.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return 0, err
	}
	if _, err := on.Write(request); err != nil {
		return 0, err
	}
	answer, err := http.ReadResponse(on.reader, nil)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(answer.Body)
		return 0, fmt.Errorf("%s: %.500s", answer.Status, said)
	}
	length, err := io.Copy(io.Discard, answer.Body)
	return int(length), err
}

func (t *overHTTP) close() {
	for _, each := range t.free {
		_ = each.Close()
	}
}
