package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/load"
	"gitops-squared.io/gsq/e2e/proxy"
)

// spoilt is a fault for some of the requests of one namespace's commits.
type spoilt struct {
	name      string
	namespace string
	rules     []proxy.Rule
}

// badAnswer is a way to answer any request wrongly.
type badAnswer struct {
	name  string
	fault proxy.Fault
}

func badAnswers() []badAnswer {
	return []badAnswer{
		{"429", proxy.Refuse(http.StatusTooManyRequests, 1)},
		{"500", proxy.Refuse(http.StatusInternalServerError, 0)},
		{"503", proxy.Refuse(http.StatusServiceUnavailable, 1)},
		{"reset", proxy.ResetAfter},
		{"wrong digest", proxy.WrongDigest},
	}
}

// spoiltCases are all faults with all kinds of requests that a commit makes.
// Each has a namespace of its own, so that one server meets all of them at once.
func spoiltCases(prefix string) []spoilt {
	writes := []struct {
		name    string
		methods []string
		path    string // after the prefix; %s is the namespace
	}{
		{"blobs", []string{"POST", "PUT", "PATCH"}, `/(catalogs/%[1]s|resources/%[1]s/[^/]+)/blobs/uploads/`},
		{"manifests by digest", []string{"PUT"}, `/(catalogs/%[1]s|resources/%[1]s/[^/]+)/manifests/sha256:`},
		{"latest", []string{"PUT"}, `/catalogs/%[1]s/manifests/latest$`},
		{"the revision's tag", []string{"PUT"}, `/catalogs/%[1]s/manifests/r[0-9]+$`},
		{"the versions' tags", []string{"PUT"}, `/resources/%[1]s/[^/]+/manifests/(v[0-9]+|latest)$`},
	}
	reads := []struct{ name, path string }{
		{"reading latest", `/catalogs/%[1]s/manifests/latest$`},
		{"reading the revision's tag", `/catalogs/%[1]s/manifests/r[0-9]+$`},
	}
	var cases []spoilt
	add := func(fault proxy.Fault, faultName, target, path string, methods ...string) {
		c := spoilt{name: target + ": " + faultName, namespace: fmt.Sprintf("spoilt-%d", len(cases))}
		for _, method := range methods {
			c.rules = append(c.rules, proxy.Rule{Method: method, Path: regexp.MustCompile("/" + prefix + fmt.Sprintf(path, c.namespace)), Fault: fault})
		}
		cases = append(cases, c)
	}
	for _, a := range badAnswers() {
		for _, w := range writes {
			add(a.fault, a.name, w.name, w.path, w.methods...)
		}
		for _, r := range reads {
			add(a.fault, a.name, r.name, r.path, "GET")
		}
	}
	for _, r := range reads {
		add(proxy.HalfBody, "half a body", r.name, r.path, "GET")
		add(proxy.Stale(time.Second), "a stale tag", r.name, r.path, "") // puts too: it remembers what was there
	}
	return cases
}

// Whatever the registry answers for a while, under load: no acknowledged write
// is lost, nothing that was not asked for happens, and the next write succeeds
// when unanswered ones have settled.
func TestSpoiltRegistry(t *testing.T) {
	t.Parallel()
	d := newDistribution(t)
	const prefix = "spoilt"
	p := newProxy(t, d.Host)
	s := startExternal(t, p.Host, prefix)
	cases := spoiltCases(prefix)
	reports := make([]*load.Report, len(cases))
	var wait sync.WaitGroup
	busy := make(chan struct{}, spoiltAtOnce)
	for i, c := range cases {
		wait.Go(func() {
			t.Run(c.name, func(t *testing.T) { reports[i] = c.run(t, s, p, busy, uint64(i)) })
		})
	}
	wait.Wait()
	if t.Failed() {
		return
	}
	reports = append(reports, testSpoiltClaim(t, s, p, prefix))
	cases = append(cases, spoilt{name: "the claim"})
	h := readPrefix(t, d.Host, prefix)
	acknowledged, unknown := 0, 0
	for i, c := range cases {
		if err := load.Check(h, reports[i]); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		acknowledged, unknown = acknowledged+reports[i].Acknowledged, unknown+reports[i].Unknown
	}
	t.Logf("%d cases, %d writes acknowledged, %d with an unknown outcome", len(cases), acknowledged, unknown)
}

