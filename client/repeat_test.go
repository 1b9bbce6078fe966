package client_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
)

func TestRepeats(t *testing.T) {
	t.Parallel()
	put := func(p client.WriteOptions) func(context.Context, *client.Client) error {
		return func(ctx context.Context, c *client.Client) error {
			_, err := c.Put(ctx, "default", "a", api.Spec{}, p)
			return err
		}
	}
	apply := func(r api.ApplyRequest) func(context.Context, *client.Client) error {
		return func(ctx context.Context, c *client.Client) error {
			_, err := c.Apply(ctx, "default", r, client.ApplyOptions{Prune: true})
			return err
		}
	}
	get := func(ctx context.Context, c *client.Client) error {
		_, err := c.Get(ctx, "default", "a")
		return err
	}
	remove := func(ctx context.Context, c *client.Client) error {
		_, err := c.Delete(ctx, "default", "a", client.WriteOptions{})
		return err
	}
	tests := map[string]struct {
		call       func(context.Context, *client.Client) error
		code       api.Code
		retryAfter string
		failures   int // before it succeeds
		requests   int // that are to be seen
		waited     time.Duration
	}{
		"read, registry down":          {get, api.CodeRegistryUnavailable, "1", 1, 2, time.Second},
		"write, registry down":         {put(client.WriteOptions{Preconditions: client.Preconditions{IfNew: true}}), api.CodeRegistryUnavailable, "2", 2, 3, 4 * time.Second},
		"write, queue full":            {remove, api.CodeQueueFull, "1", 1, 2, time.Second},
		"server starting":              {get, api.CodeNotReady, "1", 1, 2, time.Second},
		"no Retry-After":               {get, api.CodeRegistryUnavailable, "", 9, 1, 0},
		"Retry-After with a date":      {get, api.CodeRegistryUnavailable, "Fri, 31 Dec 1999 23:59:59 GMT", 9, 1, 0},
		"for ever":                     {get, api.CodeQueueFull, "1", 9, 4, 3 * time.Second},
		"an hour":                      {get, api.CodeQueueFull, "3600", 1, 2, 10 * time.Second},
		"not within the time-out":      {get, api.CodeQueueFull, "10", 9, 3, 20 * time.Second},
		"put, outcome unknown":         {put(client.WriteOptions{}), api.CodeOutcomeUnknown, "", 1, 2, time.Second},
		"put if new, outcome unknown":  {put(client.WriteOptions{Preconditions: client.Preconditions{IfNew: true}}), api.CodeOutcomeUnknown, "1", 9, 1, 0},
		"delete, outcome unknown":      {remove, api.CodeOutcomeUnknown, "1", 9, 1, 0},
		"apply, outcome unknown":       {apply(api.ApplyRequest{}), api.CodeOutcomeUnknown, "", 1, 2, time.Second},
		"apply deletes, unknown":       {apply(api.ApplyRequest{Deletes: []string{"a"}}), api.CodeOutcomeUnknown, "1", 9, 1, 0},
		"apply with a condition":       {apply(api.ApplyRequest{Resources: []api.ApplyResource{{Name: "a", IfMatch: "*"}}}), api.CodeOutcomeUnknown, "1", 9, 1, 0},
		"superseded":                   {get, api.CodeSuperseded, "1", 9, 1, 0},
		"foreign writer":               {put(client.WriteOptions{}), api.CodeForeignWriter, "1", 9, 1, 0},
		"not found":                    {get, api.CodeNotFound, "1", 9, 1, 0},
		"internal error, write unsure": {put(client.WriteOptions{}), api.CodeInternal, "1", 9, 1, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				requests := 0
				transport := roundTrip(func(*http.Request) (*http.Response, error) {
					if requests++; requests > test.failures {
						return jsonAnswer(200, "application/json", map[string]any{}, ""), nil
					}
					return jsonAnswer(503, api.ProblemMediaType, api.Problem{Code: test.code, Detail: "no"}, test.retryAfter), nil
				})
				c, err := client.New(client.Options{HTTPClient: &http.Client{Transport: transport}})
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				err = test.call(t.Context(), c)
				if succeeded := test.requests > test.failures; succeeded != (err == nil) {
					t.Errorf("error %v", err)
				} else if err != nil && !client.IsCode(err, test.code) {
					t.Errorf("error %v, want code %s", err, test.code)
				}
				if requests != test.requests || time.Since(start) != test.waited {
					t.Errorf("%d requests in %s, want %d in %s", requests, time.Since(start), test.requests, test.waited)
				}
			})
		})
	}
}

func TestCancelledWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transport := roundTrip(func(*http.Request) (*http.Response, error) {
			return jsonAnswer(503, api.ProblemMediaType, api.Problem{Code: api.CodeQueueFull, Detail: "no"}, "5"), nil
		})
		c, err := client.New(client.Options{HTTPClient: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		if _, err := c.Get(ctx, "default", "a"); !client.IsCode(err, api.CodeQueueFull) {
			t.Errorf("got %v, want the last answer", err)
		}
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("it waited %s", waited)
		}
	})
}
