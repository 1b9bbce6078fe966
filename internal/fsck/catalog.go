package fsck

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
)

// The operations of a namespace's commit records (docs/formats.md, "Commit
// record").
const (
	opCreate   = "create"
	opUpdate   = "update"
	opDelete   = "delete"
	opRollback = "rollback"
	opTakeOver = "take-over"
	opDrop     = "drop"
)

// ref is one version of a resource. The zero value means that there is none.
type ref struct {
	version intent.Version
	digest  digest.Digest
}

func (r ref) String() string {
	if r.version == 0 {
		return "absent"
	}
	return fmt.Sprintf("%s (%s)", r.version, r.digest)
}

// catalogReplay follows a catalog's content backwards. Going from a revision to
// the one before it undoes the record's changes, which gives what the layer
// before must hold; so the records are verified without layers, too.
type catalogReplay struct {
	namespace string
	resources *resources

	// What the records say that the revision at hand holds. As long as it is not
	// known (nothing was read yet, or a revision is missing) sure is false, and
	// only names in settled are known.
	expected map[string]ref
	sure     bool
	settled  map[string]bool

	reading *catalog.Reading // the last layer that could be read
	held    map[string]ref   // …and what it holds
	touched map[string]bool  // names that may differ between expected and held since they were compared

	lost    bool             // there is a gap above the revision at hand
	doubts  map[string]doubt // names of which the layer and the records of the last revision differ
	changes map[string]bool  // names that the record of the revision after this one changes
}

// doubt is a difference between a layer and the records after it. The layer
// before it tells which of them is wrong.
type doubt struct {
	at       int64 // the layer's revision
	manifest digest.Digest
	expected ref  // by the records
	held     ref  // by the layer
	changed  bool // the record of the revision after it says what it was before
}

func newCatalogReplay(namespace string, resources *resources) *catalogReplay {
	return &catalogReplay{
		namespace: namespace, resources: resources,
		expected: map[string]ref{}, settled: map[string]bool{}, held: map[string]ref{}, touched: map[string]bool{},
		doubts: map[string]doubt{}, changes: map[string]bool{},
	}
}

func (r *catalogReplay) gap() {
	r.sure, r.lost = false, true
	clear(r.settled)
	clear(r.changes)
}

func (r *catalogReplay) step(_ context.Context, c *chain, rev *revision) error {
	have := false
	if rev.layer != nil {
		var err error
		if have, err = r.unpack(c, rev); err != nil {
			return err
		}
	}
	if err := r.settleDoubts(c, have && !r.lost); err != nil {
		return err
	}
	r.lost = false
	if have {
		r.compare(rev)
	}
	clear(r.changes)
	for _, change := range rev.Record.Changes {
		if err := r.undo(c, rev, change); err != nil {
			return err
		}
	}
	return nil
}

// unpack reads a revision's layer. It returns false if it is none.
func (r *catalogReplay) unpack(c *chain, rev *revision) (bool, error) {
	invalid := func(err error) (bool, error) {
		return false, c.report(c.finding(LayerInvalid, rev.number, rev.content.Digest, "The layer of revision %d is no catalog of namespace %s: %v.", rev.number, r.namespace, err))
	}
	reading, differ, err := catalog.Read(r.namespace, rev.layer.Data, r.reading)
	if err != nil {
		return invalid(err)
	}
	now := make([]ref, len(differ))
	for i, e := range differ {
		if e.YAML == nil {
			continue
		}
		parsed, err := catalog.Resources(r.namespace, differ[i:i+1])
		if err != nil {
			return invalid(err)
		}
		now[i] = ref{parsed[0].Version, artifact.Resource(parsed[0], e.YAML).Manifest.Digest}
		if stamp, err := rev.Record.Stamp(); err == nil && now[i].version >= stamp {
			return invalid(fmt.Errorf("%s has the version %s, which is not older than the revision", e.Name, now[i].version))
		}
	}
	r.reading = reading
	for i, e := range differ {
		set(r.held, e.Name, now[i])
		r.touched[e.Name] = true
	}
	return true, nil
}

func set(m map[string]ref, name string, to ref) {
	if to.version == 0 {
		delete(m, name)
	} else {
		m[name] = to
	}
}

// compare notes where the layer that was just read differs from the records.
func (r *catalogReplay) compare(rev *revision) {
	if !r.sure {
		// Only what records told since it became unsure can be compared.
		clear(r.touched)
		for name := range r.expected {
			if !r.settled[name] {
				delete(r.expected, name)
			}
		}
		for name := range r.settled {
			r.touched[name] = true
		}
		for name, now := range r.held {
			if !r.settled[name] {
				r.expected[name] = now
			}
		}
		r.sure = true
	}
	for name := range r.touched {
		if want, now := r.expected[name], r.held[name]; want != now {
			r.doubts[name] = doubt{rev.number, rev.Manifest.Digest, want, now, r.changes[name]}
		}
	}
	clear(r.touched)
}

