// Loader puts a server under load and says how it fared, as JSON.
//
// Closed loop (-in-flight): so many calls are always under way; for what a server can do.
// Open loop (-rate): calls begin when the schedule says, however the server fares, and a
// latency counts from that moment, so that a server that stalls is not measured only where it
// does well (coordinated omission).
//
// Requests are bytes prepared beforehand. What changes from call to call is appended: in
// protobuf the last value of a field is the one that counts.
package main

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math"
	"math/rand"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A target makes one call and gives the length of the answer.
type target interface {
	call(number uint64, place int) (int, error)
	close()
}

type result struct {
	Calls      int     `json:"calls"`
	Errors     int     `json:"errors"`
	FirstError string  `json:"first_error"`
	Seconds    float64 `json:"seconds"`
	CPU        float64 `json:"cpu_s"`
	P50        float64 `json:"p50_ms"`
	P90        float64 `json:"p90_ms"`
	P99        float64 `json:"p99_ms"`
	P999       float64 `json:"p999_ms"`
	Max        float64 `json:"max_ms"`
	LatestSend float64 `json:"latest_send_ms"`
	Shortest   int     `json:"shortest_answer"`
	Longest    int     `json:"longest_answer"`
}

// record is what became of calls; every caller has one of its own.
type record struct {
	latencies         []time.Duration
	errors            int
	first             error
	shortest, longest int
}

func (r *record) add(latency time.Duration, length int, err error) {
	if err != nil {
		r.errors++
		if r.first == nil {
			r.first = err
		}
		return
	}
	r.latencies = append(r.latencies, latency)
	if r.shortest == 0 || length < r.shortest {
		r.shortest = length
	}
	r.longest = max(r.longest, length)
}

type varied struct {
	bases             [][]byte
	textField, number int
}

// suffix gives what is appended to a request to make it one of its own.
func (v *varied) suffix(number uint64, documents string) []byte {
	var found []byte
	if v.textField > 0 {
		text := fmt.Sprintf("%s documents, question %d", documents, number)
		found = append(found, byte(v.textField<<3|2), byte(len(text)))
		found = append(found, text...)
	}
	if v.number > 0 {
		found = append(found, byte(v.number<<3|1))
		found = binary.LittleEndian.AppendUint64(found, math.Float64bits(float64(number)*1e-12))
	}
	return found
}

func read(path string) [][]byte {
	content, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	var found [][]byte
	for len(content) > 0 {
		length := binary.LittleEndian.Uint32(content)
		found = append(found, content[4:4+length])
		content = content[4+length:]
	}
	return found
}

func closed(on target, inFlight int, calls uint64, first uint64) []*record {
	var next atomic.Uint64
	var group sync.WaitGroup
	records := make([]*record, inFlight)
	for place := range inFlight {
		own := &record{}
		records[place] = own
		group.Go(func() {
			for {
				number := next.Add(1) - 1
				if number >= calls {
					return
				}
				began := time.Now()
				length, err := on.call(first+number, place)
				own.add(time.Since(began), length, err)
			}
		})
	}
	group.Wait()
	return records
}

type arrival struct {
	number uint64
	at     time.Time
}

// open starts calls on time. Those who make them wait in a pool, and whoever finds none free
// makes one more: nobody waits for an answer before the next call begins.
func open(on target, rate float64, calls, first uint64, poisson bool) ([]*record, time.Duration) {
	var records []*record
	var group sync.WaitGroup
	waiting := make(chan arrival)
	chance := rand.New(rand.NewSource(55))
	caller := func(own *record, place int, job arrival) {
		for ok := true; ok; job, ok = <-waiting {
			length, err := on.call(job.number, place)
			own.add(time.Since(job.at), length, err)
		}
	}
	// The timers of the runtime are as coarse as a millisecond; the system's are not.
	runtime.LockOSThread()
	var latest time.Duration
	due := time.Now().Add(10 * time.Millisecond)
	for number := range calls {
		gap := 1 / rate
		if poisson {
			gap = chance.ExpFloat64() / rate
		}
		due = due.Add(time.Duration(gap * 1e9))
		if left := time.Until(due); left > 0 {
			pause := syscall.NsecToTimespec(left.Nanoseconds())
			_ = syscall.Nanosleep(&pause, nil)
		}
		latest = max(latest, time.Since(due))
		job := arrival{first + number, due}
		select {
		case waiting <- job:
		default:
			own, place := &record{}, len(records)
			records = append(records, own)
			group.Go(func() { caller(own, place, job) })
		}
	}
	close(waiting)
	group.Wait()
	return records, latest
}

func summed(records []*record) result {
	var all []time.Duration
	found := result{}
	for _, each := range records {
		all = append(all, each.latencies...)
		found.Errors += each.errors
		if each.first != nil && found.FirstError == "" {
			found.FirstError = each.first.Error()
		}
		if each.shortest > 0 && (found.Shortest == 0 || each.shortest < found.Shortest) {
			found.Shortest = each.shortest
		}
		found.Longest = max(found.Longest, each.longest)
	}
	slices.Sort(all)
	found.Calls = len(all)
	at := func(share float64) float64 {
		if len(all) == 0 {
			return 0
		}
		place := min(int(math.Ceil(share*float64(len(all))))-1, len(all)-1)
		return all[max(place, 0)].Seconds() * 1e3
	}
	found.P50, found.P90, found.P99 = at(0.5), at(0.9), at(0.99)
	found.P999, found.Max = at(0.999), at(1)
	return found
}

func main() {
	var (
		address     = flag.String("address", "", "HOST:PORT")
		method      = flag.String("method", "", "of gRPC, such as /rerank.v1.RerankService/Rerank; empty: HTTP")
		path        = flag.String("path", "/rerank", "of HTTP")
		requests    = flag.String("requests", "", "a file: each request after its length, 4 bytes, little-endian")
		connections = flag.Int("connections", 8, "of gRPC; over HTTP each call under way has its own")
		inFlight    = flag.Int("in-flight", 0, "closed loop: calls under way")
		rate        = flag.Float64("rate", 0, "open loop: calls per second")
		poisson     = flag.Bool("poisson", false, "open loop: calls come by chance, not evenly")
		calls       = flag.Uint64("calls", 1000, "how many")
		first       = flag.Uint64("first", 0, "number of the first call")
		text        = flag.Int("text-field", 0, "a protobuf field that says another question in each call")
		documents   = flag.String("documents", "", "how many, as the question says")
		number      = flag.Int("double-field", 0, "a protobuf field that has another small number in each call")
		authority   = flag.String("ca", "", "PEM: speak TLS, and trust this")
	)
	flag.Parse()
	what := &varied{read(*requests), *text, *number}
	var on target
	if *method == "" {
		on = newHTTP(*address, *path, what.bases, *authority)
	} else {
		on = newGRPC(*address, *method, *connections, what, *documents, *authority)
	}
	// Connections are made beforehand.
	if _, err := on.call(*first, 0); err != nil {
		log.Fatal(err)
	}
	*first++
	var records []*record
	var latest time.Duration
	used, began := cpu(), time.Now()
	if *rate > 0 {
		records, latest = open(on, *rate, *calls, *first, *poisson)
	} else {
		records = closed(on, *inFlight, *calls, *first)
	}
	took := time.Since(began)
	found := summed(records)
	found.Seconds, found.CPU = took.Seconds(), cpu()-used
	found.LatestSend = latest.Seconds() * 1e3
	on.close()
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		log.Fatal(err)
	}
}

func cpu() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
