package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"gitops-squared.io/gsq/deploy/crd"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
)

// A fault that the schema finds in the declaration as a whole has no pointer
// of its own. It must not be lost.
func TestAFaultWithoutAPlaceRefusesTheRequest(t *testing.T) {
	t.Parallel()
	definition := bytes.Replace(crd.PlatformResource, []byte("                  maximum: 10\n"), nil, 1)
	unbounded, err := intent.NewSchema(definition)
	if err != nil || len(definition) == len(crd.PlatformResource) {
		t.Fatal(err)
	}
	bubble(t, func(t *testing.T) {
		p := start(t, initialised(t), func(o *ledger.Options) { o.Schema = unbounded })
		change := put("web", "small")
		change.Spec.Replicas = 1 << 40 // no int32
		_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{change}})
		var faults intent.Invalid
		if code(err) != ledger.CodeInvalid || !errors.As(err, &faults) || len(faults) != 1 || faults[0].Pointer != "/changes/0" {
			t.Errorf("error %v, faults %q", err, faults)
		}
	})
}

func TestActorAndReasonMustBeText(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		p := start(t, initialised(t))
		_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Actor: "a\xff", Reason: "\xff", Changes: []ledger.Change{put("web", "small")}})
		var faults intent.Invalid
		if code(err) != ledger.CodeInvalid || !errors.As(err, &faults) || len(faults) != 2 || faults[0].Pointer != "/actor" || faults[1].Pointer != "/reason" {
			t.Errorf("error %v, faults %q", err, faults)
		}
	})
}
