package main

import (
	"encoding/binary"
	"log"
	"math"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

var stdin = os.Stdin

// raw passes bytes through: nothing is parsed, and only the head is copied.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(message.([]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	head := message.(*[]byte)
	*head = make([]byte, min(peeked, data.Len()))
	data.CopyTo(*head)
	return nil
}

// teiRanks is tei.v1.RerankResponse: the ranks, best first, and no metadata.
func teiRanks(documents int) []byte {
	var answer []byte
	for place, score := range ranked(documents) {
		var rank []byte
		if place > 0 { // the default is not written
			rank = append(rank, 1<<3|0)
			rank = binary.AppendUvarint(rank, uint64(place))
		}
		rank = append(rank, 3<<3|5)
		rank = binary.LittleEndian.AppendUint32(rank, math.Float32bits(float32(score)))
		answer = append(answer, 1<<3|2, byte(len(rank)))
		answer = append(answer, rank...)
	}
	return answer
}

// teiInfoMessage is tei.v1.InfoResponse.
func teiInfoMessage() []byte {
	var info []byte
	text := func(field int, value string) {
		info = append(info, byte(field<<3|2), byte(len(value)))
		info = append(info, value...)
	}
	number := func(field int, value uint64) {
		info = append(info, byte(field<<3|0))
		info = binary.AppendUvarint(info, value)
	}
	text(1, "1.9.3")
	text(4, "canned")
	text(5, "1")
	text(6, "float32")
	number(7, 2) // a reranker
	number(8, 512)
	number(9, 512)
	number(12, 100_000)
	return info
}

func overGRPC(listener net.Listener, delay time.Duration) {
	ranks := made{make: teiRanks, others: 1}
	info := teiInfoMessage()
	answer := func(_ any, stream grpc.ServerStream) error {
		var head []byte
		if err := stream.RecvMsg(&head); err != nil {
			return err
		}
		if method, _ := grpc.MethodFromServerStream(stream); method == "/tei.v1.Info/Info" {
			return stream.SendMsg(info)
		}
		if delay > 0 {
			time.Sleep(delay)
		}
		return stream.SendMsg(ranks.answer(head))
	}
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(raw{}),
		grpc.UnknownServiceHandler(answer),
		grpc.MaxRecvMsgSize(1<<28),
		grpc.InitialWindowSize(1<<22),
		grpc.InitialConnWindowSize(1<<24),
	)
	log.Fatal(server.Serve(listener))
}
