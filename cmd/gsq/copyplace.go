package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"gitops-squared.io/gsq/internal/registry/remote"
)

// copyPlace is where a backup is written to or read from.
type copyPlace struct {
	folder string // a folder, or
	tar    string // a file, "-" for standard input or output, or
	host   remote.Address
	prefix string // of the repositories there; may be empty
}

// parseCopyPlace reads --to or --from: oci://HOST[:PORT][/PREFIX], "-", a file
// whose name ends with .tar, or a folder. An oci address of this machine means
// plain HTTP, as oci+http:// does for every other.
func parseCopyPlace(flag, text string) (copyPlace, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	switch {
	case text == "":
		return copyPlace{}, usagef("name the backup with --%s: a folder, a file that ends with .tar, or oci://HOST/PREFIX", flag)
	case ok && (scheme == "oci" || scheme == "oci+http"):
		host, prefix, _ := strings.Cut(rest, "/")
		address := "https://" + host
		if scheme == "oci+http" || isLoopback(host) {
			address = "http://" + host
		}
		a, err := remote.ParseAddress(address, false)
		if err != nil {
			return copyPlace{}, usagef("--%s: %w", flag, err)
		}
		if prefix = strings.TrimSuffix(prefix, "/"); prefix != "" {
			if err := checkPrefix(prefix); err != nil {
				return copyPlace{}, usagef("--%s: the prefix %q: %w", flag, prefix, err)
			}
		}
		return copyPlace{host: a, prefix: prefix}, nil
	case ok:
		return copyPlace{}, usagef("--%s %q: the scheme %q is not known; a registry is oci://HOST/PREFIX", flag, text, scheme)
	case text == "-" || strings.HasSuffix(text, ".tar"):
		return copyPlace{tar: text}, nil
	}
	return copyPlace{folder: text}, nil
}

func isLoopback(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if name == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && ip.IsLoopback()
}

// copyRequests is how many requests a backup or restore makes at once.
const copyRequests = 32

// connectRegistry returns a client for copying, which trusts the certificates
// in a PEM file, too, unless it speaks plain HTTP.
func connectRegistry(a remote.Address, certificates string) (*remote.Registry, error) {
	o := remote.Options{Address: a, UserAgent: "gsq/" + readBuild().Version, Concurrency: copyRequests, RequestTimeout: copyTimeout}
	if certificates != "" && !a.Plain {
		pem, err := readBounded(certificates, maxConfigBytes)
		if err != nil {
			return nil, usagef("--%s: %w", settingRegistryCA, err)
		}
		o.CA = pem
	}
	r, err := remote.New(o)
	if err != nil {
		return nil, usagef("%s: %w", a, err)
	}
	return r, nil
}

// newFile is a file that appears under its name when it is whole.
type newFile struct {
	*os.File
	name string
}

func createFile(name string) (*newFile, error) {
	f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &newFile{f, name}, nil
}

// keep makes the file durable under its name.
func (f *newFile) keep() error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), f.name); err != nil {
		return err
	}
	return syncFolderOf(f.name)
}

// discard removes it.
func (f *newFile) discard() error {
	f.Close() // what is in it is of no use
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("removing what was written: %w", err)
	}
	return nil
}
