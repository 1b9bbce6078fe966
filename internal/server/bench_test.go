package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/server"
)

// The benchmarks compare the server, over a ledger that costs nothing, with a
// handler that answers the very same bytes and does nothing else. They run in
// turn, so that what else the machine does meets both.

const (
	benchClients   = 32
	benchResources = 1000
	benchRounds    = 6
)

// benchCase is a request that is measured.
type benchCase struct {
	name, method, path, body string
}

func benchCases() []benchCase {
	return []benchCase{
		{"get", "GET", shop + "/web-0500", ""},
		{"list", "GET", shop, ""},
		{"filter", "GET", shop + "?region=eu-1", ""},
		{"create", "POST", shop, vm},
	}
}

func benchEntry(i int) *ledger.Entry {
	e := &ledger.Entry{Digest: digest.FromString(fmt.Sprint(i)), Repository: fmt.Sprintf("gitops-squared/resources/shop/web-%04d", i)}
	e.Namespace, e.Name = "shop", fmt.Sprintf("web-%04d", i)
	e.Version, e.Created = 1795263788716384+intent.Version(i), 1795263788716384
	e.Spec = intent.Spec{Type: "vm", Size: "small", Region: fmt.Sprintf("eu-%d", i%3), Replicas: 1 + i%10}
	return e
}

// benchLedger holds one namespace, which no write changes.
func benchLedger() stub {
	s := ledger.Snapshot{Revision: ledger.Revision{Number: 4711, Digest: digest.FromString("catalog")}}
	for i := range benchResources {
		s.Entries = append(s.Entries, benchEntry(i))
	}
	return stub{
		get:  func(_, name string) (*ledger.Entry, ledger.Revision, error) { return s.Find(name), s.Revision, nil },
		list: func(string) (ledger.Snapshot, error) { return s, nil },
		apply: func(_ context.Context, r ledger.Request) (ledger.Result, error) {
			e := *s.Entries[0]
			e.Name, e.Spec = r.Changes[0].Name, r.Changes[0].Spec
			return ledger.Result{Revision: s.Revision, Outcomes: []ledger.Outcome{{
				Name: e.Name, Operation: ledger.Created, After: &e, Version: e.Version, Digest: e.Digest,
			}}}, nil
		},
		namespaces: func() ([]ledger.Namespace, error) { return nil, nil },
	}
}

// benchServer is a server whose log is written, as it is in production.
func benchServer(b *testing.B) http.Handler {
	b.Helper()
	sink, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { sink.Close() })
	s, err := server.New(server.Options{
		Ledger: benchLedger(), Schema: schema(b), Prefix: "gitops-squared", Version: "v1.2.3",
		Log: slog.New(slog.NewTextHandler(sink, nil)),
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// sinkWriter takes an answer.
type sinkWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *sinkWriter) Header() http.Header         { return w.header }
func (w *sinkWriter) WriteHeader(status int)      { w.status = status }
func (w *sinkWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

func (c benchCase) request(base string) *http.Request {
	r, err := http.NewRequest(c.method, base+c.path, bytes.NewReader([]byte(c.body)))
	if err != nil {
		panic(err) // the cases are constants
	}
	if c.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// bare answers what the server answers to the request.
func (c benchCase) bare(b *testing.B, s http.Handler) http.Handler {
	b.Helper()
	w := &sinkWriter{header: http.Header{}}
	s.ServeHTTP(w, c.request(""))
	if w.status/100 != 2 {
		b.Fatalf("%s: %d %s", c.name, w.status, w.body.Bytes())
	}
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for name, values := range w.header {
			out.Header()[name] = values
		}
		out.WriteHeader(w.status)
		_, _ = out.Write(w.body.Bytes())
	})
}

// BenchmarkServeHTTP is the time in the handler alone.
func BenchmarkServeHTTP(b *testing.B) {
	for _, c := range benchCases() {
		b.Run(c.name, func(b *testing.B) {
			s := benchServer(b)
			b.ReportAllocs()
			w := &sinkWriter{header: http.Header{}}
			for b.Loop() {
				w.body.Reset()
				clear(w.header)
				s.ServeHTTP(w, c.request(""))
			}
		})
	}
}

// BenchmarkLoopback has 32 clients with connections of their own, in this
// process: the ratio holds their cost on both sides.
func BenchmarkLoopback(b *testing.B) {
	for _, c := range benchCases() {
		b.Run(c.name, func(b *testing.B) {
			s := benchServer(b)
			ours, bare := newTarget(b, s), newTarget(b, c.bare(b, s))
			each := max(b.N/benchRounds, benchClients)
			var took, baseline cost
			b.ResetTimer()
			for range benchRounds {
				baseline.add(bare.run(b, c, each))
				took.add(ours.run(b, c, each))
			}
			total := float64(each * benchRounds)
			b.ReportMetric(total/took.time.Seconds(), "req/s")
			b.ReportMetric(total/baseline.time.Seconds(), "bare-req/s")
			b.ReportMetric(baseline.time.Seconds()/took.time.Seconds(), "ratio")
			b.ReportMetric(float64(took.processor.Microseconds())/total, "cpu-µs/req")
			b.ReportMetric(float64(baseline.processor.Microseconds())/total, "bare-cpu-µs/req")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// target is a handler that is served on a port of its own.
type target struct {
	base   string
	client *http.Client
}

func newTarget(b *testing.B, h http.Handler) *target {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{Handler: h, ReadTimeout: time.Minute, WriteTimeout: time.Minute, ReadHeaderTimeout: time.Minute, IdleTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchClients}}
	b.Cleanup(func() {
		client.CloseIdleConnections()
		s.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
	})
	return &target{"http://" + listener.Addr().String(), client}
}

// cost is what requests took: of the clock, and of the processors, which does
// not depend on what else the machine does.
type cost struct{ time, processor time.Duration }

func (c *cost) add(more cost) {
	c.time += more.time
	c.processor += more.processor
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// run sends n requests and returns what that took.
func (t *target) run(b *testing.B, c benchCase, n int) cost {
	b.Helper()
	used := processorTime(b)
	var left atomic.Int64
	left.Store(int64(n))
	began := time.Now()
	var clients sync.WaitGroup
	for range benchClients {
		clients.Go(func() {
			for left.Add(-1) >= 0 {
				resp, err := t.client.Do(c.request(t.base))
				if err != nil {
					b.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode/100 != 2 {
					b.Errorf("%d, %v", resp.StatusCode, err)
					return
				}
			}
		})
	}
	clients.Wait()
	return cost{time.Since(began), processorTime(b) - used}
}
