package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"gitops-squared.io/gsq/api"
)

func TestAsk(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{
		"y\n": true, "Yes\n": true, " yes ": true, "": false, "\n": false, "n\n": false, "no\n": false, "yesterday\n": false,
		strings.Repeat(" ", 200) + "y\n": false,
	} {
		var out strings.Builder
		got, err := process{In: strings.NewReader(answer), Err: &out}.ask(t.Context(), "Sure?")
		if err != nil || got != want || !strings.HasPrefix(out.String(), "Sure? [y/N] ") {
			t.Errorf("%q: %v, %v, printed %q", answer, got, err, out.String())
		}
	}
	broken := errors.New("broken")
	if yes, err := (process{In: iotest.ErrReader(broken), Err: &strings.Builder{}}).ask(t.Context(), "Sure?"); yes || !errors.Is(err, broken) {
		t.Errorf("%v, %v", yes, err)
	}
	if (process{In: strings.NewReader("y\n")}).interactive() {
		t.Error("a text is taken for a terminal")
	}
}

// A question that nobody answers ends with the context, which a signal ends.
func TestAQuestionEndsWithTheContext(t *testing.T) {
	t.Parallel()
	in, answer := io.Pipe()
	defer answer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan struct{})
	p := process{In: in, Err: writerFunc(func(b []byte) (int, error) {
		if strings.HasSuffix(string(b), "[y/N] ") {
			close(asked)
		}
		return len(b), nil
	})}
	go func() {
		<-asked
		cancel()
	}()
	dry := &api.RollbackResponse{Namespace: "shop"}
	if err := p.agree(ctx, rollbackOptions{to: "r2"}, dry); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(b []byte) (int, error) { return w(b) }

// Before a namespace is rolled back, what changes is shown, on standard error,
// and only a yes lets it happen.
func TestAgreeToARollback(t *testing.T) {
	t.Parallel()
	dry := &api.RollbackResponse{Namespace: "shop", RolledBack: 2, Changes: []api.RollbackChange{
		{Name: "db", Operation: api.RolledBack, Deleted: true, Before: &api.Spec{Type: "database", Size: "small"}},
		{Name: "same", Operation: api.Unchanged, Before: &api.Spec{Type: "vm", Size: "small"}, After: &api.Spec{Type: "vm", Size: "small"}},
		{Name: "web", Operation: api.RolledBack, Before: &api.Spec{Type: "vm", Size: "large"}, After: &api.Spec{Type: "vm", Size: "small"}},
	}}
	for answer, agrees := range map[string]bool{"yes\n": true, "no\n": false, "": false} {
		var out, shown strings.Builder
		p := process{In: strings.NewReader(answer), Out: &out, Err: &shown}
		if err := p.agree(t.Context(), rollbackOptions{to: "r2"}, dry); (err == nil) != agrees {
			t.Errorf("%q: %v", answer, err)
		}
		for _, want := range []string{"- shop/db would be deleted", "~ shop/web would be updated", "+   size: small", "back to r2? To change: 2 resources, to delete among them: 1. [y/N]"} {
			if !strings.Contains(shown.String(), want) {
				t.Errorf("%q is not shown:\n%s", want, shown.String())
			}
		}
		if out.Len() > 0 || strings.Contains(shown.String(), "same") {
			t.Errorf("printed %q, shown %q", out.String(), shown.String())
		}
	}
}
