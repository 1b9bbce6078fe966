package report

import "fmt"

// Row is one measure: a baseline and the product, measured in turn.
type Row struct {
	ID         string `json:"id"` // target/measure, or target/measure/none
	Target     string `json:"target"`
	Durability string `json:"durability,omitempty"` // commit or none; empty when the registry decides it
	Measure    string `json:"measure"`
	Unit       Unit   `json:"unit"`
	Baseline   Series `json:"baseline"`
	Product    Series `json:"product"`
	// Ratio is product / baseline: the median of the rounds' ratios when both
	// were measured in turn, else the ratio of the medians.
	Ratio float64  `json:"ratio"`
	Goal  *Goal    `json:"goal,omitempty"` // nil: shown for comparison
	Met   bool     `json:"met"`            // false without a goal
	Notes []string `json:"notes,omitempty"`
	Error string   `json:"error,omitempty"` // not empty: the row failed, its values mean nothing
}

// Goal bounds Ratio. Exactly one of AtLeast and AtMost is not 0.
type Goal struct {
	AtLeast float64 `json:"atLeast,omitempty"`
	AtMost  float64 `json:"atMost,omitempty"`
	Plus    float64 `json:"plus,omitempty"` // allowed beyond AtMost times the baseline, in the row's unit
}

// Judge fills in Ratio and Met from what was measured.
func (r *Row) Judge() {
	b, p := r.Baseline, r.Product
	if r.Error != "" || b.Median == 0 || p.Median == 0 {
		return
	}
	r.Ratio = p.Median / b.Median
	if len(b.Rounds) == len(p.Rounds) {
		ratios := make([]float64, len(b.Rounds))
		for i := range ratios {
			ratios[i] = p.Rounds[i] / b.Rounds[i]
		}
		r.Ratio = Median(ratios)
	}
	switch g := r.Goal; {
	case g == nil:
	case g.AtLeast != 0:
		r.Met = r.Ratio >= g.AtLeast
	default:
		r.Met = r.Ratio <= g.AtMost+g.Plus/b.Median
	}
}

// goal is the goal in words, with its unit.
func (r *Row) goal() string {
	switch g := r.Goal; {
	case g == nil:
		return ""
	case g.AtLeast != 0:
		return fmt.Sprintf("≥ %g ×", g.AtLeast)
	case g.Plus != 0:
		return fmt.Sprintf("≤ %g × + %g %s", g.AtMost, g.Plus, r.Unit)
	default:
		return fmt.Sprintf("≤ %g ×", g.AtMost)
	}
}

// verdict is whether the goal was met, in a word.
func (r *Row) verdict() string {
	switch {
	case r.Error != "":
		return "failed"
	case r.Goal == nil:
		return ""
	case r.Met:
		return "met"
	}
	return "not met"
}

// spread is a series' median, and its bounds if they tell more.
func (r *Row) spread(s Series) string {
	if r.Error != "" {
		return ""
	}
	text := r.Unit.Text(s.Median)
	if len(s.Rounds) > 1 {
		text += fmt.Sprintf(" (%s to %s)", number(s.Min), number(s.Max))
	}
	return text
}

func (r *Row) ratio() string {
	if r.Ratio == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f ×", r.Ratio)
}
