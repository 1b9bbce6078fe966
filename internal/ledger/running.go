package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// running is what the clusters run of one namespace.
type running struct {
	digests map[digest.Digest]bool // of catalogs
	read    time.Time
}

// runningRevisions returns the catalogs of a namespace that clusters run now, by
// the newest deployment record of each. What cannot be read is an error.
func (l *Ledger) runningRevisions(ctx context.Context, namespace string) (running, error) {
	now := running{digests: map[digest.Digest]bool{}, read: time.Now()}
	l.mu.RLock()
	sys := l.system
	l.mu.RUnlock()
	for cluster := range sys.content.Load().Clusters {
		d, err := l.newestDeployment(ctx, cluster)
		if err != nil {
			return running{}, fmt.Errorf("what cluster %s runs: %w", cluster, err)
		}
		if r, ok := d.Running[namespace]; ok {
			now.digests[r.Digest] = true
		}
	}
	return now, nil
}

// newestDeployment returns a cluster's last deployment record; the zero value
// if it has none.
func (l *Ledger) newestDeployment(ctx context.Context, cluster string) (artifact.Deployment, error) {
	repo := l.layout.Cluster(cluster)
	tag, err := l.newestDeploymentTag(ctx, repo)
	if err != nil || tag == "" {
		return artifact.Deployment{}, err
	}
	a, err := get(ctx, l.o.Registry, repo, tag)
	if err != nil {
		return artifact.Deployment{}, fmt.Errorf("reading %s of %s: %w", tag, repo, unreadable(err))
	}
	d, err := artifact.UnpackDeployment(a)
	if err == nil && d.Cluster != cluster {
		err = fmt.Errorf("it is of cluster %s", d.Cluster)
	}
	if err != nil {
		return artifact.Deployment{}, fmt.Errorf("%s of %s (%w): %w", tag, repo, err, errDamaged)
	}
	return d, nil
}

// newestDeploymentTag returns the last d tag, empty if there is none. Tags come
// in order, so it asks for those of the last hour first, and goes back in
// strides that grow.
func (l *Ledger) newestDeploymentTag(ctx context.Context, repo string) (string, error) {
	const page = 1000
	since := l.o.Now().Add(-time.Hour)
	for back := time.Hour; ; back *= 4 {
		last, newest := "", ""
		if since.Unix() > 1_000_000_000 { // as long as tags have as many digits, they are in the order of time
			last = artifact.DeploymentTag(intent.Version(since.UnixMicro()))
		}
		begin := last
		for {
			found, err := tags(ctx, l.o.Registry, repo, last, page)
			if err != nil {
				return "", fmt.Errorf("listing the tags of %s: %w", repo, err)
			}
			for _, tag := range found {
				if tag <= last && last != "" {
					return "", fmt.Errorf("listing the tags of %s: %q came after %q: %w", repo, tag, last, registry.ErrUnavailable)
				}
				last = tag
				if _, err := artifact.ParseDeploymentTag(tag); err == nil {
					newest = tag
				}
			}
			if len(found) < page {
				break
			}
		}
		if newest != "" || begin == "" {
			return newest, nil
		}
		since = since.Add(-back)
	}
}
