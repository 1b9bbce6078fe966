package ledger

import "gitops-squared.io/gsq/internal/artifact"

// FitCheckpoints bounds the revisions of one checkpoint, for histories that are
// shorter than a real one would be.
func (l *Ledger) FitCheckpoints(most int) {
	l.fits = func(revisions []artifact.Thinned) int { return min(most, artifact.Fits(revisions)) }
}
