package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
)

const callTimeout = 30 * time.Second

// raw sends prepared bytes and counts those that come back: nothing is parsed or copied.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	parts := message.([2][]byte)
	if len(parts[1]) == 0 {
		return mem.BufferSlice{mem.SliceBuffer(parts[0])}, nil
	}
	return mem.BufferSlice{mem.SliceBuffer(parts[0]), mem.SliceBuffer(parts[1])}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*int) = data.Len()
	return nil
}

type overGRPC struct {
	connections []*grpc.ClientConn
	method      string
	what        *varied
	documents   string
}

func newGRPC(address, method string, connections int, what *varied, documents, authority string) target {
	trusted := insecure.NewCredentials()
	if authority != "" {
		trusted = credentials.NewTLS(trusting(authority))
	}
	made := &overGRPC{method: method, what: what, documents: documents}
	for range connections {
		connection, err := grpc.NewClient(
			"passthrough:///"+address,
			grpc.WithTransportCredentials(trusted),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{}), grpc.MaxCallRecvMsgSize(1<<28)),
			grpc.WithInitialWindowSize(1<<22),
			grpc.WithInitialConnWindowSize(1<<24),
			grpc.WithWriteBufferSize(1<<17),
		)
		if err != nil {
			log.Fatal(err)
		}
		connection.Connect()
		made.connections = append(made.connections, connection)
	}
	return made
}

func (t *overGRPC) call(number uint64, place int) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	base := t.what.bases[number%uint64(len(t.what.bases))]
	request := [2][]byte{base, t.what.suffix(number, t.documents)}
	var length int
	connection := t.connections[place%len(t.connections)]
	err := connection.Invoke(ctx, t.method, request, &length, grpc.WaitForReady(true))
	return length, err
}

func (t *overGRPC) close() {
	for _, each := range t.connections {
		_ = each.Close()
	}
}

func trusting(authority string) *tls.Config {
	pem, err := os.ReadFile(authority)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		log.Fatal(fmt.Errorf("%s holds no certificate", authority))
	}
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}
