package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
	"gitops-squared.io/gsq/e2e/cluster"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/internal/intent"
)

// What is declared arrives in the cluster, and what is deleted leaves it, while
// the server is ended and started again between any two steps.
func TestLoop(t *testing.T) {
	t.Parallel()
	for _, p := range places() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s, host := p.start(t)
			l := &loop{t: t, server: s, kube: kubernetes(t), spaces: []string{"loop-" + p.name + "-a", "loop-" + p.name + "-b"}}
			l.walk()
			readHistory(t, host)
		})
	}
}

// loop walks through the life of the resources of two namespaces.
type loop struct {
	t        *testing.T
	server   *gsq.Server
	kube     *cluster.Cluster
	spaces   []string
	restarts int
}

func (l *loop) walk() {
	a, b := l.spaces[0], l.spaces[1]
	l.put(a, "web", api.Spec{Type: "vm", Size: "small", Region: "eu-north-1", Replicas: 2})
	l.put(a, "orders", api.Spec{Type: "database", Size: "large"})
	l.put(b, "web", api.Spec{Type: "bucket", Size: "medium"})
	for _, namespace := range l.spaces {
		exportFlux(l.t, l.server, l.kube, namespace)
	}
	l.step("created")
	seen := l.watch(a)
	created := l.list(a)
	neighbour := l.object(b, "web")

	l.put(a, "web", api.Spec{Type: "vm", Size: "large", Region: "eu-north-1", Replicas: 5})
	l.step("updated")

	l.delete(a, "orders")
	l.step("deleted, and pruned")

	l.delete(a, "web")
	l.step("the last one of a namespace deleted, and pruned")

	l.applyMany(a, 200)
	l.step("200 declared at once")

	l.rollBack(a, created)
	l.step("rolled back: two deleted resources are there again, and 200 are gone")
	l.compareWatch(a, seen)

	if now := l.object(b, "web"); now.Metadata.UID != neighbour.Metadata.UID || now.Metadata.Generation != neighbour.Metadata.Generation {
		l.t.Errorf("%s/web is another object than it was: %+v, before %+v", b, now, neighbour)
	}
}

// step ends the server in turn gently and by force, and waits until both
// namespaces of the cluster hold exactly what the API answered before.
func (l *loop) step(what string) {
	l.t.Helper()
	began := time.Now()
	before := map[string]api.ResourceList{}
	for _, namespace := range l.spaces {
		before[namespace] = l.list(namespace)
	}
	if l.restarts++; l.restarts%2 == 1 {
		if err := l.server.Stop(); err != nil {
			l.t.Fatal(err)
		}
	} else if err := l.server.Kill(); err != nil {
		l.t.Fatal(err)
	}
	if err := l.server.Start(); err != nil {
		l.t.Fatal(err)
	}
	for _, namespace := range l.spaces {
		await(l.t, 2*time.Minute, what+": the cluster holds what was declared in "+namespace, func() error {
			return l.compare(namespace, before[namespace].Resources)
		})
	}
	arrived := time.Since(began)
	awaitReady(l.t, l.server)
	for _, namespace := range l.spaces {
		if got, want := fmt.Sprint(l.list(namespace)), fmt.Sprint(before[namespace]); got != want {
			l.t.Errorf("%s: after a restart %s holds %s, before %s", what, namespace, got, want)
		}
	}
	l.t.Logf("%s: in the cluster after %.1f s, the server ready after %.1f s", what, arrived.Seconds(), time.Since(began).Seconds())
}

func (l *loop) list(namespace string) api.ResourceList {
	l.t.Helper()
	var list api.ResourceList
	call(l.t, l.server, http.StatusOK, http.MethodGet, "/api/v1/namespaces/"+namespace+"/resources", nil, &list)
	return list
}

func (l *loop) compare(namespace string, want []api.Resource) error {
	have, err := objects(l.t, l.kube, namespace)
	if err != nil {
		return err
	}
	var faults []error
	for _, r := range want {
		o, ok := have[r.Name]
		if !ok {
			faults = append(faults, fmt.Errorf("%s is not there", r.Name))
			continue
		}
		delete(have, r.Name)
		faults = append(faults, sameObject(o, r))
	}
	for name := range have {
		faults = append(faults, fmt.Errorf("%s is still there", name))
	}
	return errors.Join(faults...)
}

