package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func sample() *Report {
	row := func(target, id string, product float64, goal *Goal) Row {
		r := Row{ID: target + "/" + id, Target: target, Measure: id + " a second", Unit: PerSecond, Goal: goal,
			Baseline: NewSeries("raw pushes", []float64{90, 100, 120}), Product: NewSeries(id, []float64{product, product, product})}
		r.Judge()
		return r
	}
	failed := Row{ID: "embedded/get", Target: "embedded", Measure: "get", Error: "answered 500"}
	return &Report{
		Started: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC), Took: 17*time.Minute + 5*time.Second, Sizes: "full", Rounds: 3,
		Machine: Machine{CPU: "a processor", Cores: 2, Go: "go1.26"},
		Rows:    []Row{row("embedded", "creates", 200, &Goal{AtLeast: 1.5}), failed, row("distribution", "creates", 20, &Goal{AtLeast: 0.6})},
		Plots:   []Plot{{Name: "embedded-resources", Title: "cost", Curves: []Curve{{"a", []Point{{1, 1}, {2, 2}}}}}},
	}
}

func TestTableShowsEveryRow(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	r := sample()
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"full sizes, 3 rounds", "processor: a processor", "embedded/creates", "100/s (90.0 to 120)", "200/s (200 to 200)",
		"2.00 ×", "≥ 1.5 ×", "met", "distribution/creates", "0.20 ×", "not met", "embedded/get failed: answered 500",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &b)
		}
	}
	if len(r.Failed()) != 1 || len(r.Missed()) != 1 {
		t.Errorf("%d failed and %d missed, want one of each", len(r.Failed()), len(r.Missed()))
	}
}

// Everything on the page can be had from the results beside it.
func TestDocsCanBeWrittenAgainFromTheResults(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	if err := sample().WriteDocs(first); err != nil {
		t.Fatal(err)
	}
	rewrite(t, first, second)
	page, err := os.ReadFile(filepath.Join(first, pageFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| creates a second | raw pushes | 100/s", "## CNCF Distribution", "(benchmarks/embedded-resources.svg)", "`embedded/get` failed: `answered 500`", "17m0s"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

// The page in docs/ is what the program writes from the results in docs/:
// nobody edited it.
func TestPublishedPageIsOfThePublishedResults(t *testing.T) {
	t.Parallel()
	rewrite(t, "../../docs", t.TempDir())
}

// rewrite writes the documentation again from the results in one folder to
// another, and compares.
func rewrite(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(from, resultsFile))
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteDocs(to); err != nil {
		t.Fatal(err)
	}
	files := []string{pageFile, resultsFile}
	for _, p := range r.Plots {
		files = append(files, plotFile(p))
	}
	for _, file := range files {
		old, err := os.ReadFile(filepath.Join(from, file))
		if err != nil {
			t.Fatal(err)
		}
		again, err := os.ReadFile(filepath.Join(to, file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(old, again) {
			t.Errorf("%s is not what the program writes from %s: run \"make bench\"", filepath.Join(from, file), resultsFile)
		}
	}
}
