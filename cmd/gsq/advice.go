package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
	"gitops-squared.io/gsq/cmd/gsq/internal/manifest"
)

// withHint adds to an error what to do next.
func withHint(err error, format string, args ...any) error {
	return fmt.Errorf("%w\nhint: %s", err, fmt.Sprintf(format, args...))
}

// advise adds what to do next to an error of the client, if that is known.
func advise(err error) error {
	if errors.Is(err, context.Canceled) {
		return withHint(fmt.Errorf("interrupted: %w", err), `a write may have been done; "gsq get" tells, and repeating the command is safe`)
	}
	if errors.Is(err, client.ErrUnreachable) {
		return withHint(err, "is the server running (gsq serve)? --server or GSQ_SERVER name another one")
	}
	problem, ok := errors.AsType[*api.Problem](err)
	if !ok {
		return err
	}
	switch problem.Code {
	case api.CodeNotFound:
		return withHint(err, `"gsq get -n NAMESPACE" lists what there is`)
	case api.CodeNamespaceNotFound:
		return withHint(err, `"gsq namespaces" lists what there is; the first apply creates a namespace`)
	case api.CodeConfirm:
		return withHint(unconfirmed(err), `"gsq diff --prune" shows what would be deleted; --confirm does it`)
	case api.CodeQueueFull, api.CodeOverloaded, api.CodeRegistryUnavailable, api.CodeNotReady:
		return withHint(err, "nothing changed; try again")
	case api.CodeOutcomeUnknown:
		return withHint(err, `it may have been done or not; "gsq get" tells, and repeating the command is safe`)
	case "":
		return withHint(err, "--server or GSQ_SERVER must name a gsq server")
	}
	return err
}

// unconfirmed is an error of the deletion guard without what it tells callers of
// the API to send: of gsq that is a flag.
func unconfirmed(err error) error {
	text, _, cut := strings.Cut(err.Error(), " (repeat the request with")
	if !cut {
		return err
	}
	return &located{text: text, cause: err}
}

// locate says where in the input the faults of a problem lie: their pointers
// lead into an apply request, which was made of these declarations.
func locate(err error, declarations []manifest.Declaration) error {
	problem, ok := errors.AsType[*api.Problem](err)
	if !ok || len(problem.Errors) == 0 || len(declarations) == 0 {
		return err
	}
	var b strings.Builder
	b.WriteString(problem.Detail)
	for _, fault := range problem.Errors {
		b.WriteString("\n  ")
		if d, rest, ok := declarationOf(fault.Pointer, declarations); ok {
			fmt.Fprintf(&b, "%s: %s: %s", d.At(rest), strings.TrimSuffix(d.Name+" "+rest, " "), fault.Detail)
		} else {
			b.WriteString(fault.String())
		}
	}
	return &located{text: b.String(), cause: err}
}

// located is an error in other words.
type located struct {
	text  string
	cause error
}

func (l *located) Error() string { return l.text }
func (l *located) Unwrap() error { return l.cause }

// declarationOf splits a pointer such as /resources/2/spec/size into the
// declaration and the pointer into it.
func declarationOf(pointer string, declarations []manifest.Declaration) (manifest.Declaration, string, bool) {
	parts := strings.SplitN(pointer, "/", 4)
	if len(parts) < 3 || parts[0] != "" || parts[1] != "resources" && parts[1] != "deletes" {
		return manifest.Declaration{}, "", false
	}
	i, err := strconv.Atoi(parts[2])
	if err != nil || i < 0 || i >= len(declarations) {
		return manifest.Declaration{}, "", false
	}
	rest := ""
	if len(parts) == 4 {
		rest = "/" + parts[3]
	}
	return declarations[i], rest, true
}
