package server

import (
	"context"
	"crypto/rand"
	"regexp"
)

type requestIDKey struct{}

// acceptableID is what a caller's X-Request-Id must look like to be kept.
var acceptableID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// requestID keeps an id that the caller sent, if it is harmless in a log, or
// makes one.
func requestID(sent string) string {
	if acceptableID.MatchString(sent) {
		return sent
	}
	return rand.Text()
}

func withRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// instanceOf is the URN of a request, for a problem's instance.
func instanceOf(ctx context.Context) string {
	id, ok := ctx.Value(requestIDKey{}).(string)
	if !ok {
		return ""
	}
	return "urn:gitops-squared:request:" + id
}
