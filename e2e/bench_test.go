package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gitops-squared.io/gsq/bench/report"
)

// buildBench builds the program behind "make bench".
func buildBench(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bench")
	cmd := exec.Command("go", "build", "-o", path, "gitops-squared.io/gsq/bench")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the benchmark: %v: %s", err, out)
	}
	return path
}

// The benchmark measures every row on the embedded registry, writes the page,
// and leaves nothing behind. What it measures at this size means nothing.
func TestBenchMeasuresEveryRow(t *testing.T) {
	t.Parallel()
	dir, docs := t.TempDir(), t.TempDir()
	results := filepath.Join(docs, "r.json")
	cmd := exec.CommandContext(t.Context(), buildBench(t), "--target", "embedded", "--sizes", "smoke", "--dir", dir, "--json", results, "--write-docs", docs)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	table, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, table, &stderr)
	}
	data, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	var r report.Report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, row := range r.Rows {
		ids = append(ids, row.ID)
		if row.Error != "" || row.Ratio <= 0 || row.Baseline.Median <= 0 || row.Product.Median <= 0 {
			t.Errorf("%s is not measured: %+v", row.ID, row)
		}
		if !strings.Contains(string(table), "\n"+row.ID+" ") {
			t.Errorf("the table lacks %s:\n%s", row.ID, table)
		}
	}
	want := []string{
		"embedded/creates", "embedded/creates/none", "embedded/updates", "embedded/updates/none", "embedded/write", "embedded/write/none",
		"embedded/apply", "embedded/apply/none", "embedded/growth", "embedded/memory", "embedded/restart",
		"embedded/revisions", "embedded/revisions-latest", "embedded/history", "embedded/travel", "embedded/fsck", "embedded/backup",
		"embedded/get", "embedded/list",
	}
	if !slices.Equal(ids, want) {
		t.Errorf("rows %q, want %q", ids, want)
	}
	for _, file := range []string{"benchmarks.md", "benchmarks/embedded-resources.svg", "benchmarks/embedded-revisions.svg"} {
		if content, err := os.ReadFile(filepath.Join(docs, file)); err != nil || len(content) == 0 {
			t.Errorf("%s: %d bytes, error %v", file, len(content), err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v behind, error %v", left, err)
	}
}
