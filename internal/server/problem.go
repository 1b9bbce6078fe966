package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
)

// maxFaults bounds how many faults an answer lists.
const maxFaults = 1000

// problem is an api.Problem on its way to the caller, as the error of a
// handler: it tells huma status, headers and content type.
type problem struct {
	api.Problem
}

func newProblem(code api.Code, format string, args ...any) *problem {
	k, ok := kindOf(code)
	if !ok {
		code = api.CodeInternal
		k, _ = kindOf(code)
	}
	return &problem{api.Problem{
		Type: api.ProblemTypePrefix + string(code), Title: k.title, Status: k.status, Code: code,
		Detail: fmt.Sprintf(format, args...), RetryAfter: k.retryAfter,
	}}
}

// with adds faults, in a number that can be answered.
func (p *problem) with(faults []api.Fault) *problem {
	if more := len(faults) - maxFaults; more > 0 {
		p.Detail += fmt.Sprintf("; %d more faults are not listed", more)
		faults = faults[:maxFaults]
	}
	p.Errors = faults
	return p
}

// invalid is the problem of a write with faults.
func invalid(faults []api.Fault) *problem {
	return newProblem(api.CodeInvalid, "The request has %s; nothing changed.", counted(faults)).with(faults)
}

// invalidRead is the problem of a read with faults.
func invalidRead(faults ...api.Fault) *problem {
	return newProblem(api.CodeInvalid, "The request has %s.", counted(faults)).with(faults)
}

func counted(faults []api.Fault) string {
	if len(faults) == 1 {
		return "a fault"
	}
	return fmt.Sprintf("%d faults", len(faults))
}

func (p *problem) Error() string { return p.Problem.Error() }

// GetStatus implements huma.StatusError.
func (p *problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *problem) ContentType(string) string { return api.ProblemMediaType }

// GetHeaders implements huma.HeadersError.
func (p *problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	return h
}

// write answers a request with the problem.
func (p *problem) write(w http.ResponseWriter) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", api.ProblemMediaType)
	p.Instance = instanceOf(w)
	w.WriteHeader(p.Status)
	_ = encode(w, p.Problem) // fails only if the caller has left
}

// problemOf turns the ledger's errors into problems. Faults is how the caller
// wrote what the ledger calls /changes.
func (s *Server) problemOf(ctx context.Context, err error, faults translation) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*ledger.Error](err); ok {
		if found, ok := errors.AsType[intent.Invalid](e); ok {
			return invalid(faults.translate(found))
		}
		if e.Err != nil {
			s.log.WarnContext(ctx, "the ledger refused a request", "code", e.Code, "cause", e.Err)
		}
		return newProblem(api.Code(e.Code), "%s", e.Message).with(partsOf(e))
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return newProblem(api.CodeOutcomeUnknown, "the request ended before its outcome was known; repeating it is safe")
	}
	s.log.ErrorContext(ctx, "unexpected error", "error", err)
	return newProblem(api.CodeInternal, "an unexpected error; the server's log has it under this request's id")
}

// partsOf lists the errors of which a ledger's error consists, if it stands
// for several changes that cannot be made.
func partsOf(e *ledger.Error) []api.Fault {
	joined, ok := e.Err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var faults []api.Fault
	for _, err := range joined.Unwrap() {
		if part, ok := errors.AsType[*ledger.Error](err); ok {
			faults = append(faults, api.Fault{Detail: part.Message})
		}
	}
	return faults
}

// finish is huma's last step before a body is written. It gives problems their
// instance, and hides errors of huma's own, which only a defect can cause
// because admit has checked the request.
func (s *Server) finish(ctx huma.Context, _ string, v any) (any, error) {
	_, w := humago.Unwrap(ctx)
	switch v := v.(type) {
	case *problem:
		v.Instance = instanceOf(w)
		return &v.Problem, nil
	case *huma.ErrorModel:
		s.log.ErrorContext(ctx.Context(), "huma refused a request that was admitted", "error", v)
		p := newProblem(api.CodeInternal, "the request could not be read")
		p.Status, p.Instance = v.Status, instanceOf(w)
		return &p.Problem, nil
	}
	return v, nil
}