// sameObject compares what the cluster has with what the API answers.
func sameObject(o object, r api.Resource) error {
	spec := api.Spec{Type: o.Spec.Type, Size: o.Spec.Size, Region: o.Spec.Region, Replicas: o.Spec.Replicas}
	switch {
	case spec != r.Spec:
		return fmt.Errorf("%s is %+v, want %+v", r.Name, spec, r.Spec)
	case o.Metadata.Labels[intent.LabelManagedBy] != intent.ManagedBy:
		return fmt.Errorf("%s has the labels %v", r.Name, o.Metadata.Labels)
	case o.Metadata.Annotations[intent.AnnotationVersion] != r.Version:
		return fmt.Errorf("%s has the annotations %v, want version %s", r.Name, o.Metadata.Annotations, r.Version)
	case o.Metadata.Namespace != r.Namespace:
		return fmt.Errorf("%s is in %s, want %s", r.Name, o.Metadata.Namespace, r.Namespace)
	}
	return nil
}

func (l *loop) object(namespace, name string) object {
	l.t.Helper()
	all, err := objects(l.t, l.kube, namespace)
	if err != nil {
		l.t.Fatal(err)
	}
	return all[name]
}

func (l *loop) put(namespace, name string, spec api.Spec) {
	l.t.Helper()
	a, err := l.server.Do(l.t.Context(), http.MethodPut, "/api/v1/namespaces/"+namespace+"/resources/"+name, api.ResourcePut{Spec: spec})
	if err != nil || a.Status/100 != 2 {
		l.t.Fatalf("putting %s/%s: %v, %d %s", namespace, name, err, a.Status, a.Body)
	}
}

func (l *loop) delete(namespace, name string) {
	l.t.Helper()
	runGSQ(l.t, l.server, "", "delete", name, "-n", namespace)
}

// applyMany declares n resources with one call of the CLI.
func (l *loop) applyMany(namespace string, n int) {
	l.t.Helper()
	var manifests strings.Builder
	for i := range n {
		fmt.Fprintf(&manifests, "---\napiVersion: %s\nkind: %s\nmetadata: {name: many-%03d, namespace: %s}\nspec: {type: bucket, size: small, region: r%d}\n",
			intent.APIVersion, intent.Kind, i, namespace, i)
	}
	before := l.list(namespace).Revision.Number
	runGSQ(l.t, l.server, manifests.String(), "apply", "-n", namespace, "-f", "-")
	if after := l.list(namespace); after.Count != n || after.Revision.Number != before+1 {
		l.t.Errorf("%s holds %d resources at revision %d, want %d at %d", namespace, after.Count, after.Revision.Number, n, before+1)
	}
}

// rollBack gives a namespace the content of an earlier list again. The catalog
// that Flux then reads has the same layer as then.
func (l *loop) rollBack(namespace string, to api.ResourceList) {
	l.t.Helper()
	runGSQ(l.t, l.server, "", "rollback", "-n", namespace, "--to", fmt.Sprintf("r%d", to.Revision.Number), "--yes", "--confirm")
	now := l.list(namespace)
	if fmt.Sprint(now.Resources) != fmt.Sprint(to.Resources) {
		l.t.Errorf("after the rollback %s holds %+v, want %+v", namespace, now.Resources, to.Resources)
	}
}

// watch collects the numbers of a namespace's revisions, from the first one on,
// until the test ends.
func (l *loop) watch(namespace string) func() []int64 {
	l.t.Helper()
	c, err := client.New(client.Options{Server: l.server.URL})
	if err != nil {
		l.t.Fatal(err)
	}
	var mu sync.Mutex
	var seen []int64
	ctx, cancel := context.WithCancel(l.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for commit, err := range c.Watch(ctx, namespace, client.WatchOptions{From: 1}) {
			if err != nil {
				l.t.Errorf("watching %s: %v", namespace, err)
				return
			}
			mu.Lock()
			seen = append(seen, commit.Number)
			mu.Unlock()
		}
	}()
	l.t.Cleanup(func() { cancel(); <-ended })
	return func() []int64 {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

// compareWatch waits until every revision was seen: each once and in order,
// although the server was ended in between.
func (l *loop) compareWatch(namespace string, seen func() []int64) {
	l.t.Helper()
	var want []int64
	for n := int64(1); n <= l.list(namespace).Revision.Number; n++ {
		want = append(want, n)
	}
	await(l.t, time.Minute, "every revision of "+namespace+" is seen once", func() error {
		if got := seen(); !slices.Equal(got, want) {
			return fmt.Errorf("seen are %v, want %v", got, want)
		}
		return nil
	})
}

// exportFlux applies what gsq prints for a namespace.
func exportFlux(t *testing.T, s *gsq.Server, c *cluster.Cluster, namespace string) {
	t.Helper()
	if err := c.Apply(t.Context(), runGSQ(t, s, "", "flux", "export", "-n", namespace, "--interval", "1s")); err != nil {
		t.Fatal(err)
	}
}
