package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gitops-squared.io/gsq/internal/ledger"
)

const (
	tokenLife     = time.Hour // of a list, counted from its first page
	maxTokenBytes = 1024      // as it is written in the parameter continue
	tokenFormat   = 1
)

// token says where a list goes on. It is opaque to callers and holds all there
// is to know, so that lists outlive a restart of the server.
type token struct {
	Format    int    `json:"f"`
	Namespace string `json:"n"`
	Filters   string `json:"q"` // the filters' fingerprint
	Revision  int64  `json:"r"`
	Digest    string `json:"d"` // of that revision
	After     string `json:"a"` // the last name of the page before
	Started   int64  `json:"t"` // when the first page was answered, Unix seconds
}

func (t token) String() string {
	return seal(t)
}

// seal writes a token as a parameter continue.
func seal(t any) string {
	data, err := json.Marshal(t)
	if err != nil {
		panic(err) // strings, numbers and switches only
	}
	return base64.RawURLEncoding.EncodeToString(append(data, checksum(data)...))
}

// checksumBytes follow the JSON, so that a damaged token is noticed. They keep
// nobody from making one up: it would show nothing that a list does not.
const checksumBytes = 8

func checksum(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:checksumBytes]
}

var errToken = errors.New("is not what an earlier page answered as continue")

// parseToken reads what String wrote, and nothing else.
func parseToken(s string) (token, error) {
	var t token
	if err := unseal(s, &t); err != nil {
		return token{}, err
	}
	if t.Format != tokenFormat || t.Revision < 0 {
		return token{}, errToken
	}
	return t, nil
}

// unseal reads what seal wrote of a value of t's type, and nothing else.
func unseal[T any](s string, t *T) error {
	if len(s) > maxTokenBytes {
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(s), maxTokenBytes)
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(data) < checksumBytes {
		return errToken
	}
	data = data[:len(data)-checksumBytes] // what is sealed again is compared as a whole
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(t); err != nil || seal(*t) != s {
		return errToken
	}
	return nil
}

// expired reports whether the list is too old to go on.
func (t token) expired(now time.Time) bool {
	started := time.Unix(t.Started, 0)
	return now.Sub(started) > tokenLife || started.Sub(now) > tokenLife
}

// filters choose resources of a namespace. Empty ones choose all.
type filters struct {
	kind       string // the spec's type
	region     string
	namePrefix string
	at         string // the moment that the list shows
}

func (f filters) match(e *ledger.Entry) bool {
	return (f.kind == "" || e.Spec.Type == f.kind) &&
		(f.region == "" || e.Spec.Region == f.region) &&
		strings.HasPrefix(e.Name, f.namePrefix)
}

// fingerprint tells filters apart.
func (f filters) fingerprint() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", f.kind, f.region, f.namePrefix, f.at))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
