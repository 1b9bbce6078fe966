package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/remote"
)

// The names of the server's settings.
const (
	settingListen      = "listen"
	settingRegistry    = "registry"
	settingRegistryCA  = "registry-ca"
	settingData        = "data"
	settingDurability  = "durability"
	settingPrefix      = "prefix"
	settingLogFormat   = "log-format"
	settingLogLevel    = "log-level"
	settingDebugListen = "debug-listen"
	settingStreams     = "event-streams"

	settingRetentionRevisions  = "retention-revisions"
	settingRetentionFor        = "retention-for"
	settingRetentionTombstones = "retention-tombstones"
	settingGCInterval          = "gc-interval"
)

// serverSettings are all of them, as configuration files have them.
func serverSettings(data string) []*setting {
	return []*setting{
		{name: settingListen, contract: "LISTEN_ADDR", value: "127.0.0.1:8080", check: checkListen,
			usage: "address to serve on, host:port; :port means all of the machine's"},
		{name: settingRegistry, contract: "REGISTRY_HOST",
			usage: "external registry, http://host:port, https://host or host; empty means the embedded one"},
		{name: settingRegistryCA,
			usage: "PEM file with certificates to trust for the external registry, besides the system's"},
		{name: settingData, value: data,
			usage: "folder of the embedded registry"},
		{name: settingDurability, value: string(embedded.DurabilityCommit), check: oneOf(string(embedded.DurabilityCommit), string(embedded.DurabilityNone)),
			usage: "commit or none: whether the embedded registry waits until a write survives the loss of power"},
		{name: settingPrefix, value: "gitops-squared", check: checkPrefix,
			usage: "what the names of all repositories begin with"},
		{name: settingLogFormat, value: "text", check: oneOf("text", "json"),
			usage: "text or json"},
		{name: settingLogLevel, value: "info", check: oneOf("debug", "info", "warn", "error"),
			usage: "debug, info, warn or error"},
		{name: settingStreams, value: "1000", check: checkStreams,
			usage: "how many event streams may be open at once"},
		{name: settingDebugListen, check: checkDebugListen,
			usage: "address to serve Go's profiles on, host:port; empty means nowhere"},
		{name: settingRetentionRevisions, value: "0", check: checkCount,
			usage: "how many of the newest revisions a namespace keeps that has no policy of its own; 0 keeps everything"},
		{name: settingRetentionFor, value: "0", check: checkPeriod,
			usage: "for how long such a namespace keeps what was in force, as 30d"},
		{name: settingRetentionTombstones, value: "0", check: checkPeriod,
			usage: "for how long such a namespace keeps the last versions of deleted resources"},
		{name: settingGCInterval, value: "24h", check: checkPeriod,
			usage: "pause between two collections of what is not kept; 0 means that none run by themselves"},
	}
}

// pick returns those settings that a command has.
func pick(all []*setting, names ...string) settings {
	var c settings
	for _, s := range all {
		if slices.Contains(names, s.name) {
			c.list = append(c.list, s)
		}
	}
	return c
}

// get returns a setting of the command by its name.
func (c *settings) get(name string) *setting {
	for _, s := range c.list {
		if s.name == name {
			return s
		}
	}
	return &setting{}
}

// defaultData is where the embedded registry lies unless --data says so, or
// empty if the environment does not tell a home folder.
func defaultData(p process) string {
	if state := p.setting("XDG_STATE_HOME", ""); filepath.IsAbs(state) {
		return filepath.Join(state, "gsq")
	}
	if home := p.setting("HOME", ""); home != "" {
		return filepath.Join(home, ".local", "state", "gsq")
	}
	return ""
}

// address reads the registry's. A bare host means HTTPS, but plain HTTP in the
// variable that the proof of concept's users set. ok is false if the embedded
// registry is meant.
func (c *settings) address() (a remote.Address, ok bool, err error) {
	s := c.get(settingRegistry)
	if s.value == "" {
		return remote.Address{}, false, nil
	}
	a, err = remote.ParseAddress(s.value, s.source == fromContract)
	if err != nil {
		return remote.Address{}, false, usagef("%s: %w", s.origin(c.file), err)
	}
	return a, true, nil
}

