package ledger_test

import (
	"fmt"
	"slices"
	"testing"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// past is a namespace's history as the registry has it.
type past struct {
	revisions []artifact.Revision // number 1 first
	contents  []content           // after each
}

// readPast reads a namespace's chain, and notes for each operation what it
// changed. It checks what operations do not matter for: whose each change is,
// that an operation is in one revision, and that versions increase.
func readPast(t testing.TB, store *faulty.Store, namespace string, all map[string]*operation) past {
	t.Helper()
	layout := artifact.Layout{Prefix: prefix}
	p := past{revisions: chain(t, store.Raw(), layout.Catalog(namespace), artifact.TypeFluxConfig, artifact.TypeFluxContent)}
	newest := map[string]string{} // digests
	var highest intent.Version
	for _, rev := range p.revisions {
		n := rev.Record.Number
		if n > 1 && len(rev.Record.Changes) == 0 {
			t.Errorf("%s: r%d changes nothing", namespace, n)
		}
		above, live := highest, liveAt(t, namespace, rev)
		for _, c := range rev.Record.Changes {
			v, err := intent.ParseVersion(c.After.Version)
			if again := c.Operation == "rollback" && live[c.Name] != nil; again && err == nil {
				if v > above {
					t.Errorf("%s: r%d: the rollback of %s made version %s", namespace, n, c.Name, v)
				}
			} else if err != nil || v <= above {
				t.Errorf("%s: r%d: version %s of %s is not above %v (%v)", namespace, n, c.After.Version, c.Name, above, err)
			} else {
				highest = max(highest, v)
			}
			newest[c.Name] = c.After.Digest.String()
			o := all[c.Reason]
			if o == nil || o.namespace != namespace || o.request == nil || o.request.DryRun {
				t.Errorf("%s: r%d: the change of %s is nobody's (%q)", namespace, n, c.Name, c.Reason)
				continue
			}
			if o.made == nil {
				o.made = &made{n, map[string]madeChange{}}
			}
			if o.made.revision != n {
				t.Errorf("%s: %s is in r%d and in r%d", namespace, o.id, o.made.revision, n)
			}
			o.made.changes[c.Name] = madeChange{ledger.Operation(c.Operation), c.After.Digest.String()}
		}
		if stamp, err := rev.Record.Stamp(); err != nil || stamp <= highest {
			t.Errorf("%s: r%d is not later than its versions (%v)", namespace, n, err)
		} else {
			highest = stamp
		}
		p.contents = append(p.contents, contentAt(t, namespace, rev, newest))
	}
	return p
}

// liveAt returns the manifests of a revision by name.
func liveAt(t testing.TB, namespace string, rev artifact.Revision) map[string][]byte {
	t.Helper()
	files, err := catalog.Unpack(namespace, rev.Layer.Data)
	if err != nil {
		t.Fatalf("%s: r%d: %v", namespace, rev.Record.Number, err)
	}
	live := map[string][]byte{}
	for _, f := range files {
		live[f.Name] = f.YAML
	}
	return live
}

func contentAt(t testing.TB, namespace string, rev artifact.Revision, newest map[string]string) content {
	t.Helper()
	var c content
	for name, yaml := range liveAt(t, namespace, rev) {
		r, err := intent.Parse(yaml)
		if err != nil {
			t.Fatalf("%s: r%d: %s: %v", namespace, rev.Record.Number, name, err)
		}
		c[slices.Index(modelNames[:], name)] = cell{r.Spec.Region, newest[name]}
	}
	return c
}

// look notes what a rollback of the namespace goes back to.
func (p past) look(o *operation) {
	if o.request == nil || o.request.Rollback == nil {
		return
	}
	if to := o.request.Rollback.Revision; to <= int64(len(p.contents)) {
		o.target = p.contents[to-1]
	}
}

// explain compares what an operation's caller was told with the chain.
func (p past) explain(o *operation) error {
	switch o.code {
	case ledger.CodeOutcomeUnknown:
		return nil
	case "":
	default:
		if o.made != nil {
			return fmt.Errorf("it was refused, and took effect")
		}
		return nil
	}
	n := o.revision.Number
	if n == 0 && o.request != nil && o.request.DryRun {
		return nil // the namespace did not exist
	}
	if n < 1 || n > int64(len(p.revisions)) {
		return fmt.Errorf("the chain has no revision %d", n)
	}
	rev := p.revisions[n-1]
	if stamp, err := rev.Record.Stamp(); err != nil || rev.Manifest.Digest != o.revision.Digest || !stamp.Time().Equal(o.revision.Time) {
		return fmt.Errorf("revision %d is another one in the chain", n)
	}
	if o.request == nil {
		return p.explainRead(o)
	}
	if to := o.request.Rollback; to != nil && !o.request.DryRun {
		if then := p.revisions[to.Revision-1]; rev.Layer.Digest != then.Layer.Digest {
			return fmt.Errorf("revision %d is not what revision %d was", n, to.Revision)
		}
	}
	changed := 0
	for _, out := range o.outcomes {
		if out.Operation == ledger.Unchanged {
			if i := slices.Index(modelNames[:], out.Name); p.contents[n-1][i] != cellOf(out.After) {
				return fmt.Errorf("%s is %v in revision %d", out.Name, p.contents[n-1][i], n)
			}
			continue
		}
		if o.request.DryRun {
			continue
		}
		changed++
		if o.made == nil || o.made.revision != n || o.made.changes[out.Name] != (madeChange{out.Operation, out.Digest.String()}) {
			return fmt.Errorf("revision %d does not hold its change of %s", n, out.Name)
		}
	}
	if o.made != nil && len(o.made.changes) != changed {
		return fmt.Errorf("revision %d holds changes of it that it did not answer", n)
	}
	return nil
}

// explainRead compares a read with the revision that it says it was read from.
// Those of a superseded ledger are old, but never half of something.
func (p past) explainRead(o *operation) error {
	held := p.contents[o.revision.Number-1]
	if o.list {
		if got, err := contentOf(o.entries); err != nil || got != held {
			return fmt.Errorf("revision %d holds %v, not %v (%v)", o.revision.Number, held, got, err)
		}
		return nil
	}
	if want := held[slices.Index(modelNames[:], o.get)]; want != cellOf(o.entries[0]) {
		return fmt.Errorf("in revision %d it is %v", o.revision.Number, want)
	}
	return nil
}

// checkOrder reports an answer from a revision older than one that somebody
// was told of before the call.
func checkOrder(namespace string, all []*operation) error {
	for _, o := range all {
		if o.namespace != namespace || o.revision.Number == 0 || o.made == nil && o.stale() {
			continue
		}
		for _, before := range all {
			if before.namespace == namespace && before.ret < o.call && before.revision.Number > o.revision.Number {
				return fmt.Errorf("%v\nis older than\n%v", o, before)
			}
		}
	}
	return nil
}
