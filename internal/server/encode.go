package server

import (
	"encoding/json"
	"io"
	"strconv"
	"time"

	"gitops-squared.io/gsq/api"
)

// resourceBytes is more than most resources have, encoded.
const resourceBytes = 768

// encode writes a body. Resources, the hot ones, are written without
// reflection; TestEncoding holds them to what encoding/json writes.
func encode(w io.Writer, v any) error {
	if r, ok := v.(*api.Resource); ok {
		_, err := w.Write(append(appendResource(make([]byte, 0, resourceBytes), r), '\n'))
		return err
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

func appendResource(b []byte, r *api.Resource) []byte {
	b = appendText(append(b, `{"name":`...), r.Name)
	b = appendText(append(b, `,"namespace":`...), r.Namespace)
	b = appendText(append(b, `,"version":`...), r.Version)
	b = appendText(append(b, `,"digest":`...), r.Digest)
	b = appendText(append(b, `,"repository":`...), r.Repository)
	b = appendText(append(b, `,"spec":{"type":`...), r.Spec.Type)
	b = appendText(append(b, `,"size":`...), r.Spec.Size)
	if r.Spec.Region != "" {
		b = appendText(append(b, `,"region":`...), r.Spec.Region)
	}
	if r.Spec.Replicas != 0 {
		b = strconv.AppendInt(append(b, `,"replicas":`...), int64(r.Spec.Replicas), 10)
	}
	b = appendTime(append(b, `},"createdAt":`...), r.CreatedAt)
	b = appendTime(append(b, `,"updatedAt":`...), r.UpdatedAt)
	if r.Revision != nil {
		b = appendRevision(append(b, `,"revision":`...), *r.Revision)
	}
	if r.Unchanged {
		b = append(b, `,"unchanged":true`...)
	}
	return append(b, '}')
}

func appendRevision(b []byte, r api.Revision) []byte {
	b = strconv.AppendInt(append(b, `{"number":`...), r.Number, 10)
	b = appendText(append(b, `,"digest":`...), r.Digest)
	return append(b, '}')
}

// appendTime writes a version's time; all of them lie in years that RFC 3339
// can write.
func appendTime(b []byte, t time.Time) []byte {
	b = t.AppendFormat(append(b, '"'), time.RFC3339Nano)
	return append(b, '"')
}

func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return appendEscaped(b, s)
		}
	}
	b = append(append(b, '"'), s...)
	return append(b, '"')
}

// appendEscaped writes text that JSON does not hold as it is.
func appendEscaped(b []byte, s string) []byte {
	w := appender{b}
	encoder := json.NewEncoder(&w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s)           // text can be encoded, and w takes it
	return w.bytes[:len(w.bytes)-1] // without the newline
}

type appender struct{ bytes []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.bytes = append(a.bytes, p...)
	return len(p), nil
}
