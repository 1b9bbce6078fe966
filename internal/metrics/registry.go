package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/prometheus/client_golang/prometheus"

	"gitops-squared.io/gsq/internal/registry"
)

// operation is a method of registry.Registry, as a label.
type operation string

const (
	opPut          operation = "put"
	opCommit       operation = "commit"
	opTag          operation = "tag"
	opGet          operation = "get"
	opManifest     operation = "manifest"
	opBlob         operation = "blob"
	opResolve      operation = "resolve"
	opTags         operation = "tags"
	opReferrers    operation = "referrers"
	opDelete       operation = "delete"
	opRepositories operation = "repositories"
	opCollect      operation = "collect"
)

func operations() []operation {
	return []operation{opPut, opCommit, opTag, opGet, opManifest, opBlob, opResolve, opTags, opReferrers, opDelete, opRepositories, opCollect}
}

// Outcomes of a request, as a label. canceled is one that the caller gave up.
const (
	outcomeOK       = "ok"
	outcomeCanceled = "canceled"
	outcomeOther    = "other"
)

// kinds are the registry's errors and their outcomes, in the order in which an
// error that is several of them is judged.
func kinds() []struct {
	err     error
	outcome string
} {
	return []struct {
		err     error
		outcome string
	}{
		{registry.ErrNotFound, "not-found"},
		{registry.ErrTooLarge, "too-large"},
		{registry.ErrNoSpace, "no-space"},
		{registry.ErrUnsupported, "unsupported"},
		{registry.ErrRefused, "refused"},
		{registry.ErrUnreachable, "unreachable"},
		{registry.ErrCorrupt, "corrupt"},
		{registry.ErrUnavailable, "unavailable"},
	}
}

func outcomeOf(ctx context.Context, err error) string {
	if err == nil {
		return outcomeOK
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return outcomeCanceled
	}
	for _, k := range kinds() {
		if errors.Is(err, k.err) {
			return k.outcome
		}
	}
	return outcomeOther
}

// Registry counts the requests to a registry and how long they took. One
// request is one call of the seam, which may be several HTTP requests.
type Registry struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	series   map[operation]series
}

type series struct {
	took prometheus.Observer
	ok   prometheus.Counter
}

var _ prometheus.Collector = (*Registry)(nil)

// NewRegistry returns metrics that have counted nothing. Every series exists
// from the start.
func NewRegistry() *Registry {
	m := &Registry{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gsq_registry_requests_total", Help: "Requests of the ledger to the registry.",
		}, []string{"operation", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gsq_registry_request_duration_seconds", Help: "How long the ledger's requests to the registry took.", Buckets: durations(),
		}, []string{"operation"}),
		series: map[operation]series{},
	}
	for _, op := range operations() {
		name := string(op)
		m.series[op] = series{took: m.duration.WithLabelValues(name), ok: m.requests.WithLabelValues(name, outcomeOK)}
		m.requests.WithLabelValues(name, outcomeCanceled)
		m.requests.WithLabelValues(name, outcomeOther)
		for _, k := range kinds() {
			m.requests.WithLabelValues(name, k.outcome)
		}
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *Registry) Describe(out chan<- *prometheus.Desc) {
	m.requests.Describe(out)
	m.duration.Describe(out)
}

// Collect implements prometheus.Collector.
func (m *Registry) Collect(out chan<- prometheus.Metric) {
	m.requests.Collect(out)
	m.duration.Collect(out)
}

// done notes a request that began at start.
func (m *Registry) done(ctx context.Context, op operation, start time.Time, err error) {
	s := m.series[op]
	s.took.Observe(time.Since(start).Seconds())
	if err == nil {
		s.ok.Inc()
	} else {
		m.requests.WithLabelValues(string(op), outcomeOf(ctx, err)).Inc()
	}
}

// Wrap returns r with its requests counted. What it returns is a
// registry.Lister if r is one, and a registry.Collector.
func (m *Registry) Wrap(r registry.Registry) registry.Registry {
	w := measured{r, m}
	l, lists := r.(registry.Lister)
	c, collects := r.(registry.Collector)
	switch {
	case lists && collects:
		return struct {
			measured
			measuredLister
			measuredCollector
		}{w, measuredLister{l, m}, measuredCollector{c, m}}
	case lists:
		return struct {
			measured
			measuredLister
		}{w, measuredLister{l, m}}
	case collects:
		return struct {
			measured
			measuredCollector
		}{w, measuredCollector{c, m}}
	}
	return w
}

type measured struct {
	next registry.Registry
	m    *Registry
}

func (w measured) Put(ctx context.Context, pushes ...registry.Push) error {
	start := time.Now()
	err := w.next.Put(ctx, pushes...)
	w.m.done(ctx, opPut, start, err)
	return err
}

func (w measured) Commit(ctx context.Context, t registry.Tag) error {
	start := time.Now()
	err := w.next.Commit(ctx, t)
	w.m.done(ctx, opCommit, start, err)
	return err
}

func (w measured) Tag(ctx context.Context, tags ...registry.Tag) error {
	start := time.Now()
	err := w.next.Tag(ctx, tags...)
	w.m.done(ctx, opTag, start, err)
	return err
}

func (w measured) Get(ctx context.Context, repo, reference string) (registry.Artifact, error) {
	start := time.Now()
	a, err := w.next.Get(ctx, repo, reference)
	w.m.done(ctx, opGet, start, err)
	return a, err
}

func (w measured) Manifest(ctx context.Context, repo, reference string) (registry.Manifest, error) {
	start := time.Now()
	found, err := w.next.Manifest(ctx, repo, reference)
	w.m.done(ctx, opManifest, start, err)
	return found, err
}

func (w measured) Blob(ctx context.Context, repo string, d ocispec.Descriptor) (registry.Blob, error) {
	start := time.Now()
	b, err := w.next.Blob(ctx, repo, d)
	w.m.done(ctx, opBlob, start, err)
	return b, err
}

func (w measured) Resolve(ctx context.Context, repo, reference string) (ocispec.Descriptor, error) {
	start := time.Now()
	d, err := w.next.Resolve(ctx, repo, reference)
	w.m.done(ctx, opResolve, start, err)
	return d, err
}

func (w measured) Tags(ctx context.Context, repo, last string, n int) ([]string, error) {
	start := time.Now()
	tags, err := w.next.Tags(ctx, repo, last, n)
	w.m.done(ctx, opTags, start, err)
	return tags, err
}

func (w measured) Referrers(ctx context.Context, repo string, subject digest.Digest, artifactType string) ([]ocispec.Descriptor, error) {
	start := time.Now()
	found, err := w.next.Referrers(ctx, repo, subject, artifactType)
	w.m.done(ctx, opReferrers, start, err)
	return found, err
}

func (w measured) Delete(ctx context.Context, repo string, manifest digest.Digest) error {
	start := time.Now()
	err := w.next.Delete(ctx, repo, manifest)
	w.m.done(ctx, opDelete, start, err)
	return err
}
