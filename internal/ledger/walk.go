package ledger

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"
)

// Bounds of one walk through the history, which is one page of an answer.
const (
	walkRecords = 2000            // commit records that it reads
	walkTime    = 5 * time.Second // after which it reads no more
	walkBytes   = 8 << 20         // of records that are read ahead, or answered
	walkAhead   = 64              // records that are read ahead
	walkBegin   = 8               // as long as it is not known how large they are
)

// Place is where a walk through a namespace's commits goes on: the next
// revision, and the digest that its child names it by. The zero value is the
// head to begin with, and the end where a walk ends.
type Place struct {
	Number int64
	Digest digest.Digest
}

// walk visits a namespace's commits, newest first, from a place on, until
// visit returns false, there are none left, or a bound is reached; ahead is how many it
// reads at first. It returns the place of the next one. Every commit is the one that its child names as
// its parent: CodeCorrupt otherwise.
func (l *Ledger) walk(ctx context.Context, namespace string, from Place, ahead int, visit func(Commit) bool) (Place, error) {
	ns, err := l.namespace(namespace)
	if err != nil {
		return Place{}, err
	}
	head := ns.state.Load().Revision
	given := from != Place{}
	if !given {
		from = Place{head.Number, head.Digest}
	}
	if from.Number < 1 || from.Number > head.Number {
		return Place{}, errOtherHistory(namespace, from)
	}
	begin := from
	started := time.Now()
	for read := 0; from.Number > 0 && read < walkRecords && (read == 0 || time.Since(started) < walkTime); {
		commits, err := l.commitsDown(ctx, namespace, from.Number, min(ahead, walkRecords-read))
		if err != nil {
			return Place{}, err
		}
		bytes := 0
		for _, c := range commits {
			switch {
			case c.Revision.Digest == from.Digest:
			case given && from == begin:
				return Place{}, errOtherHistory(namespace, from)
			default:
				return Place{}, fail(CodeCorrupt, nil, "the history of namespace %s is damaged in the registry: revision %d is %s there, but the one after it names %s as its parent", namespace, from.Number, c.Revision.Digest, from.Digest)
			}
			from = Place{from.Number - 1, c.Parent}
			if !visit(c) {
				return from.orEnd(), nil
			}
			bytes += commitBytes(c)
		}
		read += len(commits)
		ahead = max(1, min(2*ahead, walkAhead, walkBytes*len(commits)/bytes))
	}
	return from.orEnd(), nil
}

func errOtherHistory(namespace string, p Place) *Error {
	return fail(CodeRevisionExpired, nil, "revision %d of namespace %s is not the one that the page before ended with; start again", p.Number, namespace)
}

// orEnd is the place itself, or the end when there is nothing before revision 1
// (what a take-over's first revision names as its parent is no commit).
func (p Place) orEnd() Place {
	if p.Number < 1 {
		return Place{}
	}
	return p
}

// commitsDown reads the commits of a revision and of those before it, n at
// most.
func (l *Ledger) commitsDown(ctx context.Context, namespace string, from int64, n int) ([]Commit, error) {
	commits := make([]Commit, min(int64(n), from))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16) // the registry's client has a limit of its own
	for i := range commits {
		group.Go(func() (err error) {
			commits[i], err = l.Commit(ctx, namespace, from-int64(i))
			return err
		})
	}
	return commits, group.Wait()
}

// CommitPage is a part of a namespace's history, newest first.
type CommitPage struct {
	Commits []Commit
	Next    Place // where it goes on; the zero value after the first commit
}

// Commits returns the commits of a namespace from a place on, newest first: at
// most limit, and fewer where they are large or slow to read. Commits that come
// between two pages change neither. CodeRevisionExpired if the place is of
// another history.
func (l *Ledger) Commits(ctx context.Context, namespace string, from Place, limit int) (CommitPage, error) {
	var page CommitPage
	bytes := 0
	next, err := l.walk(ctx, namespace, from, min(limit, walkBegin), func(c Commit) bool {
		page.Commits = append(page.Commits, c)
		bytes += commitBytes(c)
		return len(page.Commits) < limit && bytes < walkBytes
	})
	if err != nil {
		return CommitPage{}, err
	}
	page.Next = next
	return page, nil
}
