package e2e_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
)

// insideVariable is set for the test's second process, which has mounts of its
// own.
const insideVariable = "E2E_OWN_MOUNTS"

// A real server on a small file system: when that is full, writes are refused
// cleanly, on both sides, and reads go on, also after a kill and a start when
// somebody else has taken the last byte; and when there is room, it writes
// again by itself.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if os.Getenv(insideVariable) == "" {
		runInside(t)
		return
	}
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	mountSmall(t, data, "160m")
	s := newServer(t, gsq.Options{Dir: dir})
	startServer(t, s)
	d := &smallDisk{t: t, s: s, data: data}
	d.create("first")
	d.fill()
	d.reads()

	// Somebody else takes what is left, and the reserve stays.
	d.takeRest()
	d.refusesWrites()
	d.reads()
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	startServer(t, s)
	d.refusesWrites()
	d.reads()

	if err := os.Remove(d.other()); err != nil {
		t.Fatal(err)
	}
	for _, blob := range d.blobs { // which makes room
		if status := d.send(http.MethodDelete, "/v2/other/blobs/"+blob, nil); status != http.StatusAccepted {
			t.Fatalf("delete a blob: %d", status)
		}
	}
	d.blobs = nil
	await(t, 30*time.Second, "writes after there was room", func() error { return d.tryCreate("second") })
	d.create("third")
	d.reads()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// runInside runs the test in a process with mounts of its own, which go when it
// ends: as root, else in a user namespace.
func runInside(t *testing.T) {
	t.Helper()
	inside := func(flags uintptr) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFullDisk$", "-test.v", "-test.timeout=3m")
		cmd.Env = append(os.Environ(), insideVariable+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL}
		if flags&syscall.CLONE_NEWUSER != 0 {
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
		return cmd.CombinedOutput()
	}
	out, err := inside(syscall.CLONE_NEWNS)
	if errors.Is(err, syscall.EPERM) {
		out, err = inside(syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER)
	}
	if errors.Is(err, syscall.EPERM) {
		t.Fatalf("this test mounts a small file system, for which it has to be root or to make a user namespace: %v", err)
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestFullDisk")) {
		t.Fatalf("%v\n%s", err, out)
	}
}

// mountSmall mounts a file system in memory of a size.
func mountSmall(t *testing.T, path, size string) {
	t.Helper()
	err := errors.Join(
		os.Mkdir(path, 0o700),
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), // nobody else sees it
		unix.Mount("gsq-test", path, "tmpfs", 0, "size="+size+",mode=700"),
	)
	if err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

type smallDisk struct {
	t       *testing.T
	s       *gsq.Server
	data    string
	created []string
	blobs   []string
}

func (d *smallDisk) tryCreate(name string) error {
	a, err := d.s.Do(d.t.Context(), http.MethodPut, "/api/v1/namespaces/full/resources/"+name, api.ResourcePut{Spec: api.Spec{Type: "vm", Size: "small"}})
	if err != nil {
		return err
	}
	switch a.Status {
	case http.StatusCreated:
		d.created = append(d.created, name)
		return nil
	case http.StatusServiceUnavailable:
		if a.Code() != api.CodeRegistryUnavailable || a.Header.Get("Retry-After") == "" || !strings.Contains(string(a.Body), "no space") {
			d.t.Errorf("refused with %v %s", a.Header, a.Body)
		}
	default:
		d.t.Errorf("PUT %s: %d %s", name, a.Status, a.Body)
	}
	return fmt.Errorf("%d %s", a.Status, a.Body)
}

func (d *smallDisk) create(name string) {
	d.t.Helper()
	if err := d.tryCreate(name); err != nil {
		d.t.Fatal(err)
	}
}

// send sends a request to the registry. One that is refused is refused cleanly.
func (d *smallDisk) send(method, path string, body []byte) int {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.s.URL+path, bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(answer.Body); err != nil {
		d.t.Fatal(err)
	}
	if answer.StatusCode >= 400 && (answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" ||
		!strings.Contains(text.String(), `"code":"UNAVAILABLE"`) || !strings.Contains(text.String(), "no space left")) {
		d.t.Errorf("%s %s: %s %v %s", method, path, answer.Status, answer.Header, text.String())
	}
	return answer.StatusCode
}

func (d *smallDisk) push(size int) int {
	d.t.Helper()
	blob := make([]byte, size)
	rand.Read(blob) // never fails
	name := digest.FromBytes(blob).String()
	status := d.send(http.MethodPost, "/v2/other/blobs/uploads/?digest="+name, blob)
	if status == http.StatusCreated {
		d.blobs = append(d.blobs, name)
	}
	return status
}

// fill pushes blobs until one is refused, large and small ones, and a resource
// is.
func (d *smallDisk) fill() {
	d.t.Helper()
	for _, size := range []int{4 << 20, 50 << 10} {
		for d.push(size) == http.StatusCreated || d.tryCreate(fmt.Sprint("filling-", len(d.created))) == nil {
			if len(d.blobs) > 5000 || d.t.Failed() {
				d.t.Fatal("the disk does not become full")
			}
		}
	}
	if len(d.blobs) < 10 {
		d.t.Errorf("only %d blobs fit", len(d.blobs))
	}
}

// other is the file by which somebody else fills the disk.
func (d *smallDisk) other() string { return filepath.Join(d.data, "other") }

func (d *smallDisk) takeRest() {
	d.t.Helper()
	err := os.WriteFile(d.other(), make([]byte, 200<<20), 0o600)
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("filling the disk: %v", err)
	}
	var left unix.Statfs_t
	if err := unix.Statfs(d.data, &left); err != nil || left.Bavail > 0 {
		d.t.Fatalf("%d blocks are left, %v", left.Bavail, err)
	}
}

func (d *smallDisk) refusesWrites() {
	d.t.Helper()
	for _, name := range []string{"first-refused", "second-refused"} {
		if d.tryCreate(name) == nil {
			d.t.Errorf("%s was created on a full disk", name)
		}
	}
	for _, size := range []int{1, 1 << 20} {
		if status := d.push(size); status != http.StatusServiceUnavailable {
			d.t.Errorf("a blob of %d bytes on a full disk: %d", size, status)
		}
	}
	a, err := d.s.Do(d.t.Context(), http.MethodGet, "/metrics", nil)
	if err != nil || !strings.Contains(string(a.Body), "\ngsq_embedded_registry_refuses_writes 1\n") {
		d.t.Errorf("the metric does not say that writes are refused: %v", err)
	}
}

// reads checks that everything that was acknowledged is there.
func (d *smallDisk) reads() {
	d.t.Helper()
	call(d.t, d.s, http.StatusOK, http.MethodGet, "/readyz", nil, nil)
	for _, name := range d.created {
		var r api.Resource
		call(d.t, d.s, http.StatusOK, http.MethodGet, "/api/v1/namespaces/full/resources/"+name, nil, &r)
		if status := d.send(http.MethodGet, "/v2/"+r.Repository+"/manifests/"+r.Digest, nil); status != http.StatusOK {
			d.t.Errorf("the manifest of %s: %d", name, status)
		}
	}
	for _, blob := range d.blobs {
		if status := d.send(http.MethodHead, "/v2/other/blobs/"+blob, nil); status != http.StatusOK {
			d.t.Errorf("blob %s: %d", blob, status)
		}
	}
}
