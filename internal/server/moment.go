package server

import (
	"context"
	"errors"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/ledger"
)

// moment is a point in a namespace's history: the revision of that number, or
// if it is 0, the last one at that time.
type moment struct {
	number int64
	time   time.Time
}

// parseMoment reads r<number> or RFC 3339. The error is what is wrong with it.
func parseMoment(text string) (moment, error) {
	if n, err := artifact.ParseRevisionTag(text); err == nil {
		if n == 0 {
			return moment{}, errors.New("there is no revision before r1")
		}
		return moment{number: n}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return moment{}, errors.New("must be a revision such as r12, or a time in RFC 3339 with its zone, such as 2026-05-04T14:00:00Z (in a URL, + is written %2B)")
	}
	return moment{time: t}, nil
}

// number is that of the revision which a parameter names.
func (s *Server) revisionAt(ctx context.Context, namespace, parameter, text string) (int64, error) {
	m, err := parseMoment(text)
	if err != nil {
		return 0, invalidRead(api.Fault{Parameter: parameter, Detail: err.Error()})
	}
	if m.number > 0 {
		return m.number, nil
	}
	c, err := s.ledger.CommitAt(ctx, namespace, m.time)
	return c.Revision.Number, err
}

// snapshotAt is a namespace's content at the moment that a parameter names.
func (s *Server) snapshotAt(ctx context.Context, namespace, parameter, text string) (ledger.Snapshot, error) {
	number, err := s.revisionAt(ctx, namespace, parameter, text)
	if err != nil {
		return ledger.Snapshot{}, err
	}
	return s.ledger.ListAt(ctx, namespace, number)
}

// entryAt is a resource now, or at a moment unless that is empty.
func (s *Server) entryAt(ctx context.Context, namespace, name, at string) (*ledger.Entry, ledger.Revision, error) {
	if at == "" {
		return s.ledger.Get(namespace, name)
	}
	leave, err := s.visitPast(ctx)
	if err != nil {
		return nil, ledger.Revision{}, err
	}
	defer leave()
	snapshot, err := s.snapshotAt(ctx, namespace, "at", at)
	if err != nil {
		return nil, ledger.Revision{}, err
	}
	if e := snapshot.Find(name); e != nil {
		return e, snapshot.Revision, nil
	}
	return nil, ledger.Revision{}, newProblem(api.CodeNotFound, "%s did not exist in namespace %s at revision %d", name, namespace, snapshot.Revision.Number)
}

const (
	// pastVisitors bounds the requests that read the history at once: each
	// holds a catalog, or as many records.
	pastVisitors = 16
	// pastPatience is how long one waits for another to end.
	pastPatience = 2 * time.Second
)

// visitPast waits until there is room for a reader of the history; leave makes
// it again.
func (s *Server) visitPast(ctx context.Context) (leave func(), err error) {
	patience := time.NewTimer(pastPatience)
	defer patience.Stop()
	select {
	case s.past <- struct{}{}:
		return func() { <-s.past }, nil
	case <-patience.C:
		return nil, overloaded("Too many requests read the history at once; try again.")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
