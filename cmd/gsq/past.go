package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
	"gitops-squared.io/gsq/internal/intent"
)

// defaultHistory is how many entries of a history are shown unless the user
// says so, and maxPage what the API answers at most at once.
const (
	defaultHistory = 100
	maxPage        = 1000
)

// length is how much of a history is shown.
type length struct{ limit int }

func (l *length) addFlag(cmd *cobra.Command) {
	cmd.Flags().IntVar(&l.limit, "limit", defaultHistory, "show at most so many, the newest ones; 0: all")
}

func (l length) check() error {
	if l.limit < 0 {
		return usagef("--limit must be 0 or more, not %d", l.limit)
	}
	return nil
}

// followPages collects entries of a history from the newest on. read returns a
// page and where the next one begins. more says that there are others.
func followPages[T any](l length, read func(client.PageOptions) ([]T, string, error)) (all []T, more bool, err error) {
	for o := (client.PageOptions{}); ; {
		if o.Limit = maxPage; l.limit > 0 {
			o.Limit = min(maxPage, l.limit-len(all))
		}
		page, next, err := read(o)
		if err != nil {
			return nil, false, err
		}
		all = append(all, page...)
		if next == "" {
			return all, false, nil
		}
		if l.limit > 0 && len(all) >= l.limit {
			return all, true, nil
		}
		o.Continue = next
	}
}

// noteMore tells where a history was cut.
func noteMore(w io.Writer, more bool) error {
	if !more {
		return nil
	}
	_, err := fmt.Fprintln(w, "There are older ones; --limit 0 shows all.")
	return err
}

// advisePast is advise for commands that read the history.
func advisePast(err error) error {
	if client.IsCode(err, api.CodeNotFound, api.CodeRevisionExpired) {
		return withHint(err, `"gsq history NAME" lists the versions of a resource, "gsq revisions" the revisions of a namespace`)
	}
	return advise(err)
}

// historyTime writes a time so that --at takes it, and means that moment.
func historyTime(t time.Time) string { return intent.FormatTime(t) }

// actorCell is who made a change, as a table has it.
func actorCell(o api.Origin) string {
	switch {
	case o.Actor == "":
		return "-"
	case !o.ActorVerified:
		return o.Actor + " (unverified)"
	}
	return o.Actor
}
