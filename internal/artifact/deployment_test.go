package artifact_test

import (
	"reflect"
	"strings"
	"testing"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

func TestDeploymentIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	want := deployment()
	a, err := want.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := artifact.UnpackDeployment(a); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, error %v", got, err)
	}
	if _, err := artifact.UnpackDeployment(goldens(t)["writer"]); err == nil {
		t.Error("a writer claim was taken for a deployment record")
	}
}

func TestPackRefusesAnIncompleteDeployment(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*artifact.Deployment)
		want string
	}{
		"another format":     {func(d *artifact.Deployment) { d.Format = 2 }, "format version 2"},
		"no cluster":         {func(d *artifact.Deployment) { d.Cluster = "" }, "not the name of a cluster"},
		"no time":            {func(d *artifact.Deployment) { d.Time = "now" }, "is not a time"},
		"no transition":      {func(d *artifact.Deployment) { d.Transitions = nil }, "are required"},
		"nothing running":    {func(d *artifact.Deployment) { d.Running = nil }, "are required"},
		"a namespace twice":  {func(d *artifact.Deployment) { d.Transitions[1].Namespace = "default" }, "namespaces must increase"},
		"no namespace":       {func(d *artifact.Deployment) { d.Transitions[0].Namespace = "" }, "not the name of a namespace"},
		"an unknown state":   {func(d *artifact.Deployment) { d.Transitions[0].State = "lost" }, `unknown state "lost"`},
		"a message, no text": {func(d *artifact.Deployment) { d.Transitions[0].Message = "\xff" }, "UTF-8"},
		"no digest":          {func(d *artifact.Deployment) { d.Running["default"] = artifact.Deployed{Revision: 1} }, "namespace default"},
		"a negative number":  {func(d *artifact.Deployment) { d.Transitions[1].Revision = -1 }, "revision -1"},
	} {
		d := deployment()
		c.edit(&d)
		if _, err := d.Pack(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestTagsOfCheckpointsAndDeployments(t *testing.T) {
	t.Parallel()
	if n, err := artifact.ParseCheckpointTag(artifact.CheckpointTag(12)); err != nil || n != 12 {
		t.Error(n, err)
	}
	if v, err := artifact.ParseDeploymentTag(artifact.DeploymentTag(revisionAt)); err != nil || v != revisionAt {
		t.Error(v, err)
	}
	for _, tag := range []string{"", "c", "c0", "c01", "r1", "c-1", "c1 "} {
		if _, err := artifact.ParseCheckpointTag(tag); err == nil {
			t.Errorf("%q was taken", tag)
		}
	}
	for _, tag := range []string{"", "d", "d0", "d01", "v1", "d-1", "d1x"} {
		if _, err := artifact.ParseDeploymentTag(tag); err == nil {
			t.Errorf("%q was taken", tag)
		}
	}
}

func TestSystemRefusesBadSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*artifact.System)
		want string
	}{
		"one revision":       {retained(artifact.Retention{Revisions: 1}), "1 revisions"},
		"no revisions":       {retained(artifact.Retention{Seconds: 1}), "0 revisions"},
		"too many":           {retained(artifact.Retention{Revisions: artifact.MaxRetentionRevisions + 1}), "1000001 revisions"},
		"a negative time":    {retained(artifact.Retention{Revisions: 2, Seconds: -1}), "negative"},
		"too long":           {retained(artifact.Retention{Revisions: 2, TombstonesSeconds: artifact.MaxRetentionSeconds + 1}), "hundred years"},
		"no clusters":        {func(s *artifact.System) { s.Clusters = map[string]artifact.SystemCluster{} }, intent.ErrNotCanonical.Error()},
		"a cluster's name":   {func(s *artifact.System) { s.Clusters = map[string]artifact.SystemCluster{"A b": {}} }, "not the name of a cluster"},
		"a cluster, no time": {func(s *artifact.System) { s.Clusters = map[string]artifact.SystemCluster{"a": {}} }, "cluster a"},
	} {
		s := system()
		c.edit(&s)
		if _, err := s.Encode(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func retained(r artifact.Retention) func(*artifact.System) {
	return func(s *artifact.System) {
		n := s.Namespaces["default"]
		n.Retention = r
		s.Namespaces["default"] = n
	}
}
