package drive

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"gitops-squared.io/gsq/api"
)

// serve starts a server that ends with the test.
func serve(t *testing.T, h http.HandlerFunc) (*Client, string) {
	t.Helper()
	s := httptest.NewServer(h)
	c := NewClient(4)
	t.Cleanup(func() {
		c.Close()
		s.Close()
	})
	return c, s.URL
}

// Every kind of write notices an answer that is not the one it must get.
func TestStatusesAreChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		do     func(p Product) error
		want   string // in the error; empty: none
	}{
		"created":            {201, "{}", create, ""},
		"a create of an old": {200, "{}", create, "answered 200, want [201]"},
		"a create refused":   {503, "queue-full", create, "queue-full"},
		"updated":            {200, "{}", update, ""},
		"an update of a new": {201, "{}", update, "answered 201"},
		"nothing changed":    {200, `{"unchanged":true}`, update, "nothing changed"},
		"applied":            {200, `{"created":1,"updated":1}`, apply, ""},
		"applied in part":    {200, `{"created":1,"unchanged":1}`, apply, "changed 1 resources, want 2"},
		"an apply refused":   {409, "limit-exceeded", apply, "limit-exceeded"},
		"fetched":            {200, "1234", fetch, ""},
		"fetched too little": {200, "123", fetch, "200 with 3 bytes"},
		"not found":          {404, "1234", fetch, "answered 404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			})
			err := c.do(Product{client, url})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func create(p Product) error {
	r, err := p.CreateRequest("n", "r", api.Spec{})
	return errors.Join(err, p.Create(context.Background(), r))
}

func update(p Product) error {
	r, err := p.UpdateRequest("n", "r", api.Spec{})
	return errors.Join(err, p.Update(context.Background(), r))
}

func apply(p Product) error {
	r, err := p.ApplyRequest("n", api.ApplyRequest{Resources: []api.ApplyResource{{Name: "a"}, {Name: "b"}}})
	return errors.Join(err, p.Apply(context.Background(), r, 2))
}

func fetch(p Product) error { return p.Fetch(context.Background(), p.GetRequest("n", "r"), 4) }

func TestFanDoesEachJobOnce(t *testing.T) {
	t.Parallel()
	var done [50]atomic.Int32
	if _, err := Fan(t.Context(), 7, len(done), func(_ context.Context, i int) error {
		done[i].Add(1)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i := range done {
		if n := done[i].Load(); n != 1 {
			t.Errorf("job %d was done %d times", i, n)
		}
	}
}

func TestFanEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var after atomic.Int32
	_, err := Fan(t.Context(), 1, 50, func(_ context.Context, i int) error {
		switch {
		case i == 3:
			return broken
		case i > 3:
			after.Add(1)
		}
		return nil
	})
	if !errors.Is(err, broken) || after.Load() > 0 {
		t.Errorf("error %v, and %d jobs were done after it", err, after.Load())
	}
}

func TestMetric(t *testing.T) {
	t.Parallel()
	client, url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("# HELP a_b x\na_b_c 1\na_b 2.5e+07\n"))
	})
	if v, err := (Product{client, url}).Metric(t.Context(), "a_b"); err != nil || v != 2.5e7 {
		t.Errorf("a_b is %v, error %v", v, err)
	}
	if _, err := (Product{client, url}).Metric(t.Context(), "a"); err == nil {
		t.Error("a metric that does not exist was read")
	}
}
