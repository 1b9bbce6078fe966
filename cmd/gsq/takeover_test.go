package main

import (
	"bytes"
	"testing"

	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
)

func TestTakeOverReport(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		report ledger.TakeOverReport
		done   bool
		want   string
	}{
		"choices are needed": {
			report: ledger.TakeOverReport{
				Resources: []string{"web"},
				Invalid: []ledger.InvalidObject{
					{Name: "db", Faults: intent.Invalid{{Pointer: "/spec/replicas", Detail: "too many"}}, LastValid: "v7"},
					{Name: "my_vm", Faults: intent.Invalid{{Detail: "no name"}}},
				},
			},
			want: `invalid: db
  /spec/replicas: too many
  its last valid version is v7; choose --use-last-valid db or --drop db
invalid: my_vm
  no name
  it has no valid version; choose --drop my_vm
`,
		},
		"done": {
			report: ledger.TakeOverReport{Resources: []string{"db", "web"}, Dropped: []string{"my_vm"}, Outside: []string{"gitops-squared/resources/default/old"}},
			done:   true,
			want: `taken over: db
taken over: web
dropped: my_vm
not in the old catalog, left as it is: gitops-squared/resources/default/old
2 resources taken over, 1 dropped
`,
		},
	} {
		var out bytes.Buffer
		if err := printTakeOver(process{Out: &out}, c.report, c.done); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, out.String(), c.want)
		}
	}
}
