package server_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

const (
	manyWatchers = 200
	manyCommits  = 300
)

// Many watch while revisions are committed, leave at random and come back, and
// the server is replaced twice: each sees every revision once, in order. Then
// nothing of them is left. It is not parallel to other tests, since it counts
// goroutines.
func TestManyWatchers(t *testing.T) {
	store := faulty.New()
	defer store.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: manyWatchers}
	before := runtime.NumGoroutine()

	var url atomic.Pointer[string]
	l, stop := serveStore(t, store, &url)
	declare := func(i int) {
		change := ledger.Change{Name: fmt.Sprintf("r%d", i%7), Spec: intent.Spec{Type: "vm", Size: "small", Region: strconv.Itoa(i)}}
		if _, err := l.Apply(context.Background(), ledger.Request{Namespace: "shop", Changes: []ledger.Change{change}}); err != nil {
			t.Fatal(err)
		}
	}
	declare(0) // revision 2
	var watchers sync.WaitGroup
	for i := range manyWatchers {
		w := &watcher{t: t, url: &url, client: &http.Client{Transport: transport}, rand: rand.New(rand.NewPCG(uint64(i), 0)), known: 1}
		watchers.Go(func() { w.run(2 + manyCommits) })
	}
	for i := 1; i <= manyCommits; i++ {
		declare(i)
		if i%100 == 0 && i < manyCommits {
			stop()
			l, stop = serveStore(t, store, &url)
		}
	}
	watchers.Wait()
	transport.CloseIdleConnections()
	stop()
	for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// serveStore runs a ledger and its server, and says where.
func serveStore(t *testing.T, store *faulty.Store, url *atomic.Pointer[string]) (*ledger.Ledger, func()) {
	t.Helper()
	l, err := ledger.New(ledger.Options{Registry: store, Prefix: "gitops-squared", Schema: schema(t), Exclusive: true, Fresh: true, Log: silent()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	for l.Ready() != nil {
		time.Sleep(time.Millisecond)
	}
	f := serve(t, l)
	url.Store(&f.http.URL)
	return l, func() {
		f.server.Drain()
		f.http.Close() // waits for every answer
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// watcher follows one namespace.
type watcher struct {
	t      *testing.T
	url    *atomic.Pointer[string]
	client *http.Client
	rand   *rand.Rand
	known  int
}

func (w *watcher) run(last int) {
	for w.known < last {
		w.stream(w.rand.IntN(last))
	}
}

// stream takes at most so many events, then leaves.
func (w *watcher) stream(most int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", *w.url.Load()+shopEvents, nil)
	if err != nil {
		w.t.Error(err)
		return
	}
	r.Header.Set("Last-Event-ID", strconv.Itoa(w.known))
	response, err := w.client.Do(r)
	if err != nil { // the server is being replaced
		time.Sleep(5 * time.Millisecond)
		return
	}
	defer response.Body.Close()
	if response.StatusCode != 200 && response.StatusCode != 503 {
		w.t.Errorf("after %d: status %d", w.known, response.StatusCode)
	}
	event := false
	for lines := bufio.NewScanner(response.Body); most > 0 && lines.Scan(); {
		line := lines.Text()
		if id, ok := strings.CutPrefix(line, "id: "); ok && event {
			if id != strconv.Itoa(w.known+1) {
				w.t.Errorf("event %s after %d", id, w.known)
				return
			}
			w.known++
			most--
			if w.known == 2+manyCommits {
				return
			}
		}
		event = line == "event: revision"
	}
	if ctx.Err() != nil {
		w.t.Errorf("nothing came after %d for a minute", w.known)
	}
}
