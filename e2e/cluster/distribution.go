package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// Distribution is a running CNCF Distribution registry: plain HTTP on
// loopback, no credentials, deletes allowed, artifacts in its folder.
type Distribution struct {
	Host string // host:port

	supervisor *supervisor
}

// StartDistribution starts a registry in dir, which is created with mode 0700
// and must be empty if it exists, and returns when it answers. When it fails,
// nothing is left running.
func StartDistribution(ctx context.Context, dir string) (*Distribution, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("start a registry: %s is not empty", dir)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		d, err := startDistributionOnce(ctx, dir)
		if err == nil {
			return d, nil
		}
		if !errors.Is(err, errPortTaken) || try == startTries {
			return nil, fmt.Errorf("start a registry: %w", err)
		}
	}
}

func startDistributionOnce(ctx context.Context, dir string) (*Distribution, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	s, err := supervise(dir, false, "OTEL_TRACES_EXPORTER=none")
	if err != nil {
		return nil, err
	}
	d := &Distribution{Host: address(ports[0]), supervisor: s}
	if err := d.bringUp(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return d, nil
}

func (d *Distribution) bringUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	config := filepath.Join(d.supervisor.dir, "config.yml")
	content := fmt.Sprintf(`version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: %q}
  delete: {enabled: true}
http: {addr: %q}
`, filepath.Join(d.supervisor.dir, "registry"), d.Host)
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		return err
	}
	p, err := d.supervisor.run("registry", "serve", config)
	if err != nil {
		return err
	}
	err = p.await(ctx, func(ctx context.Context) error {
		_, err := request(ctx, http.DefaultTransport, http.MethodGet, "http://"+d.Host+"/v2/", "", "")
		return err
	})
	if err != nil {
		return err
	}
	return d.supervisor.complete()
}

// Stop ends the registry; its artifacts stay. Stopping twice is not an error.
func (d *Distribution) Stop() error { return d.supervisor.stop() }
