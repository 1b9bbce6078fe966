package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"gitops-squared.io/gsq/bench/drive"
)

// push pushes all of it, and returns how long that took.
func (p *place) push(ctx context.Context, list []drive.Push) (time.Duration, error) {
	if err := p.connect(ctx); err != nil {
		return 0, err
	}
	return drive.Fan(ctx, pushers, len(list), func(ctx context.Context, i int) error {
		return p.registry.Push(ctx, list[i])
	})
}

// create sends all of it, and returns how long that took.
func (p *place) create(ctx context.Context, list []drive.Request) (time.Duration, error) {
	return p.write(ctx, list, p.product.Create)
}

// update sends all of it, and returns how long that took.
func (p *place) update(ctx context.Context, list []drive.Request) (time.Duration, error) {
	return p.write(ctx, list, p.product.Update)
}

func (p *place) write(ctx context.Context, list []drive.Request, send func(context.Context, drive.Request) error) (time.Duration, error) {
	if err := p.connect(ctx); err != nil {
		return 0, err
	}
	return drive.Fan(ctx, callers, len(list), func(ctx context.Context, i int) error { return send(ctx, list[i]) })
}

// connect opens the connections that are kept, so that what is measured next
// does not wait for them.
func (p *place) connect(ctx context.Context) error {
	_, err := drive.Fan(ctx, callers, 2*callers, func(ctx context.Context, i int) error {
		if i%2 == 0 {
			return p.product.Ready(ctx)
		}
		return p.registry.Ping(ctx)
	})
	return err
}

// fill creates resources first to first+count-1, spread over the namespaces,
// with one call a namespace.
func (p *place) fill(ctx context.Context, namespaces []string, first, count int) error {
	return p.apply(ctx, namespaces, first, count, false)
}

// empty deletes them again.
func (p *place) empty(ctx context.Context, namespaces []string, first, count int) error {
	return p.apply(ctx, namespaces, first, count, true)
}

func (p *place) apply(ctx context.Context, namespaces []string, first, count int, remove bool) error {
	calls := applies(namespaces, first, count, 0, remove)
	for _, namespace := range slices.Sorted(maps.Keys(calls)) {
		call := calls[namespace]
		r, err := p.product.ApplyRequest(namespace, call)
		if err != nil {
			return err
		}
		if err := p.product.Apply(ctx, r, len(call.Resources)+len(call.Deletes)); err != nil {
			return err
		}
	}
	return nil
}

// rate is how many of something happened a second.
func rate(count int, took time.Duration) float64 { return float64(count) / took.Seconds() }

// milliseconds is a time as a number.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
