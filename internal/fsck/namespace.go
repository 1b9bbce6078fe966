package fsck

import (
	"context"
	"fmt"

	"gitops-squared.io/gsq/internal/artifact"
)

// namespace checks everything of a namespace that the system catalog has in
// this state: its chain, its resources, what clusters ran of it.
func (r *run) namespace(ctx context.Context, name, state string, deployed deployedRefs) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resources := newResources(ctx, name)
	defer resources.wait() // its error is the check's, unless that ended with another
	c := r.newChain(name, r.layout.Catalog(name), artifact.ScopeNamespace(name), artifact.TypeFluxConfig, artifact.TypeFluxContent, newCatalogReplay(name, resources))
	c.deployed, c.closed = deployed, state == artifact.StateDeleted
	if err := c.check(ctx); err != nil {
		cancel()
		return err
	}
	if c.head.number == 0 && len(c.tags.revisions) == 0 && (state == artifact.StateActive || state == artifact.StateDeleted) {
		f := Finding{Code: LatestMissing, Namespace: name, Repository: c.repo, Tag: artifact.Latest,
			Detail: fmt.Sprintf("The namespace is %s, but it has no catalog at all.", state)}
		return c.suspect(suspect{finding: f, still: func(ctx context.Context) (bool, error) {
			now, err := c.named(ctx, c.repo, artifact.Latest)
			return now == "", err
		}})
	}
	if !c.complete {
		return nil // what is missing may be what clusters ran
	}
	return r.rest(name, deployed)
}
