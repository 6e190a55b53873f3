// Backend is a reranker that costs next to nothing: it speaks TEI's and Infinity's HTTP and
// TEI's gRPC, and answers with scores that it made once.
//
// How many documents it was asked about it reads off the first number in the query, such as
// "100 documents, question 7": so it never has to look through what it was sent.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"iter"
	"log"
	"net"
	"strconv"
	"sync"
	"time"
)

// The query stands among the first fields in every language that is spoken here.
const peeked = 256

type made struct {
	make   func(documents int) []byte
	known  sync.Map
	others int
}

// answer gives the bytes for so many documents, which are made once.
func (m *made) answer(head []byte) []byte {
	documents := asked(head, m.others)
	if found, ok := m.known.Load(documents); ok {
		return found.([]byte)
	}
	fresh := m.make(documents)
	m.known.Store(documents, fresh)
	return fresh
}

// asked reads the first number that stands after the word query, or at the start of a
// protobuf message, whose first field the query is.
func asked(head []byte, otherwise int) int {
	if at := bytes.Index(head, []byte(`"query"`)); at >= 0 {
		head = head[at+len(`"query"`):]
	} else if len(head) > 2 && head[0] == 1<<3|2 {
		head = head[2:] // the length may look like a digit
	}
	for len(head) > 0 && (head[0] < '0' || head[0] > '9') {
		head = head[1:]
	}
	end := 0
	for end < len(head) && head[end] >= '0' && head[end] <= '9' {
		end++
	}
	if number, err := strconv.Atoi(string(head[:end])); err == nil {
		return number
	}
	return otherwise
}

// ranked gives the place and the score of the documents, best first, well mixed.
func ranked(documents int) iter.Seq2[int, float64] {
	return func(yield func(int, float64) bool) {
		step := 37
		if documents%step == 0 {
			step = 1
		}
		for rank := range documents {
			if !yield(rank*step%documents, 4-8*float64(rank)/float64(documents)) {
				return
			}
		}
	}
}

func overHTTP(body []byte) []byte {
	head := "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
	return append(fmt.Appendf(nil, head, len(body)), body...)
}

// tei gives what TEI's /rerank says, best first.
func tei(documents int) []byte {
	var body bytes.Buffer
	comma := byte('[')
	for place, score := range ranked(documents) {
		body.WriteByte(comma)
		fmt.Fprintf(&body, `{"index":%d,"score":%.6f}`, place, score)
		comma = ','
	}
	body.WriteByte(']')
	return overHTTP(body.Bytes())
}

// infinity gives what Infinity's /rerank says.
func infinity(documents int) []byte {
	var body bytes.Buffer
	body.WriteString(`{"object":"rerank","results":`)
	comma := byte('[')
	for place, score := range ranked(documents) {
		body.WriteByte(comma)
		fmt.Fprintf(&body, `{"relevance_score":%.6f,"index":%d,"document":null}`, score, place)
		comma = ','
	}
	body.WriteString(`],"model":"canned","usage":{"prompt_tokens":9,"total_tokens":9},`)
	body.WriteString(`"id":"infinity-1","created":1700000000}`)
	return overHTTP(body.Bytes())
}

var (
	teiInfo = overHTTP([]byte(`{"model_id":"canned","model_sha":"1",` +
		`"max_client_batch_size":100000}`))
	infinityModels = overHTTP([]byte(`{"data":[{"id":"canned","capabilities":["rerank"]}]}`))
)

// languages are what it is asked over HTTP.
type languages struct {
	tei, infinity made
	delay         time.Duration
}

func (l *languages) answer(head string, body []byte) []byte {
	inInfinity := bytes.Contains([]byte(head), []byte(" /infinity/"))
	switch {
	case head[0] == 'G' && inInfinity:
		return infinityModels
	case head[0] == 'G':
		return teiInfo
	case inInfinity:
		return l.infinity.answer(body)
	default:
		return l.tei.answer(body)
	}
}

func (l *languages) serve(connection net.Conn) {
	defer connection.Close()
	reader := bufio.NewReaderSize(connection, 1<<16)
	for {
		first, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		length := 0
		for {
			line, err := reader.ReadSlice('\n')
			if err != nil {
				return
			}
			line = bytes.TrimSpace(line)
			if len(line) == 0 {
				break
			}
			name, value, _ := bytes.Cut(line, []byte(":"))
			if bytes.EqualFold(name, []byte("content-length")) {
				length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
			}
		}
		body, err := reader.Peek(min(length, peeked))
		if err != nil {
			return
		}
		answer := l.answer(first, body)
		if _, err := reader.Discard(length); err != nil {
			return
		}
		if l.delay > 0 {
			time.Sleep(l.delay)
		}
		if _, err := connection.Write(answer); err != nil {
			return
		}
	}
}

func accept(listener net.Listener, serve func(net.Conn)) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(connection)
	}
}

func listening(name string) net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %s\n", name, listener.Addr())
	return listener
}

func main() {
	certificate := flag.String("certificate", "", "of its TLS, in PEM; empty: no TLS is served")
	key := flag.String("key", "", "of the certificate, in PEM")
	delay := flag.Duration("delay", 0, "how long each answer takes")
	flag.Parse()

	spoken := &languages{tei: made{make: tei, others: 1}, infinity: made{make: infinity, others: 1}, delay: *delay}
	go accept(listening("http"), spoken.serve)
	if *certificate != "" {
		pair, err := tls.LoadX509KeyPair(*certificate, *key)
		if err != nil {
			log.Fatal(err)
		}
		secure := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
		go accept(tls.NewListener(listening("https"), secure), spoken.serve)
	}
	go overGRPC(listening("grpc"), *delay)
	fmt.Println("listening on all,")
	// Whoever started it is gone when its standard input ends.
	_, _ = io.Copy(io.Discard, stdin)
}
