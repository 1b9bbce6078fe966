package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
	"gitops-squared.io/gsq/deploy/crd"
	"gitops-squared.io/gsq/internal/fsck"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
)

// repairOf is what became of one tag.
type repairOf struct {
	Namespace string `json:"namespace"`
	Resource  string `json:"resource,omitempty"`
	Tag       string `json:"tag"`
	Result    string `json:"result"` // repaired, right or refused
	Digest    string `json:"digest,omitempty"`
	Detail    string `json:"detail,omitempty"`
}

const resultRefused = api.RepairRefused

// repairer puts tags right. begin is called before the first repair, if there
// is any.
type repairer interface {
	begin(ctx context.Context) (end func(), err error)
	repair(ctx context.Context, namespace string, tags []api.RepairTag) ([]api.RepairedTag, error)
}

// repairer returns who repairs: the server, or this process, if the registry
// was named itself.
func (place fsckPlace) repairer(p process, o fsckOptions, log *slog.Logger) (repairer, error) {
	if !place.direct {
		c, err := o.connection.connect()
		return serverRepairer{c}, err
	}
	schema, err := intent.NewSchema(crd.PlatformResource)
	if err != nil {
		return nil, err
	}
	return &ownRepairer{p: p, place: place, yes: o.yes, log: log, schema: schema}, nil
}

// repairSlice is how many tags are repaired with one request.
const repairSlice = 200

// repair repairs what findings say can be. What a namespace refuses as a whole
// is noted; every other error ends it.
func repair(ctx context.Context, by repairer, found []fsck.Finding) ([]repairOf, error) {
	tags := map[string][]api.RepairTag{}
	var namespaces []string // in the order of the findings
	for _, f := range found {
		if f.Repair == nil {
			continue
		}
		if tags[f.Namespace] == nil {
			namespaces = append(namespaces, f.Namespace)
		}
		tags[f.Namespace] = append(tags[f.Namespace], api.RepairTag{Resource: f.Repair.Resource, Tag: f.Repair.Tag})
	}
	if len(namespaces) == 0 {
		return nil, nil
	}
	end, err := by.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	var done []repairOf
	for _, namespace := range namespaces {
		for rest := tags[namespace]; len(rest) > 0; {
			slice := rest[:min(repairSlice, len(rest))]
			rest = rest[len(slice):]
			results, err := by.repair(ctx, namespace, slice)
			why, told := refusal(err)
			if err != nil && !told {
				return done, fmt.Errorf("repairing namespace %s: %w", namespace, err)
			}
			for _, t := range slice {
				if told {
					done = append(done, repairOf{Namespace: namespace, Resource: t.Resource, Tag: t.Tag, Result: string(resultRefused), Detail: why})
				}
			}
			for _, r := range results {
				done = append(done, repairOf{namespace, r.Resource, r.Tag, string(r.Result), r.Digest, r.Detail})
			}
		}
	}
	return done, nil
}

// refusal is what a server or a ledger said instead of repairing; told is false
// for every other error.
func refusal(err error) (why string, told bool) {
	if p, ok := errors.AsType[*api.Problem](err); ok && p.Code != "" {
		return p.Error(), true
	}
	if e, ok := errors.AsType[*ledger.Error](err); ok {
		return e.Message, true
	}
	return "", false
}

// serverRepairer has the server do it.
type serverRepairer struct{ *client.Client }

func (serverRepairer) begin(context.Context) (func(), error) { return func() {}, nil }

func (s serverRepairer) repair(ctx context.Context, namespace string, tags []api.RepairTag) ([]api.RepairedTag, error) {
	answer, err := s.Repair(ctx, namespace, tags)
	if err != nil {
		return nil, err
	}
	return answer.Tags, nil
}

// ownRepairer is a ledger of this process, which takes the writer claim.
type ownRepairer struct {
	p      process
	place  fsckPlace
	yes    bool
	log    *slog.Logger
	schema *intent.Schema
	ledger *ledger.Ledger
}

// readyWait is how long a ledger may take to load; taking the claim takes 15 s.
const readyWait = 5 * time.Minute

func (r *ownRepairer) begin(ctx context.Context) (func(), error) {
	if !r.yes {
		yes, err := r.p.ask(ctx, fmt.Sprintf("To repair, gsq takes the writer claim of %s under %s. A server that runs on it writes nothing more until it is restarted.\nTake it?", r.place.name, r.place.prefix))
		if err != nil {
			return nil, fmt.Errorf("not repaired: nobody answered: %v", err)
		}
		if !yes {
			return nil, errors.New("not repaired: it was not confirmed; --yes confirms it, and --server URL besides --registry has the server do it")
		}
	}
	fmt.Fprintln(r.p.Err, "This takes about 15 seconds: a writer that may still be at work has to show itself.")
	l, err := ledger.New(ledger.Options{Registry: r.place.registry, Prefix: r.place.prefix, Schema: r.schema, Log: r.log})
	if err != nil {
		return nil, err
	}
	r.ledger = l
	run, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := l.Run(run); err != nil {
			r.log.Error("the ledger ended", "error", err)
		}
	}()
	end := func() {
		cancel()
		<-ended
	}
	limit, stop := context.WithTimeout(ctx, readyWait)
	defer stop()
	for l.Ready() != nil {
		select {
		case <-limit.Done():
			err := l.Ready()
			end()
			return nil, errors.Join(context.Cause(limit), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return end, nil
}

func (r *ownRepairer) repair(ctx context.Context, namespace string, tags []api.RepairTag) ([]api.RepairedTag, error) {
	asked := make([]ledger.RepairTag, len(tags))
	for i, t := range tags {
		asked[i] = ledger.RepairTag{Resource: t.Resource, Tag: t.Tag}
	}
	done, err := r.ledger.Repair(ctx, namespace, asked)
	if err != nil {
		return nil, err
	}
	results := make([]api.RepairedTag, len(done))
	for i, d := range done {
		results[i] = api.RepairedTag{Resource: d.Resource, Tag: d.Tag, Result: api.RepairResult(d.Result), Digest: d.Digest.String(), Detail: d.Detail}
	}
	return results, nil
}