// claimNamespace is where the writes are while the claim is spoilt.
const claimNamespace = "claim"

// spoiltAtOnce is how many namespaces are under load at once. Many more wait
// meanwhile for what was not answered to settle, which costs nothing.
const spoiltAtOnce = 8

// faultTime is how long the registry answers wrongly.
const faultTime = time.Second

// settledBound is when a write must succeed after the registry answers well
// again: the settle time of 15 s, the pauses before a repetition (at most 2 s)
// and before a look (1 s), and as much again for the machine, which the tests
// share.
const settledBound = 36 * time.Second

func (c spoilt) run(t *testing.T, s *gsq.Server, p *proxy.Proxy, busy chan struct{}, seed uint64) *load.Report {
	busy <- struct{}{}
	release := sync.OnceFunc(func() { <-busy })
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	l := load.Start(ctx, load.Options{
		Server: s, Namespaces: []string{c.namespace}, Writers: 2, Writes: 10_000, Resources: 3, Pause: 150 * time.Millisecond, Seed: seed,
	})
	defer l.Stop()
	awaitAcknowledged(t, l, 4)
	hits := spoil(t, p, c.rules, faultTime)
	release()
	began := time.Now()
	after := api.ResourcePut{Spec: api.Spec{Type: "vm", Size: "small"}}
	await(t, settledBound, "a write afterwards", func() error {
		return succeeds(s.Do(t.Context(), http.MethodPut, "/api/v1/namespaces/"+c.namespace+"/resources/afterwards", after))
	})
	t.Logf("%d requests were spoilt; the next write succeeded after %.1f s", hits, time.Since(began).Seconds())
	return endLoad(t, l)
}

// spoil follows the rules for a while and returns how many requests they met,
// which must be some.
func spoil(t *testing.T, p *proxy.Proxy, rules []proxy.Rule, duration time.Duration) int {
	t.Helper()
	var active []*proxy.Active
	for _, r := range rules {
		active = append(active, p.Add(r))
	}
	hits := func() int {
		n := 0
		for _, a := range active {
			n += a.Hits()
		}
		return n
	}
	await(t, loadTimeout, "a request comes that is spoilt", func() error {
		if hits() == 0 {
			return fmt.Errorf("none of %v", rules)
		}
		return nil
	})
	time.Sleep(duration)
	for _, a := range active {
		a.Remove()
	}
	return hits()
}

func succeeds(a gsq.Answer, err error) error {
	if err == nil && a.Status/100 != 2 {
		err = fmt.Errorf("answered %d %s", a.Status, a.Body)
	}
	return err
}

// loadTimeout is far above what a few writes take on a busy machine, the settle
// time after time-outs included.
const loadTimeout = 2 * time.Minute

func awaitAcknowledged(t *testing.T, l *load.Load, n int) {
	t.Helper()
	await(t, loadTimeout, fmt.Sprintf("%d writes are acknowledged", n), func() error {
		if got := l.Acknowledged(); got < n {
			return fmt.Errorf("%d", got)
		}
		return nil
	})
}

// The claim that every commit reads, spoilt: an answer that does not name another
// ledger supersedes nobody.
func testSpoiltClaim(t *testing.T, s *gsq.Server, p *proxy.Proxy, prefix string) *load.Report {
	path := regexp.MustCompile("/" + prefix + "/writer/manifests/latest$")
	l := load.Start(t.Context(), load.Options{
		Server: s, Namespaces: []string{claimNamespace}, Writers: 2, Writes: 10_000, Resources: 3, Pause: 100 * time.Millisecond, Seed: 1,
	})
	defer l.Stop()
	awaitAcknowledged(t, l, 4)
	for _, a := range append(badAnswers(), badAnswer{"half a body", proxy.HalfBody}) {
		hits := spoil(t, p, []proxy.Rule{{Method: http.MethodGet, Path: path, Fault: a.fault}}, faultTime/3)
		awaitAcknowledged(t, l, l.Acknowledged()+2)
		t.Logf("the claim: %s: %d requests were spoilt", a.name, hits)
	}
	return endLoad(t, l)
}

// endLoad stops a load; no answer may have been wrong.
func endLoad(t *testing.T, l *load.Load) *load.Report {
	t.Helper()
	l.Stop()
	report, err := l.Wait()
	t.Log(report)
	if err != nil {
		t.Error(err)
	}
	return report
}
