package observability

import (
	"context"
	"log/slog"
	"math"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	engine "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/template"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

func rules(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile("../../deploy/observability/alerts.yaml", false, model.LegacyValidation, promql, slog.Default())
	if len(errs) > 0 {
		t.Fatalf("alerts.yaml: %v", errs)
	}
	all := map[string]rulefmt.Rule{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			all[r.Alert] = r
		}
	}
	return all
}

func TestAlertRules(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range rules(t) {
		checkExpression(t, name, r.Expr)
		if !regexp.MustCompile(`^Gsq[A-Z]\w+$`).MatchString(name) {
			t.Errorf("the name %q", name)
		}
		if severity := r.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s has the severity %q", name, severity)
		}
		for _, annotation := range []string{"summary", "description", "action"} {
			if r.Annotations[annotation] == "" {
				t.Errorf("%s has no %s", name, annotation)
			}
		}
		if !strings.Contains(string(page), "| `"+name+"` |") {
			t.Errorf("docs/operations.md lacks %s", name)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(Gsq\\w+)` \\|").FindAllStringSubmatch(string(page), -1) {
		if _, ok := rules(t)[m[1]]; !ok {
			t.Errorf("docs/operations.md has %s, which is no rule", m[1])
		}
	}
}

// change says how a series goes on from what the server exported: its value at
// a time that counts from 0 to the moment of evaluation, two hours later.
type change struct {
	series string // a selector
	value  func(after time.Duration) float64
}

const observed = 2 * time.Hour

func constant(v float64) func(time.Duration) float64 { return func(time.Duration) float64 { return v } }

// growing counts so many events a minute.
func growing(perMinute float64) func(time.Duration) float64 {
	return func(after time.Duration) float64 { return after.Minutes() * perMinute }
}

// A server that works raises no alert; each alert is raised by what it is for,
// and by nothing else that is done to a server here.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	all := rules(t)
	tests := map[string][]change{
		"":            nil,
		"GsqAbsent":   {{`{__name__=~".+"}`, nil}},
		"GsqNotReady": {{`gsq_ledger_ready`, constant(0)}},
		"GsqSuperseded": {
			{`gsq_ledger_ready`, constant(0)}, {`gsq_ledger_superseded`, constant(1)}, {`gsq_namespace_refuses_writes`, constant(1)},
		},
		"GsqNamespaceRefusesWrites": {{`gsq_namespace_refuses_writes{namespace="shop"}`, constant(1)}},
		"GsqOutcomeUnknown": {{`gsq_writes_rejected_total{reason="outcome-unknown"}`, func(after time.Duration) float64 {
			if after < observed-5*time.Minute {
				return 0
			}
			return 1
		}}},
		"GsqQueueOld":         {{`gsq_queue_oldest_age_seconds{namespace="shop"}`, constant(31)}},
		"GsqWritesTurnedAway": {{`gsq_writes_rejected_total{reason="queue-full"}`, growing(10)}},
		"GsqRegistryErrors": {
			{`gsq_registry_requests_total{operation="resolve",outcome="ok"}`, growing(90)},
			{`gsq_registry_requests_total{operation="commit",outcome="unavailable"}`, growing(10)},
		},
		"GsqRegistryCorrupt": {
			{`gsq_registry_requests_total{operation="get",outcome="ok"}`, growing(100)},
			{`gsq_registry_requests_total{operation="get",outcome="corrupt"}`, growing(1)},
		},
		"GsqDiskFull": {
			{`gsq_embedded_registry_free_bytes`, constant(0)}, {`gsq_embedded_registry_refuses_writes`, constant(1)},
		},
		"GsqDiskLow": {{`gsq_embedded_registry_free_bytes`, constant(1 << 29)}},
		"GsqSlowCommits": {
			{`gsq_write_duration_seconds_bucket{le=~"2.5|5.0|10.0|30.0|60.0|5|10|30|60|\\+Inf"}`, growing(100)},
			{`gsq_write_duration_seconds_bucket{le=~"0.*|1.0|1"}`, growing(90)},
		},
		"GsqLatestPutBack": {{`gsq_ledger_repairs_total{kind="put-forward"}`, growing(.1)}},
		"GsqCollectionsFail": {
			{`gsq_gc_runs_total{outcome="unsupported"}`, growing(.001)}, {`gsq_gc_runs_total{outcome="ok"}`, constant(3)},
		},
		"GsqRestarts": {{`process_start_time_seconds`, func(after time.Duration) float64 {
			return math.Floor(after.Minutes() / 10)
		}}},
	}
	for want, changes := range tests {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			series := observe(t, changes)
			for name, r := range all {
				fired := evaluate(t, series, r.Expr)
				if (len(fired) > 0) != (name == want) {
					t.Errorf("%s is raised %d times, %v, which is wrong", name, len(fired), fired)
				}
				for _, s := range fired {
					checkTexts(t, r, s)
				}
			}
		})
	}
	for name := range all {
		if _, ok := tests[name]; !ok {
			t.Errorf("%s is not tested", name)
		}
	}
}

// What is ordinary raises no alert either.
func TestAlertsStaySilent(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string][]change{
		"a load": {
			{`gsq_write_duration_seconds_bucket`, growing(1000)},
			{`gsq_registry_requests_total{outcome="ok"}`, growing(1000)},
			{`gsq_registry_requests_total{outcome=~"not-found|canceled"}`, growing(1000)},
			{`gsq_queue_oldest_age_seconds`, constant(3)},
			{`gsq_writes_rejected_total{reason=~"invalid|precondition-failed|not-found|confirmation-required"}`, growing(100)},
		},
		"one late write": {{`gsq_ledger_repairs_total`, func(after time.Duration) float64 { return math.Floor(after.Hours() + .5) }}},
		"one restart":    {{`process_start_time_seconds`, func(after time.Duration) float64 { return math.Floor(after.Hours() + .5) }}},
		"a few failures": {{`gsq_registry_requests_total{outcome="ok"}`, growing(1000)}, {`gsq_registry_requests_total{outcome="unreachable"}`, growing(10)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			series := observe(t, changes)
			for name, r := range rules(t) {
				if fired := evaluate(t, series, r.Expr); len(fired) > 0 {
					t.Errorf("%s is raised: %v", name, fired)
				}
			}
		})
	}
}

// observe makes two hours of what the server exported, a sample each half
// minute, the same all the time except for the changes. One without a value
// takes its series away.
func observe(t *testing.T, changes []change) []storage.Series {
	t.Helper()
	// How full this machine's disk is says nothing about the rules.
	changes = append([]change{{`gsq_embedded_registry_free_bytes`, constant(1 << 40)}}, changes...)
	used := make([]bool, len(changes))
	var all []storage.Series
	for _, s := range metrics(t) {
		value, gone := constant(s.value), false
		for i, c := range changes {
			matchers, err := promql.ParseMetricSelector(c.series)
			if err != nil {
				t.Fatal(err)
			}
			if matches(s.labels, matchers) {
				used[i], value, gone = true, c.value, c.value == nil
			}
		}
		if gone {
			continue
		}
		var points []chunks.Sample
		for after := time.Duration(0); after <= observed; after += 30 * time.Second {
			points = append(points, point{after.Milliseconds(), value(after)})
		}
		all = append(all, storage.NewListSeries(s.labels, points))
	}
	for i, c := range changes {
		if !used[i] {
			t.Errorf("no series matches %s", c.series)
		}
	}
	return all
}

// evaluate returns what an expression selects after two hours.
func evaluate(t *testing.T, all []storage.Series, expr string) engine.Vector {
	t.Helper()
	e := engine.NewEngine(engine.EngineOpts{MaxSamples: 1e6, Timeout: 10 * time.Second, Parser: promql})
	defer e.Close()
	from := &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			set := &seriesSet{at: -1}
			for _, s := range all {
				if matches(s.Labels(), matchers) {
					set.all = append(set.all, s)
				}
			}
			return set
		},
	}}
	q, err := e.NewInstantQuery(context.Background(), from, nil, expr, time.Unix(0, 0).Add(observed))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	found, err := q.Exec(context.Background()).Vector()
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return slices.Clone(found)
}

// checkTexts: the annotations of a raised alert name only what it has.
func checkTexts(t *testing.T, r rulefmt.Rule, raised engine.Sample) {
	t.Helper()
	for name, text := range r.Annotations {
		data := template.AlertTemplateData(raised.Metric.Map(), nil, "", raised)
		text = "{{$labels := .Labels}}{{$value := .Value}}" + text
		written, err := template.NewTemplateExpander(context.Background(), text, name, data, 0, nil, &url.URL{}, []string{"missingkey=error"}).Expand()
		if err != nil || strings.Contains(written, "<no value>") || strings.Contains(written, "{{") {
			t.Errorf("%s of %s with %v: %q, %v", name, r.Alert, raised.Metric, written, err)
		}
	}
}

// point is a sample of a float.
type point struct {
	t int64
	f float64
}

func (p point) T() int64                      { return p.t }
func (p point) ST() int64                     { return 0 }
func (p point) F() float64                    { return p.f }
func (p point) H() *histogram.Histogram       { return nil }
func (p point) FH() *histogram.FloatHistogram { return nil }
func (p point) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (p point) Copy() chunks.Sample           { return p }
