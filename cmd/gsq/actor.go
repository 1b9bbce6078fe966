package main

import (
	"os/user"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxActorBytes is what the API takes.
const maxActorBytes = 256

// actor is who writes, for the history: GSQ_ACTOR, else the name of the
// system's user, or nobody if it has none that can be written. The error is of
// usage.
func (p process) actor() (string, error) {
	if name := p.setting("GSQ_ACTOR", ""); name != "" {
		if !isActor(name) {
			return "", usagef("GSQ_ACTOR must be printable text in UTF-8, of at most %d bytes", maxActorBytes)
		}
		return name, nil
	}
	if u, err := user.Current(); err == nil && isActor(u.Username) {
		return u.Username, nil
	}
	return "", nil
}

func isActor(name string) bool {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	return len(name) <= maxActorBytes && utf8.ValidString(name) && !strings.ContainsFunc(name, unprintable)
}