// certificates reads --registry-ca.
func (c *settings) certificates(a remote.Address) ([]byte, error) {
	s := c.get(settingRegistryCA)
	if s.value == "" {
		return nil, nil
	}
	if a.Plain || a.Host == "" {
		return nil, usagef("%s: certificates are of use only with an external registry that is spoken to by HTTPS", s.origin(c.file))
	}
	pem, err := readBounded(s.value, maxConfigBytes)
	if err != nil {
		return nil, usagef("%s: %w", s.origin(c.file), err)
	}
	return pem, nil
}

// retention reads what namespaces keep that have no policy of their own, and
// the pause between two collections.
func (c *settings) retention() (artifact.Retention, time.Duration, error) {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(c.get(name).value, 10, 64) // resolve has checked it
		return n
	}
	length := func(name string) int64 {
		p, _ := parsePeriod(c.get(name).value)
		return p.seconds
	}
	r := artifact.Retention{
		Revisions: number(settingRetentionRevisions), Seconds: length(settingRetentionFor), TombstonesSeconds: length(settingRetentionTombstones),
	}
	if r.Revisions == 0 && r != (artifact.Retention{}) {
		return r, 0, usagef("%s: times count only together with --%s, which is 0 and keeps everything", c.get(settingRetentionRevisions).origin(c.file), settingRetentionRevisions)
	}
	if err := r.Check(); err != nil {
		return r, 0, usagef("%s: %w", c.get(settingRetentionRevisions).origin(c.file), err)
	}
	return r, time.Duration(length(settingGCInterval)) * time.Second, nil
}

// streams reads --event-streams.
func (c *settings) streams() int {
	n, _ := strconv.Atoi(c.get(settingStreams).value) // resolve has checked it
	return n
}

// durability reads --durability. An external registry decides that itself.
func (c *settings) durability(external bool) (embedded.Durability, error) {
	s := c.get(settingDurability)
	if external && s.source != fromDefault {
		return "", usagef("%s: it is a setting of the embedded registry; how durable an external one is, it decides itself", s.origin(c.file))
	}
	return embedded.Durability(s.value), nil
}

// newLog returns the log that --log-format and --log-level describe.
func (c *settings) newLog(w io.Writer) *slog.Logger {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	options := &slog.HandlerOptions{Level: levels[c.get(settingLogLevel).value]}
	if c.get(settingLogFormat).value == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func oneOf(allowed ...string) func(string) error {
	return func(value string) error {
		if slices.Contains(allowed, value) {
			return nil
		}
		return fmt.Errorf("must be one of %s, not %q", strings.Join(allowed, ", "), value)
	}
}

func checkCount(text string) error {
	if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		return fmt.Errorf("%q is not a number from 0 on", text)
	}
	return nil
}

// maxStreams is more than a process usually has file descriptors for.
const maxStreams = 100_000

func checkStreams(text string) error {
	if n, err := strconv.Atoi(text); err != nil || n < 1 || n > maxStreams || strconv.Itoa(n) != text {
		return fmt.Errorf("%q is not a number from 1 to %d", text, maxStreams)
	}
	return nil
}

func checkPeriod(text string) error {
	_, err := parsePeriod(text)
	return err
}

func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not host:port or :port", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q has no port between 0 and 65535", address)
	}
	return nil
}

// checkDebugListen takes an empty address, too: it switches profiles off.
func checkDebugListen(address string) error {
	if address == "" {
		return nil
	}
	return checkListen(address)
}

// repositoryName is what the OCI distribution specification 1.1, section
// "Pulling manifests", allows as a name.
var repositoryName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

// maxPrefixBytes leaves room for /resources/<namespace>/<name> in the 255
// characters that registries commonly allow.
const maxPrefixBytes = 100

func checkPrefix(prefix string) error {
	switch {
	case len(prefix) > maxPrefixBytes:
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(prefix), maxPrefixBytes)
	case !repositoryName.MatchString(prefix):
		return errors.New("must be the name of an OCI repository: lower case letters and digits, with . _ - between them, in parts separated by /")
	}
	return nil
}
