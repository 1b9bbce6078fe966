package intent_test

import (
	"testing"

	"gitops-squared.io/gsq/internal/intent"
)

func TestDeclaration(t *testing.T) {
	t.Parallel()
	got, err := intent.Declaration(intent.Ref{Namespace: "shop", Name: "web"}, intent.Spec{Type: "vm", Size: "small", Replicas: 2})
	if err != nil {
		t.Fatal(err)
	}
	const want = `apiVersion: gitops-squared.io/v1alpha1
kind: PlatformResource
metadata:
  name: web
  namespace: shop
spec:
  replicas: 2
  size: small
  type: vm
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
