package observability

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

type dashboard struct {
	Title         string `json:"title"`
	UID           string `json:"uid"`
	SchemaVersion int    `json:"schemaVersion"`
	Panels        []panel
	Templating    struct {
		List []variable `json:"list"`
	} `json:"templating"`
}

type panel struct {
	ID          int         `json:"id"`
	Type        string      `json:"type"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Datasource  *datasource `json:"datasource"`
	GridPos     struct{ X, Y, W, H int }
	Targets     []target `json:"targets"`
}

type target struct {
	RefID        string      `json:"refId"`
	Datasource   *datasource `json:"datasource"`
	Expr         string      `json:"expr"`
	LegendFormat string      `json:"legendFormat"`
}

type datasource struct{ Type, UID string }

type variable struct {
	Name       string      `json:"name"`
	Type       string      `json:"type"`
	Definition string      `json:"definition"`
	Datasource *datasource `json:"datasource"`
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	data, err := os.ReadFile("../../deploy/observability/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d
}

// substitute gives the dashboard's variables the values that Grafana could.
func substitute(text string) string {
	return strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$instance", ".*", "$namespace", ".*").Replace(text)
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	if d.Title == "" || d.UID == "" || d.SchemaVersion < 36 {
		t.Errorf("title %q, uid %q, schema version %d", d.Title, d.UID, d.SchemaVersion)
	}
	defined := map[string]bool{"__rate_interval": true}
	for _, v := range d.Templating.List {
		defined[v.Name] = true
		switch v.Type {
		case "datasource":
		case "query":
			if m := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(v.Definition); m == nil {
				t.Errorf("the variable %s is %q", v.Name, v.Definition)
			} else if known := checkExpression(t, "the variable "+v.Name, substitute(m[1])); !known[m[2]] {
				t.Errorf("the variable %s: there is no label %s", v.Name, m[2])
			}
			checkDatasource(t, "the variable "+v.Name, v.Datasource)
		default:
			t.Errorf("the variable %s is of the type %s", v.Name, v.Type)
		}
	}
	busy := observe(t, []change{{`{__name__=~".+"}`, growing(1)}})
	ids, places, expressions := map[int]bool{}, map[string]string{}, 0
	for _, p := range d.Panels {
		where := fmt.Sprintf("panel %d, %q", p.ID, p.Title)
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("%s has no title, or no id of its own", where)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				place := fmt.Sprint(x, ",", y)
				if other := places[place]; other != "" || x > 23 {
					t.Fatalf("%s covers %s at %s", where, other, place)
				}
				places[place] = where
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%s has no description or no query", where)
		}
		checkDatasource(t, where, p.Datasource)
		for _, q := range p.Targets {
			expressions++
			checkDatasource(t, where, q.Datasource)
			for _, m := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(q.Expr, -1) {
				if !defined[m[1]] {
					t.Errorf("%s: the variable %s is not defined", where, m[1])
				}
			}
			if checkExpression(t, where, substitute(q.Expr)); t.Failed() {
				continue
			}
			shown := evaluate(t, busy, substitute(q.Expr))
			if len(shown) == 0 {
				t.Errorf("%s shows nothing of a busy server: %s", where, q.Expr)
				continue
			}
			for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(q.LegendFormat, -1) {
				if !shown[0].Metric.Has(m[1]) {
					t.Errorf("%s: the legend's label %s is not in %s", where, m[1], shown[0].Metric)
				}
			}
		}
	}
	if expressions < 20 {
		t.Errorf("only %d queries were checked", expressions)
	}
}

// checkDatasource: a dashboard can be imported anywhere only if its data source
// is a variable.
func checkDatasource(t *testing.T, where string, d *datasource) {
	t.Helper()
	if d == nil || d.Type != "prometheus" || d.UID != "${datasource}" {
		t.Errorf("%s has the data source %+v, not the variable", where, d)
	}
}

// Every metric of the ledger's is shown.
func TestDashboardShowsEveryMetric(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../deploy/observability/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range metrics(t) {
		name := s.labels.Get("__name__")
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, suffix)
		}
		if strings.HasPrefix(name, "gsq_") && !seen[name] && !bytes.Contains(data, []byte(name)) {
			t.Errorf("no panel shows %s", name)
		}
		seen[name] = true
	}
	if len(seen) < 20 {
		t.Errorf("only %d metrics", len(seen))
	}
}
