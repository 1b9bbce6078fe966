package diff

import "gitops-squared.io/gsq/internal/intent"

// Side is a resource at one of the two moments.
type Side struct {
	Version string       // stands in the text's header; may be empty
	Spec    *intent.Spec // nil: it does not exist
}

// Specs compares what is declared of a resource at two moments: the fields that
// differ, whose pointers begin with /spec, and the text, both empty if nothing
// does.
func Specs(ref intent.Ref, from, to Side) ([]Change, string, error) {
	changes, err := Fields(from.value(), to.value())
	if err != nil || len(changes) == 0 {
		return nil, "", err
	}
	a, err := from.text(ref)
	if err != nil {
		return nil, "", err
	}
	b, err := to.text(ref)
	if err != nil {
		return nil, "", err
	}
	return changes, Unified(a, b), nil
}

func (s Side) value() any {
	if s.Spec == nil {
		return nil
	}
	return map[string]any{"spec": s.Spec}
}

func (s Side) text(ref intent.Ref) (Text, error) {
	if s.Spec == nil {
		return Text{Name: "/dev/null"}, nil // as patches say it
	}
	t := Text{Name: ref.String()}
	if s.Version != "" {
		t.Name += " " + s.Version
	}
	var err error
	t.Data, err = intent.Declaration(ref, *s.Spec)
	return t, err
}
