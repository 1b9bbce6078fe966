package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/embedded"
)

// Many clients at once, over HTTP, on the embedded registry: there is an order
// of their calls, in which each takes effect between its request and its
// answer, that explains every answer.
func TestAnswersAreLinearizable(t *testing.T) {
	t.Parallel()
	store, err := embedded.Open(embedded.Options{Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	l, err := ledger.New(ledger.Options{Registry: store, Prefix: "gitops-squared", Schema: schema(t), Exclusive: true, Fresh: true, Log: silent()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Errorf("ledger: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); run.Wait() })
	for deadline := time.Now().Add(30 * time.Second); l.Ready() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("ledger: %v", l.Ready())
		}
	}

	f := serve(t, l)
	var ticks atomic.Int64
	var mu sync.Mutex
	var history []porcupine.Operation
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			c := caller{f: f, client: client, rand: rand.New(rand.NewPCG(uint64(client), 0)), etags: map[string]string{}}
			for range 40 {
				call := ticks.Add(1)
				o := c.call(call)
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: client, Input: o, Call: call, Return: ticks.Add(1)})
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	if got := porcupine.CheckOperationsTimeout(answers, history, time.Minute); got != porcupine.Ok {
		slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
		var told strings.Builder
		for _, o := range history {
			fmt.Fprintf(&told, "[%d, %d] %+v\n", o.Call, o.Return, *o.Input.(*called))
		}
		t.Errorf("%s: no order explains these calls:\n%s", got, told.String())
	}
}

// held is a resource: its region, which no two writes share, and its entity
// tag. The zero value is one that does not exist.
type held struct{ region, etag string }

var calledNames = [...]string{"a", "b", "c"}

// called is one call and its answer.
type called struct {
	method  string // of one resource; "list", or "apply" of all of them
	name    int
	region  string // what a write declares
	match   string // If-Match
	absent  bool   // If-None-Match: *
	status  int
	answers [len(calledNames)]held // what a read found, and what a write made
}

// answers is the specification: what the calls do to a map.
var answers = porcupine.Model{
	Init: func() any { return [len(calledNames)]held{} },
	Step: func(state, input, _ any) (bool, any) {
		now, o := state.([len(calledNames)]held), input.(*called)
		switch o.method {
		case "list":
			return now == o.answers && o.status == 200 || o.status == 404 && now == [len(calledNames)]held{}, now
		case "apply":
			return o.status == 200, o.answers
		}
		before := now[o.name]
		refused := o.absent && before.etag != "" || o.match != "" && (before.etag == "" || o.match != "*" && o.match != before.etag)
		switch {
		case refused:
			return o.status == 412, now
		case before.etag == "" && o.method != "PUT":
			return o.status == 404, now
		case o.method == "GET":
			return o.status == 200 && o.answers[o.name] == before, now
		case o.method == "PUT" && before.etag == "":
			now[o.name] = o.answers[o.name]
			return o.status == 201, now
		case o.method == "PUT":
			now[o.name] = o.answers[o.name]
		default:
			now[o.name] = held{}
		}
		return o.status == 200, now
	},
}

// caller makes one call after the other.
type caller struct {
	f      *fixture
	client int
	rand   *rand.Rand
	etags  map[string]string // as it saw them last, by name
}

func (c *caller) call(id int64) *called {
	o := &called{name: c.rand.IntN(len(calledNames)), region: fmt.Sprint("region-", id)}
	spec := fmt.Sprintf(`{"type":"vm","size":"small","region":%q}`, o.region)
	name := calledNames[o.name]
	switch c.rand.IntN(8) {
	case 0, 1:
		o.method = "list"
		r := c.f.do("GET", shop, "")
		if o.status = r.status; r.status == 200 {
			for _, e := range r.list().Resources {
				o.answers[slices.Index(calledNames[:], e.Name)] = held{e.Spec.Region, `"` + e.Digest + `"`}
			}
		}
		return o
	case 2:
		o.method = "apply"
		var all []string
		for _, n := range calledNames {
			all = append(all, fmt.Sprintf(`{"name":%q,"spec":%s}`, n, spec))
		}
		r := c.f.do("POST", shopApply, `{"resources":[`+strings.Join(all, ",")+`]}`)
		if o.status = r.status; r.status == 200 {
			for i, change := range r.applied().Changes {
				o.answers[i] = held{o.region, `"` + change.Digest + `"`}
			}
		}
		return o
	case 3:
		o.method, spec = "DELETE", ""
	case 4, 5:
		o.method, spec = "GET", ""
	default:
		o.method, spec = "PUT", `{"spec":`+spec+`}`
	}
	var headers []string
	if o.method != "GET" {
		switch c.rand.IntN(5) {
		case 0, 1:
			if o.match = c.etags[name]; o.match != "" {
				headers = append(headers, "If-Match: "+o.match)
			}
		case 2:
			o.match = "*"
			headers = append(headers, "If-Match: *")
		case 3:
			if o.absent = o.method == "PUT"; o.absent {
				headers = append(headers, "If-None-Match: *")
			}
		}
	}
	r := c.f.do(o.method, shop+"/"+name, spec, headers...)
	if o.status = r.status; r.status < 300 && o.method != "DELETE" {
		got := r.resource()
		o.answers[o.name] = held{got.Spec.Region, r.header.Get("ETag")}
		c.etags[name] = r.header.Get("ETag")
	}
	return o
}
