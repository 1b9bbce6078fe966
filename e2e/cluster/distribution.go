package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"gitops-squared.io/gsq/e2e/spawn"
)

// Distribution is a running CNCF Distribution registry: plain HTTP on
// loopback, no credentials, deletes allowed, artifacts in its folder.
type Distribution struct {
	Host string // host:port

	supervisor *supervisor
	process    *process
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
		if !errors.Is(err, spawn.ErrPortTaken) || try == startTries {
			return nil, fmt.Errorf("start a registry: %w", err)
		}
	}
}

func startDistributionOnce(ctx context.Context, dir string) (*Distribution, error) {
	ports, err := spawn.Ports(1)
	if err != nil {
		return nil, err
	}
	d := &Distribution{Host: spawn.Address(ports[0])}
	if err := d.start(ctx, dir); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Distribution) start(ctx context.Context, dir string) error {
	s, err := supervise(dir, false, "OTEL_TRACES_EXPORTER=none")
	if err != nil {
		return err
	}
	d.supervisor = s
	if err := d.bringUp(ctx); err != nil {
		return errors.Join(err, s.stop())
	}
	return nil
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
	d.process = p
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

// Kill ends the registry with SIGKILL, whatever it is doing.
func (d *Distribution) Kill() error {
	// The pid is ours as long as done is open: it was not waited for.
	if err := d.process.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill a registry: %w", err)
	}
	<-d.process.done
	return d.supervisor.stop()
}

// Restart starts it again after Stop or Kill, at the same address with the same
// artifacts.
func (d *Distribution) Restart(ctx context.Context) error {
	if err := d.start(ctx, d.supervisor.dir); err != nil {
		return fmt.Errorf("start a registry again: %w", err)
	}
	return nil
}

// Pause freezes the registry: it takes connections and answers nothing until
// Resume.
func (d *Distribution) Pause() error { return d.process.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (d *Distribution) Resume() error { return d.process.cmd.Process.Signal(syscall.SIGCONT) }
