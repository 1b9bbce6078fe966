package server

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"gitops-squared.io/gsq/api"
)

// maxActorBytes is what the ledger keeps of an actor.
const maxActorBytes = 256

// actor checks the header that says who writes, where the operation reads it.
func (c *contract) actor(r *http.Request) []api.Fault {
	given := r.Header.Values(api.HeaderActor)
	if !c.headers[api.HeaderActor] || len(given) == 0 {
		return nil
	}
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	detail := ""
	switch name := given[0]; {
	case len(given) > 1:
		detail = fmt.Sprintf("is given %d times; give it once", len(given))
	case len(name) > maxActorBytes:
		detail = fmt.Sprintf("has %d bytes, at most %d are allowed", len(name), maxActorBytes)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unprintable):
		detail = "must be printable text in UTF-8"
	default:
		return nil
	}
	return []api.Fault{{Header: api.HeaderActor, Detail: detail}}
}
