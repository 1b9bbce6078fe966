package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gitops-squared.io/gsq/bench/drive"
)

const (
	startProfile = 3  // seconds of a start that are profiled
	readProfile  = 10 // seconds of anything else
)

// profiled is a reading that writes a profile of the server's processor time:
// in its last round, the product is measured again and again as long as the
// profile lasts, and the last value counts.
func (s *session) profiled(p *place, id string, read reading) reading {
	if s.profiles == "" {
		return read
	}
	return func(ctx context.Context, round int) (float64, error) {
		if round < s.sizes.rounds-1 {
			return read(ctx, round)
		}
		done := make(chan error, 1)
		go func() { done <- s.cpuProfile(ctx, p, id, readProfile) }()
		for again := round; ; again++ { // a round that nothing was written in yet
			v, err := read(ctx, again)
			if err != nil {
				return 0, errors.Join(err, <-done)
			}
			select {
			case err := <-done:
				return v, errors.Join(err, s.saveProfile(ctx, p, "allocs", id+"-allocs"))
			default:
			}
		}
	}
}

// profiledStart is profiled for a reading that starts the server.
func (s *session) profiledStart(p *place, id string, read reading) reading {
	if s.profiles == "" {
		return read
	}
	return func(ctx context.Context, round int) (float64, error) {
		done := make(chan error, 1)
		go func() {
			for ctx.Err() == nil { // the server that answers now is about to stop
				if s.cpuProfile(ctx, p, id, startProfile) == nil {
					break
				}
				time.Sleep(time.Millisecond)
			}
			done <- ctx.Err()
		}()
		v, err := read(ctx, round)
		if failed := <-done; err == nil {
			err = failed
		}
		return v, err
	}
}

// heapProfile writes what the server holds in memory.
func (s *session) heapProfile(ctx context.Context, p *place, id string) error {
	if s.profiles == "" {
		return nil
	}
	return s.saveProfile(ctx, p, "heap", id+"-heap")
}

func (s *session) cpuProfile(ctx context.Context, p *place, id string, seconds int) error {
	return s.saveProfile(ctx, p, fmt.Sprintf("profile?seconds=%d", seconds), id+"-cpu")
}

func (s *session) saveProfile(ctx context.Context, p *place, what, id string) error {
	a, err := s.client.Send(ctx, drive.Request{Method: http.MethodGet, URL: p.debug + what}, http.StatusOK)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.profiles, strings.ReplaceAll(id, "/", "-")+".pprof"), a.Body, 0o600)
}