// settleDoubts decides, by the layer that was just read (if there is one), which
// was wrong: the layer after it, or a record.
func (r *catalogReplay) settleDoubts(c *chain, have bool) error {
	for name, d := range r.doubts {
		var err error
		if have && r.held[name] == d.held {
			set(r.expected, name, d.held)
			err = r.unexplained(c, name, d)
		} else {
			err = r.odd(c, name, d)
			r.touched[name] = true
		}
		if err != nil {
			return err
		}
	}
	clear(r.doubts)
	return nil
}

// odd reports a layer that does not hold what the records say.
func (r *catalogReplay) odd(c *chain, name string, d doubt) error {
	f := c.finding(LayerMismatch, d.at, d.manifest, "In the layer of revision %d, %s is %s; by the records it is %s.", d.at, name, d.held, d.expected)
	f.Resource = name
	return c.report(f)
}

// unexplained reports a revision that changed what its record does not say.
func (r *catalogReplay) unexplained(c *chain, name string, d doubt) error {
	f := c.finding(ChangeUnexplained, d.at+1, "", "In revision %d, %s became %s; it was %s, and no change says so.", d.at+1, name, d.expected, d.held)
	if d.changed {
		f = c.finding(ChangeMismatch, d.at+1, "", "Revision %d says that %s was %s; it was %s.", d.at+1, name, d.expected, d.held)
	}
	f.Resource = name
	r.resources.excuse(name)
	return c.report(f)
}

// undo checks a change against what the revision holds, and takes it back.
func (r *catalogReplay) undo(c *chain, rev *revision, change artifact.RecordChange) error {
	name := change.Name
	what, why := r.read(rev, change)
	if why != "" {
		f := c.finding(ChangeInvalid, rev.number, rev.Manifest.Digest, "In revision %d, the change of %s %s.", rev.number, name, why)
		f.Resource = name
		r.resources.excuse(name)
		if err := c.report(f); err != nil {
			return err
		}
	}
	sound := why == ""
	if d, ok := r.doubts[name]; ok && why == "" {
		delete(r.doubts, name)
		var err error
		switch what.live {
		case d.held:
			err = r.unexplained(c, name, d)
		case d.expected:
			err = r.odd(c, name, d)
		default:
			err, sound = r.contradicts(c, rev, name, what.live, d.held), false
		}
		if err != nil {
			return err
		}
	} else if now := r.expected[name]; (r.sure || r.settled[name]) && now != what.live && why == "" {
		sound = false
		if err := r.contradicts(c, rev, name, what.live, now); err != nil {
			return err
		}
	}
	if what.named != (ref{}) {
		r.resources.see(name, what.named, rev, !c.complete)
		if sound && rev.deep && !r.resources.again(name, what.named, change.Operation) {
			r.resources.verify(c, rev.number, name, what.named)
		}
	}
	if what.before != (ref{}) && sound && !rev.thinned && rev.number > c.head.checkpoint+1 {
		r.resources.keep(name, what.before) // the revision before has it, and is not thinned
	}
	set(r.expected, name, what.before)
	r.settled[name], r.touched[name], r.changes[name] = true, true, true
	return nil
}

// contradicts reports a change that is not what its revision holds.
func (r *catalogReplay) contradicts(c *chain, rev *revision, name string, says, is ref) error {
	r.resources.excuse(name)
	f := c.finding(ChangeMismatch, rev.number, rev.Manifest.Digest, "Revision %d says that %s became %s; it became %s.", rev.number, name, says, is)
	f.Resource = name
	return c.report(f)
}

// end settles what the walk left open. Before the first revision there was
// nothing.
func (r *catalogReplay) end(ctx context.Context, c *chain) error {
	if c.complete {
		for name, d := range r.doubts {
			var err error
			if d.held == (ref{}) {
				set(r.expected, name, ref{})
				err = r.unexplained(c, name, d)
			} else {
				err = r.odd(c, name, d)
			}
			if err != nil {
				return err
			}
		}
		clear(r.doubts)
		for name, now := range r.expected {
			f := c.finding(ChangeUnexplained, 1, "", "In revision 1, %s is %s, and no change says how it came there.", name, now)
			f.Resource = name
			if err := c.report(f); err != nil {
				return err
			}
		}
	} else if err := r.settleDoubts(c, false); err != nil {
		return err
	}
	if err := r.resources.wait(); err != nil {
		return err
	}
	return r.resources.check(ctx, c)
}

func (r *catalogReplay) newer(record artifact.Record) {
	for _, change := range record.Changes {
		if change.After == nil {
			continue
		}
		if v, err := intent.ParseVersion(change.After.Version); err == nil {
			r.resources.newer(change.Name, ref{v, change.After.Digest})
		}
	}
}
