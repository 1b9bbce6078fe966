package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gitops-squared.io/gsq/bench/drive"
)

// startProfile is how many seconds of a start are profiled.
const startProfile = 3

// profiled is a reading that writes a profile of the server's processor time,
// from its second round on: the first one tells how long to profile. A
// profile's length has to be said before, and idle time adds nothing to it.
func (s *session) profiled(p *place, id string, read reading) reading {
	if s.profiles == "" {
		return read
	}
	var took time.Duration
	return func(ctx context.Context, round int) (float64, error) {
		started := time.Now()
		if round == 0 {
			v, err := read(ctx, round)
			took = time.Since(started)
			return v, err
		}
		done := make(chan error, 1)
		go func() { done <- s.cpuProfile(ctx, p, id, int(math.Ceil(1.2*took.Seconds()))+1) }()
		v, err := read(ctx, round)
		if failed := <-done; err == nil {
			err = failed
		}
		if err == nil {
			err = s.saveProfile(ctx, p, "allocs", id+"-allocs")
		}
		return v, err
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
