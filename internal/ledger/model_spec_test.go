package ledger_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
)

// operation is one call of one client, with what came of it. Its times count
// the calls and returns of a run.
type operation struct {
	id        string // the request's reason: every change in a record says whose it is
	client    int
	namespace string
	get       string          // name, of a get
	list      bool            // of a list
	request   *ledger.Request // of an apply
	earlier   map[string]cell // what its changes roll back to, by name
	target    content         // of a rollback of the namespace: what was there
	ledger    *modelProcess

	call, ret int64
	err       error
	code      ledger.Code
	revision  ledger.Revision
	outcomes  []ledger.Outcome
	entries   []*ledger.Entry // what a get or a list found

	made *made // what the chain says that it did; nil if it changed nothing
}

// made is what one operation changed, as the commit records have it.
type made struct {
	revision int64
	changes  map[string]madeChange // by name
}

type madeChange struct {
	operation ledger.Operation
	digest    string
}

// cell is a resource: the zero value is one that does not exist.
type cell struct{ region, digest string }

// content is the model of a namespace. One that does not exist is empty.
type content [len(modelNames)]cell

func cellOf(e *ledger.Entry) cell {
	if e == nil {
		return cell{}
	}
	return cell{e.Spec.Region, e.Digest.String()}
}

func contentOf(entries []*ledger.Entry) (content, error) {
	var c content
	for _, e := range entries {
		i := slices.Index(modelNames[:], e.Name)
		if i < 0 || c[i] != (cell{}) {
			return c, fmt.Errorf("%s is there, or is there twice", e.Name)
		}
		c[i] = cellOf(e)
	}
	return c, nil
}

// effect is what an apply does to one resource.
type effect struct {
	operation ledger.Operation
	before    cell
	after     cell // without a digest when it is a new version
}

// expect is the sequential specification of an apply: its effects by name, or
// the code of its refusal.
func (now content) expect(o *operation) (map[string]effect, ledger.Code) {
	r, effects := o.request, map[string]effect{}
	changes := slices.SortedFunc(slices.Values(r.Changes), func(a, b ledger.Change) int { return cmp.Compare(a.Name, b.Name) })
	for _, c := range changes {
		before := now[slices.Index(modelNames[:], c.Name)]
		exists := before != (cell{})
		switch {
		case c.IfNoneMatch && exists, c.IfMatch != "" && !exists, c.IfMatch != "" && c.IfMatch != "*" && c.IfMatch != before.digest:
			return nil, ledger.CodePreconditionFailed
		case c.Version != 0:
			effects[c.Name] = back(before, o.earlier[c.Name])
		case c.Delete && !exists:
			return nil, ledger.CodeNotFound
		case c.Delete:
			effects[c.Name] = effect{ledger.Deleted, before, cell{}}
		case exists && before.region == c.Spec.Region:
			effects[c.Name] = effect{ledger.Unchanged, before, before}
		case exists:
			effects[c.Name] = effect{ledger.Updated, before, cell{region: c.Spec.Region}}
		default:
			effects[c.Name] = effect{ledger.Created, before, cell{region: c.Spec.Region}}
		}
	}
	if !r.Prune && r.Rollback == nil {
		return effects, ""
	}
	if r.Rollback != nil {
		for i, name := range modelNames {
			if now[i] != (cell{}) || o.target[i] != (cell{}) {
				effects[name] = back(now[i], o.target[i])
			}
		}
	}
	existed, gone, left := 0, 0, 0
	for i, name := range modelNames {
		if now[i] != (cell{}) {
			existed++
			if _, named := effects[name]; !named {
				effects[name] = effect{ledger.Deleted, now[i], cell{}}
			}
		}
		switch e, named := effects[name]; {
		case named && e.after == (cell{}):
			gone++
		case named:
			left++
		}
	}
	if gone > 0 && (left == 0 || 2*gone > existed) && !r.Confirm && !r.DryRun {
		return nil, ledger.CodeConfirm
	}
	return effects, ""
}

// back is the effect of a rollback on one resource.
func back(now, then cell) effect {
	if now == then {
		return effect{ledger.Unchanged, now, now}
	}
	return effect{ledger.RolledBack, now, then}
}

// step says whether the operation can have had its outcome on this content,
// and what it leaves behind.
func (now content) step(o *operation) (bool, content) {
	switch {
	case o.code == ledger.CodeNamespaceNotFound:
		return now == content{}, now
	case o.get != "":
		want := now[slices.Index(modelNames[:], o.get)]
		switch o.code {
		case ledger.CodeNotFound:
			return want == cell{}, now
		case "":
			return len(o.entries) == 1 && want == cellOf(o.entries[0]), now
		}
		return false, now
	case o.list:
		got, err := contentOf(o.entries)
		return err == nil && o.code == "" && got == now, now
	}
	effects, code := now.expect(o)
	if o.code != ledger.CodeOutcomeUnknown && o.code != "" {
		return o.code == code, now
	}
	if code != "" || o.code == "" && !matches(effects, o) {
		return false, now
	}
	if o.request.DryRun {
		return true, now
	}
	next, changed := now, 0
	for i, name := range modelNames {
		e, named := effects[name]
		if !named || e.operation == ledger.Unchanged {
			continue
		}
		changed++
		if o.made == nil || o.made.changes[name].operation != e.operation {
			return false, now
		}
		made := o.made.changes[name].digest
		switch next[i] = e.after; {
		case e.after == (cell{}): // a tombstone was made
		case e.operation != ledger.RolledBack:
			next[i].digest = made
		case made != e.after.digest:
			return false, now
		}
	}
	return o.made == nil && changed == 0 || o.made != nil && changed == len(o.made.changes), next
}

