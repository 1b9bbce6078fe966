package server

import (
	"context"
	"net/http"
	"time"

	"gitops-squared.io/gsq/api"
)

// pingTimeout bounds how long readiness waits for the registry.
const pingTimeout = 2 * time.Second

func (s *Server) health(context.Context, *noInput) (*healthOutput, error) {
	return &healthOutput{Body: api.Health{Status: "ok"}}, nil
}

// readiness answers 503 with the reason while the server stops, the ledger is
// not loaded or may not write, or the registry does not answer.
func (s *Server) readiness(ctx context.Context, _ *noInput) (*readinessOutput, error) {
	out := &readinessOutput{Status: http.StatusOK, Body: api.Readiness{Status: "ok"}}
	check := func(name string, err error) {
		c := api.Check{Name: name, Status: "ok"}
		if err != nil {
			c.Status, c.Detail = "failed", err.Error()
			out.Status, out.RetryAfter, out.Body.Status = http.StatusServiceUnavailable, "5", "unavailable"
		}
		out.Body.Checks = append(out.Body.Checks, c)
	}
	var stopping error
	if s.draining.Load() {
		stopping = errDraining
	}
	check("server", stopping)
	check("ledger", s.ledger.Ready())
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	check("registry", s.ledger.Ping(ctx))
	return out, nil
}
