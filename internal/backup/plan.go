package backup

import (
	"fmt"
	"sync"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// plan is what a copy is to hold. The names of its repositories are without
// the prefix.
type plan struct {
	cuts []Cut

	mu    sync.Mutex
	items []*item
	found map[place]*item
	tags  map[string]map[string]digest.Digest // by repository and tag
	held  int                                 // bytes of what the items hold
}

// place is content in a repository.
type place struct {
	repo   string
	digest digest.Digest
}

// item is an artifact of the plan.
type item struct {
	place
	tag      string // to read it by, so that the tag is verified; empty: by its digest
	optional bool   // retention may have removed it

	manifest registry.Manifest // read already, unless its digest is empty
	config   registry.Blob     // read already, unless its digest is empty
}

// maxHeld bounds the bytes that are held of what was read for the plan, so as
// not to read it twice.
const maxHeld = 64 << 20

func newPlan() *plan {
	return &plan{found: map[place]*item{}, tags: map[string]map[string]digest.Digest{}}
}

// add puts an artifact into the plan, under tags.
func (p *plan) add(i item, tags ...string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.found[i.place]
	if !ok {
		size := len(i.manifest.Data) + len(i.config.Data)
		if p.held += size; p.held > maxHeld {
			p.held -= size
			i.manifest, i.config = registry.Manifest{}, registry.Blob{}
		}
		known = &i
		p.found[i.place] = known
		p.items = append(p.items, known)
	}
	known.optional = known.optional && i.optional
	byTag := p.tags[i.repo]
	if byTag == nil {
		byTag = map[string]digest.Digest{}
		p.tags[i.repo] = byTag
	}
	for _, tag := range tags {
		if other, ok := byTag[tag]; ok && other != i.digest {
			return fmt.Errorf("%w: the records of %s give %s to two artifacts, %s and %s", ErrDamaged, i.repo, tag, other, i.digest)
		}
		byTag[tag] = i.digest
	}
	return nil
}

// drop takes an artifact out of the plan that is not there.
func (p *plan) drop(at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for tag, d := range p.tags[at.repo] {
		if d == at.digest {
			delete(p.tags[at.repo], tag)
		}
	}
}
