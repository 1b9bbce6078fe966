package fsck

import (
	"fmt"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

// changed is what a change says.
type changed struct {
	before ref // what was live before
	live   ref // what is live after it
	named  ref // the version that it made, or went back to; a tombstone's, too
}

// read reads a change, and says what is wrong with it by itself.
func (r *catalogReplay) read(rev *revision, change artifact.RecordChange) (what changed, why string) {
	parse := func(v *artifact.VersionRef) ref {
		if v == nil {
			return ref{}
		}
		version, err := intent.ParseVersion(v.Version)
		if err != nil && why == "" {
			why = fmt.Sprintf("names the version %q, which is none", v.Version)
		}
		return ref{version, v.Digest}
	}
	outside := rev.number != 1 || rev.Record.Parent == ""
	switch {
	case outside:
	case change.Operation == opDrop && change.After == nil:
		return changed{}, ""
	case change.Operation == opTakeOver:
		change.Before = nil // it is the proof of concept's
	}
	what.before, what.named = parse(change.Before), parse(change.After)
	if why != "" {
		return changed{before: what.before}, why
	}
	what.live = what.named
	is, after := intent.Ref{Namespace: r.namespace, Name: change.Name}, what.named
	stamp, err := rev.Record.Stamp()
	switch {
	case err != nil:
		why = err.Error()
	case !intent.IsLabel(change.Name):
		why = "is of something whose name no resource can have"
	case after == (ref{}):
		why = "names no version after it"
	case after.version >= stamp:
		why = fmt.Sprintf("made the version %s, which is not older than the revision", after.version)
	case change.Operation == opCreate && change.Before != nil:
		why = fmt.Sprintf("created it, but names %s before it", what.before)
	case (change.Operation == opUpdate || change.Operation == opDelete) && change.Before == nil:
		why = fmt.Sprintf("has the operation %s, but names nothing before it", change.Operation)
	}
	if why != "" {
		return changed{before: what.before, live: what.live}, why
	}
	switch change.Operation {
	case opCreate, opUpdate:
	case opTakeOver:
		if outside {
			return changed{before: what.before, live: what.live}, "is a take-over, which only a first revision can be"
		}
	case opDelete, opRollback:
		// A rollback to when it did not exist makes a tombstone, too.
		tombstone, err := artifact.Tombstone(is, after.version)
		isTombstone := err == nil && tombstone.Manifest.Digest == after.digest
		switch {
		case isTombstone:
			what.live = ref{}
		case change.Operation == opDelete:
			return changed{before: what.before}, fmt.Sprintf("deleted it, but %s is not its tombstone", after)
		}
	default:
		return changed{before: what.before, live: what.live}, fmt.Sprintf("has the operation %q, which a catalog does not have", change.Operation)
	}
	return what, ""
}
