package fsck

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

// deployments are the revisions that deployment records name, by namespace.
type deployments struct {
	mu          sync.Mutex
	byNamespace map[string]deployedRefs
}

// deployedRefs are those of one namespace: for each, a record that names it.
// What the walk of the namespace's chain finds is taken out.
type deployedRefs map[deployedRef]witness

type deployedRef struct {
	revision int64
	digest   digest.Digest
}

type witness struct{ repo, tag string }

// of returns those of a namespace.
func (d *deployments) of(namespace string) deployedRefs { return d.byNamespace[namespace] }

// see takes out what exists.
func (d deployedRefs) see(revision int64, manifest digest.Digest) {
	if len(d) > 0 {
		delete(d, deployedRef{revision, manifest})
	}
}

// deployments reads the deployment records of the clusters.
func (r *run) deployments(ctx context.Context, clusters []string) (*deployments, error) {
	all := &deployments{byNamespace: map[string]deployedRefs{}}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(artifactsAtOnce)
	for _, cluster := range clusters {
		repo := r.layout.Cluster(cluster)
		var tags []string
		var unknown []Finding
		err := r.reader.tags(ctx, repo, func(tag string) {
			v, err := artifact.ParseDeploymentTag(tag)
			switch {
			case err == nil && intent.FormatTime(v.Time()) >= r.since:
				tags = append(tags, tag)
			case err != nil && !ofReferrers.MatchString(tag) && len(unknown) < maxOthers:
				unknown = append(unknown, Finding{Code: UnknownTag, Repository: repo, Tag: tag, Detail: fmt.Sprintf("There is a tag %q, which the ledger does not put.", tag)})
			}
		})
		if err != nil {
			return nil, err
		}
		for _, f := range unknown {
			if err := r.report(f); err != nil {
				return nil, err
			}
		}
		for _, tag := range tags {
			group.Go(func() error { return r.deployment(ctx, all, cluster, repo, tag) })
		}
	}
	return all, group.Wait()
}

// deployment checks one record.
func (r *run) deployment(ctx context.Context, all *deployments, cluster, repo, tag string) error {
	a, err := r.reader.artifact(ctx, repo, tag)
	if err != nil && !isContent(err) {
		return err
	}
	f := Finding{Code: DeploymentDamaged, Repository: repo, Tag: tag, Digest: a.Manifest.Digest}
	if err != nil {
		f.Detail = fmt.Sprintf("The deployment record %s cannot be read: %v.", tag, err)
		return r.suspect(suspect{finding: f, still: func(ctx context.Context) (bool, error) {
			_, err := r.reader.artifact(ctx, repo, tag)
			if err != nil && !isContent(err) {
				return false, err
			}
			return err != nil, nil
		}})
	}
	d, err := artifact.UnpackDeployment(a)
	if err != nil {
		f.Detail = fmt.Sprintf("%s is no deployment record: %v.", tag, err)
		return r.report(f)
	}
	r.counts.deployments.Add(1)
	stamp, err := d.Stamp()
	if err != nil {
		return err // it was read before
	}
	if d.Cluster != cluster || artifact.DeploymentTag(stamp) != tag {
		f.Code, f.Detail = DeploymentMisplaced, fmt.Sprintf("The deployment record %s is of cluster %s at %s (%s).", tag, d.Cluster, d.Time, artifact.DeploymentTag(stamp))
		if err := r.report(f); err != nil {
			return err
		}
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	note := func(namespace string, to artifact.Deployed) {
		if r.o.Namespace != "" && namespace != r.o.Namespace {
			return
		}
		if all.byNamespace[namespace] == nil {
			all.byNamespace[namespace] = deployedRefs{}
		}
		key := deployedRef{to.Revision, to.Digest}
		// Of several records, the first: it is named whatever was read first.
		if w, ok := all.byNamespace[namespace][key]; !ok || tag < w.tag {
			all.byNamespace[namespace][key] = witness{repo, tag}
		}
	}
	for _, t := range d.Transitions {
		note(t.Namespace, t.Deployed)
	}
	for namespace, to := range d.Running {
		note(namespace, to)
	}
	return nil
}

// strange reports the namespaces that only deployment records name.
func (d *deployments) strange(r *run, names []string) error {
	for _, namespace := range slices.Sorted(maps.Keys(d.byNamespace)) {
		if slices.Contains(names, namespace) {
			continue
		}
		if err := r.rest(namespace, d.byNamespace[namespace]); err != nil {
			return err
		}
	}
	return nil
}

// rest reports what deployment records name and no chain has.
func (r *run) rest(namespace string, refs deployedRefs) error {
	var findings []Finding
	for named, w := range refs {
		findings = append(findings, Finding{Code: DeploymentUnknown, Namespace: namespace, Repository: w.repo, Tag: w.tag, Revision: named.revision, Digest: named.digest,
			Detail: fmt.Sprintf("The deployment record %s names %s as revision %d of namespace %s, which never had it.", w.tag, named.digest, named.revision, namespace)})
	}
	slices.SortFunc(findings, Finding.Compare)
	for _, f := range findings {
		if err := r.report(f); err != nil {
			return err
		}
	}
	return nil
}