// matches compares an acknowledged apply's outcomes with what they should be.
func matches(effects map[string]effect, o *operation) bool {
	if len(o.outcomes) != len(effects) {
		return false
	}
	for _, got := range o.outcomes {
		want, ok := effects[got.Name]
		if !ok || got.Operation != want.operation || cellOf(got.Before) != want.before {
			return false
		}
		after := cellOf(got.After)
		if want.operation == ledger.Created || want.operation == ledger.Updated {
			want.after.digest = after.digest // a new one, compared with the chain's
		}
		if after != want.after {
			return false
		}
	}
	return true
}

// linearizable is the specification for porcupine. Namespaces are independent.
var linearizable = porcupine.Model{
	Init: func() any { return content{} },
	Step: func(state, input, _ any) (bool, any) { return state.(content).step(input.(*operation)) },
}

// checkLinearizable reports the operations of one namespace if no order of
// them explains their outcomes. Those of unknown outcome that the chain shows
// may have taken effect at any time since they were called.
func checkLinearizable(namespace string, all []*operation) error {
	var history []porcupine.Operation
	var told strings.Builder
	last := int64(0)
	for _, o := range all {
		last = max(last, o.ret)
	}
	for _, o := range all {
		if o.namespace != namespace || !o.tells() {
			continue
		}
		op := porcupine.Operation{ClientId: o.client, Input: o, Call: o.call, Return: o.ret}
		if o.code == ledger.CodeOutcomeUnknown {
			op.Return = last + 1
		}
		history = append(history, op)
		fmt.Fprintf(&told, "  %v\n", o)
	}
	switch porcupine.CheckOperationsTimeout(linearizable, history, time.Minute) {
	case porcupine.Illegal:
		return fmt.Errorf("%s: no order of its operations explains them:\n%s", namespace, told.String())
	case porcupine.Unknown:
		return fmt.Errorf("%s: no order of %d operations was found in a minute", namespace, len(history))
	}
	return nil
}

// tells reports whether the operation says something about its namespace's
// content. A refusal for other reasons does not; nor does what a superseded
// ledger answers from its memory, which may be old.
func (o *operation) tells() bool {
	switch o.code {
	case "", ledger.CodeNotFound, ledger.CodeNamespaceNotFound, ledger.CodePreconditionFailed, ledger.CodeConfirm:
		return o.made != nil || !o.stale()
	case ledger.CodeOutcomeUnknown:
		return o.made != nil
	}
	return false
}

// moved reports whether it was answered that the operation made a revision.
func (o *operation) moved() bool {
	return slices.ContainsFunc(o.outcomes, func(out ledger.Outcome) bool { return out.Operation != ledger.Unchanged })
}

// stale reports whether another ledger may have written before this was
// answered.
func (o *operation) stale() bool {
	since := o.ledger.stale.Load()
	return since > 0 && o.ret > since
}

func (o *operation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%d, %d] %s: ", o.call, o.ret, o.id)
	switch {
	case o.get != "":
		fmt.Fprintf(&b, "get %s", o.get)
	case o.list:
		b.WriteString("list")
	default:
		fmt.Fprintf(&b, "apply prune=%v confirm=%v dry-run=%v", o.request.Prune, o.request.Confirm, o.request.DryRun)
		if o.request.Rollback != nil {
			fmt.Fprintf(&b, " to r%d", o.request.Rollback.Revision)
		}
		for _, c := range o.request.Changes {
			what := c.Spec.Region
			if c.Delete {
				what = "delete"
			}
			if c.Version != 0 {
				what = "back to " + c.Version.String()
			}
			fmt.Fprintf(&b, " %s=%s(if-match %q, if-none-match %v)", c.Name, what, short(c.IfMatch), c.IfNoneMatch)
		}
	}
	fmt.Fprintf(&b, " -> %q r%d", o.code, o.revision.Number)
	for _, out := range o.outcomes {
		fmt.Fprintf(&b, " %s:%s %s=>%s", out.Name, out.Operation, cellOf(out.Before), cellOf(out.After))
	}
	for _, e := range o.entries {
		fmt.Fprintf(&b, " %s:%s", e.Name, cellOf(e))
	}
	if o.made != nil {
		fmt.Fprintf(&b, "; made r%d of %v", o.made.revision, slices.Sorted(maps.Keys(o.made.changes)))
	}
	return b.String()
}

func (c cell) String() string { return c.region + "@" + short(c.digest) }

// short is enough of a digest to tell it from others.
func short(digest string) string {
	_, hex, found := strings.Cut(digest, ":")
	if !found {
		return digest
	}
	return hex[:min(6, len(hex))]
}

// spec returns the spec whose region is value.
func spec(value string) intent.Spec {
	return intent.Spec{Type: "vm", Size: "small", Region: value, Replicas: 1}
}
