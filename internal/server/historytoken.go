package server

import (
	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/ledger"
)

const historyTokenFormat = 1

// historyToken says where a page of a history goes on. Unlike a list's it does
// not expire: what is committed stays.
type historyToken struct {
	Format    int    `json:"f"`
	Namespace string `json:"n"`
	Name      string `json:"h"` // of the resource whose history it is; empty for the namespace's
	Revision  int64  `json:"r"` // the next one
	Digest    string `json:"d"` // of it
	Shown     bool   `json:"s"` // an earlier page had an entry
}

// historyPlace is where a page begins that the parameter continue asks for.
func historyPlace(namespace, name, parameter string) (historyToken, error) {
	if parameter == "" {
		return historyToken{Format: historyTokenFormat, Namespace: namespace, Name: name}, nil
	}
	var t historyToken
	err := unseal(parameter, &t)
	if err == nil && (t.Format != historyTokenFormat || t.Revision < 1) {
		err = errToken
	}
	detail := ""
	switch {
	case err != nil:
		detail = err.Error()
	case t.Namespace != namespace || t.Name != name:
		detail = "belongs to another history"
	default:
		return t, nil
	}
	return historyToken{}, invalidRead(api.Fault{Parameter: "continue", Detail: detail})
}

func (t historyToken) place() ledger.Place {
	return ledger.Place{Number: t.Revision, Digest: digest.Digest(t.Digest)}
}

// next is the parameter continue of the page after one that ended before a
// place; empty if there is none.
func (t historyToken) next(p ledger.Place, shown bool) string {
	if p == (ledger.Place{}) {
		return ""
	}
	t.Revision, t.Digest, t.Shown = p.Number, p.Digest.String(), t.Shown || shown
	return seal(t)
}
