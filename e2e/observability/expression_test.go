package observability

import (
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// checkExpression parses a PromQL expression and compares it with what the
// server exports: every selector selects something, and every label that the
// expression names is one of what it selects. It returns these labels.
func checkExpression(t *testing.T, where, text string) map[string]bool {
	t.Helper()
	expr, err := promql.ParseExpr(text)
	if err != nil {
		t.Errorf("%s: %v in %s", where, err, text)
		return nil
	}
	exported := metrics(t)
	known := map[string]bool{}
	var named []string
	selectors := 0
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			selectors++
			for _, m := range n.LabelMatchers {
				named = append(named, m.Name)
			}
			found := false
			for _, s := range exported {
				if matches(s.labels, n.LabelMatchers) {
					found = true
					s.labels.Range(func(l labels.Label) { known[l.Name] = true })
				}
			}
			if !found {
				t.Errorf("%s: no series of the server matches %s", where, n)
			}
		case *parser.AggregateExpr:
			named = append(named, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				named = append(append(named, n.VectorMatching.MatchingLabels...), n.VectorMatching.Include...)
			}
		}
		return nil
	})
	if selectors == 0 {
		t.Errorf("%s: %s selects nothing", where, text)
	}
	for _, label := range named {
		if !known[label] {
			t.Errorf("%s: what %s selects has no label %s", where, text, label)
		}
	}
	return known
}

func matches(ls labels.Labels, all []*labels.Matcher) bool {
	return !slices.ContainsFunc(all, func(m *labels.Matcher) bool { return !m.Matches(ls.Get(m.Name)) })
}
