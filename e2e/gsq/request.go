package gsq

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/spawn"
)

// Answer is an answer of the server, whatever its status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Decode reads the body.
func (a Answer) Decode(into any) error {
	if err := json.Unmarshal(a.Body, into); err != nil {
		return fmt.Errorf("answer %d %.300s: %w", a.Status, a.Body, err)
	}
	return nil
}

// Code is the code of a problem; empty if the answer is none.
func (a Answer) Code() api.Code {
	var p api.Problem
	if json.Unmarshal(a.Body, &p) != nil {
		return ""
	}
	return p.Code
}

// ErrNotSent says that a request did not reach the server.
var ErrNotSent = errors.New("the server did not take the connection")

// Do sends one request, once, and returns the answer. body is JSON, as bytes
// or to be encoded, or nil. An error means that no whole answer came; unless
// it is ErrNotSent, the request may have been performed.
func (s *Server) Do(ctx context.Context, method, path string, body any) (Answer, error) {
	data, ok := body.([]byte)
	if !ok && body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return Answer{}, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader(data))
	if err != nil {
		return Answer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.http.Do(req)
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return Answer{}, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("%s %s: the answer broke off: %w", method, path, err)
	}
	return Answer{resp.StatusCode, resp.Header, answer}, nil
}

// Result is what a command did.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Run runs a gsq command that talks to the server (or, for "init", to its
// registry) and returns when it ended. An exit code other than 0 is no error.
func (s *Server) Run(ctx context.Context, stdin string, args ...string) (Result, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, os.Getenv(binaryVariable), args...)
	cmd.Env = s.environment("GSQ_SERVER="+s.URL, "REGISTRY_HOST="+s.o.Registry)
	cmd.Dir = s.o.Dir
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	spawn.DieTogether(cmd)
	err := s.spawner.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	r := Result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	if _, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("gsq %s: %w: %s", strings.Join(args, " "), err, r.Stderr)
	}
	return r, nil
}
